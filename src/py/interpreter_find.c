/* SPDX-License-Identifier: MIT
 *
 * The user's side: from what a person calls a Python to one that is there, by the places that
 * interpreter_list() goes through as well.
 */
#include "py/interpreter.h"

#include "base/cleanup.h"
#include "py/interpreter_places.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

CLEANUP_DEFINE(interpreter, interpreter_unref)
#define auto_places __attribute__((cleanup(places_free)))

static int find_path(struct store *s, const char *path, struct interpreter **ret, struct diag *diag)
{
	auto_free char *inside = NULL;
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		inside = place_format("%s/bin/python", path);
		if (!inside)
			return -ENOMEM;
	}
	return interpreter_ask(s, inside ? inside : path, true, ret, diag);
}

/* Sources are looked into one by one: what PATH has needs no look at others. */
static int find_spec(struct store *s, const char *asked, const struct python_spec *want,
	struct interpreter **ret, struct diag *diag)
{
	auto_places struct places l = {0};
	struct diag first = {{0}};
	int first_error = -ENOENT, r;
	size_t done = 0;

	for (int source = 0; source < PYTHON_N_SOURCES; source++) {
		r = places_add(&l, (enum interpreter_source)source);
		for (; r == 0 && done < l.n; done++) {
			const struct place *p = &l.list[done];
			auto_of(interpreter) struct interpreter *py = NULL;
			struct diag why = {{0}};

			if (!python_spec_may_fit(&p->told, want))
				continue;
			r = interpreter_ask(s, p->path, false, &py, &why);
			if (r == 0 && python_spec_fits(py, want)) {
				/* registers it */
				r = interpreter_ask(s, py->executable, true, ret, diag);
				return r;
			}
			if (r == 0)
				diag_set(&why, -ENOENT, "%s is Python %s%s", p->path, py->version,
					py->abiflags);
			if (r == -ENOMEM)
				return r;
			if (!*first.text) {
				first = why;
				first_error = r < 0 ? r : -ENOENT;
			}
			r = 0;
		}
		if (r < 0)
			return r;
	}
	return diag_set(diag, first_error,
		"no Python %s was found in PATH, by pyenv, uv or conda%s%.700s%s; install one, or "
		"name another by its path (`venvfs python ls` shows which there are)",
		asked, *first.text ? " (" : "", first.text, *first.text ? ")" : "");
}

int interpreter_find(
	struct store *s, const char *python, struct interpreter **ret, struct diag *diag)
{
	struct python_spec want;
	auto_free char *path = NULL;
	bool is_spec;
	int r;

	if (python && !*python)
		return diag_set(diag, -EINVAL, "no name of a Python was given");
	if (!python)
		python = "python3";
	if (strchr(python, '/'))
		return find_path(s, python, ret, diag);
	/* "python3" is whichever PATH says, not just any */
	is_spec = python_spec_parse(python, &want) == strlen(python) &&
		  (isdigit((unsigned char)*python) || want.n > 1 || want.pypy);
	if (!isdigit((unsigned char)*python)) {
		struct diag why = {{0}};

		r = place_in_path(python, &path);
		if (r == 0)
			r = interpreter_ask(s, path, true, ret, &why);
		if (r == 0 || r == -ENOMEM)
			return r;
		if (!is_spec && *why.text)
			return diag_set(diag, r, "%s", why.text);
	}
	if (is_spec)
		return find_spec(s, python, &want, ret, diag);
	return diag_set(diag, -ENOENT,
		"there is no %s in PATH; name a Python by its path or version (`venvfs python ls` "
		"shows which there are)",
		python);
}
