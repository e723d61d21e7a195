/* SPDX-License-Identifier: MIT */
#include "py/interpreter_places.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

size_t python_spec_parse(const char *text, struct python_spec *ret)
{
	static const char *const words[] = {"cpython", "python", "pypy"};
	struct python_spec spec = {0};
	const char *p = text;

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (!str_starts(text, words[i]))
			continue;
		p += strlen(words[i]);
		spec.pypy = i == 2;
		if ((*p == '-' || *p == '@') && isdigit((unsigned char)p[1]))
			p++;
		break;
	}
	while (spec.n < 3 && isdigit((unsigned char)*p)) {
		char *end;
		long part = strtol(p, &end, 10);

		if (part > 9999)
			return 0;
		spec.version[spec.n++] = (int)part;
		p = end;
		if (spec.n == 3 || *p != '.' || !isdigit((unsigned char)p[1]))
			break;
		p++;
	}
	/* "3.15.0a2" counts as 3.15.0 */
	if (spec.n == 3) {
		size_t n = strspn(p, "abrc");

		if (n > 0 && isdigit((unsigned char)p[n]))
			p += n + strspn(p + n, "0123456789");
	}
	if (spec.n > 1 && str_starts(p, "+freethreaded")) {
		spec.free_threaded = true;
		p += strlen("+freethreaded");
	} else if (spec.n > 1 && *p == 't') {
		spec.free_threaded = true;
		p++;
	}
	if (isalnum((unsigned char)*p) || *p == '.' || *p == '+' || p == text)
		return 0;
	*ret = spec;
	return (size_t)(p - text);
}

bool python_spec_may_fit(const struct python_spec *told, const struct python_spec *want)
{
	if (told->pypy != want->pypy)
		return false;
	for (int i = 0; i < told->n && i < want->n; i++)
		if (told->version[i] != want->version[i])
			return false;
	return told->n < 2 || told->free_threaded == want->free_threaded;
}

bool python_spec_fits(const struct interpreter *py, const struct python_spec *want)
{
	struct python_spec is = {0};

	return python_spec_parse(py->version, &is) && is.n >= want->n &&
	       strcmp(py->implementation, want->pypy ? "pypy" : "cpython") == 0 &&
	       (strchr(py->abiflags, 't') != NULL) == want->free_threaded &&
	       (is.free_threaded = want->free_threaded, is.pypy = want->pypy,
		       python_spec_may_fit(&is, want));
}
