/* SPDX-License-Identifier: MIT */
#include "cmd/cfg_base.h"

#include "base/cleanup.h"
#include "py/text.h"

#include <errno.h>
#include <string.h>

static const char start[] = " -m venv ";

struct edit {
	const struct interpreter *py;
	const char *real; /* the executable with links resolved */
	struct str out;
	bool has_version, has_executable, has_command;
};

/* "3.12.1", "3.12", or all five parts of sys.version_info, as it was. */
static int add_version_info(struct edit *e, struct slice old)
{
	size_t dots = 0;

	for (size_t i = 0; i < old.n; i++)
		dots += old.p[i] == '.';
	if (dots == 1)
		return str_addf(&e->out, "%d.%d", e->py->major, e->py->minor);
	return str_addf(&e->out, "%s%s", e->py->version, dots > 2 ? ".final.0" : "");
}

/* The command is the one that would make it: the same, by another Python. */
static int add_command(struct edit *e, struct slice old)
{
	const char *rest = memmem(old.p, old.n, start, sizeof start - 1);
	int r = rest ? str_add(&e->out, e->py->executable) : 0;

	if (!rest)
		rest = old.p;
	return r == 0 ? str_add_mem(&e->out, rest, (size_t)(old.p + old.n - rest)) : r;
}

/* Appends the new value of `key`; -ENOENT: it is none of the base's. */
static int add_value(struct edit *e, struct slice key, struct slice old)
{
	const struct interpreter *py = e->py;
	bool pypy = strcmp(py->implementation, "pypy") == 0;

	if (text_is(key, "home"))
		return str_add(&e->out, py->home);
	if (text_is(key, "version")) {
		e->has_version = true;
		return str_add(&e->out, py->version);
	}
	if (text_is(key, "version_info")) {
		e->has_version = true;
		return add_version_info(e, old);
	}
	if (text_is(key, "executable")) {
		e->has_executable = true;
		return str_add(&e->out, e->real);
	}
	if (text_is(key, "command")) {
		e->has_command = true;
		return add_command(e, old);
	}
	if (text_is(key, "implementation"))
		return str_add(&e->out, pypy ? "PyPy" : "CPython");
	if (text_is(key, "base-prefix") || text_is(key, "base-exec-prefix"))
		return str_add(&e->out, py->base_prefix);
	if (text_is(key, "base-executable"))
		return str_add(&e->out, e->real);
	return -ENOENT;
}

static int edit_line(struct edit *e, struct slice line)
{
	struct slice key, value;
	size_t len = e->out.len;
	int r;

	if (!text_partition(line, '=', &key, &value))
		return str_add_mem(&e->out, line.p, line.n);
	key = text_strip(key);
	r = str_add_mem(&e->out, key.p, key.n);
	if (r == 0)
		r = str_add(&e->out, " = ");
	if (r == 0)
		r = add_value(e, key, text_strip(value));
	if (r == -ENOENT) {
		str_truncate(&e->out, len);
		r = str_add_mem(&e->out, line.p, line.n);
	}
	return r;
}

/* What venv would have written besides. */
static int add_missing(struct edit *e, const char *env)
{
	const struct interpreter *py = e->py;
	bool says_more =
		strcmp(py->implementation, "cpython") == 0 && (py->major > 3 || py->minor >= 11);
	int r = 0;

	if (e->out.len && e->out.p[e->out.len - 1] != '\n')
		r = str_add(&e->out, "\n");
	if (r == 0 && !e->has_version)
		r = str_addf(&e->out, "version = %s\n", py->version);
	if (r == 0 && says_more && !e->has_executable)
		r = str_addf(&e->out, "executable = %s\n", e->real);
	if (r == 0 && !e->has_command && (says_more || e->has_executable))
		r = str_addf(&e->out, "command = %s%s%s\n", py->executable, start, env);
	return r;
}

int cfg_set_base(struct str *text, const struct interpreter *py, const char *env)
{
	auto_free char *real = realpath(py->executable, NULL);
	struct edit e = {.py = py, .real = real ? real : py->executable};
	struct slice rest = {text->p, text->len}, line;
	int r = 0;

	while (r == 0 && text_line(&rest, &line)) {
		const char *tail = line.p + line.n;

		r = edit_line(&e, line);
		if (r == 0)
			r = str_add_mem(&e.out, tail, (size_t)(rest.p - tail));
	}
	if (r == 0)
		r = add_missing(&e, env);
	if (r == 0 && e.out.len > CFG_MAX)
		r = -EFBIG;
	if (r < 0) {
		str_free(&e.out);
		return r;
	}
	str_free(text);
	*text = e.out;
	return 0;
}
