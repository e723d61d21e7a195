/* SPDX-License-Identifier: MIT
 *
 * The kernel reads 127 bytes of a first line and splits it at blanks. A path that does not fit
 * goes through /bin/sh, by distlib's trick of a text that is one thing to the shell and another
 * to Python:
 *
 *	#!/bin/sh
 *	'''exec' "/a b/bin/python" "$0" "$@"
 *	' '''
 *
 * To the shell this is a command called exec; to Python a string between triple quotes. distlib
 * quotes such a path for blanks alone; here whatever means something to either reader is quoted
 * for both, and a plain path looks as distlib has it.
 */
#include "py/script.h"

#include <errno.h>
#include <string.h>

#define PYTHON "#!python"
enum { KERNEL_LINE = 127 };

static bool is_blank_or_control(char c)
{
	return (unsigned char)c <= ' ' || c == 0x7f;
}

static bool needs_shell(const char *python)
{
	if (strlen("#!") + strlen(python) + strlen("\n") > KERNEL_LINE)
		return true;
	for (; *python; python++)
		if (is_blank_or_control(*python))
			return true;
	return false;
}

/* What the shell takes as it is, outside of quotes. */
static bool is_safe(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (unsigned char)c >= 0x80 || strchr("/._-+@,:%^", c);
}

/* One word to the shell, which is within a triple-quoted string to Python: neither three quotes
 * in a row nor a lone backslash. */
static int add_quoted(struct str *out, const char *path)
{
	int r = str_add(out, "'");

	for (; r == 0 && *path; path++) {
		if (*path == '\'')
			r = str_add(out, "'\"'\"'");
		else if (*path == '\\')
			r = str_add(out, "'\"\\\\\"'");
		else
			r = str_add_mem(out, path, 1);
	}
	return r < 0 ? r : str_add(out, "'");
}

static int add_word(struct str *out, const char *path)
{
	bool blank = false;

	for (const char *p = path; *p; p++) {
		if (*p == ' ')
			blank = true;
		else if (!is_safe(*p))
			return add_quoted(out, path);
	}
	return str_addf(out, blank ? "\"%s\"" : "%s", path);
}

static int add_shebang(const char *python, struct str *out)
{
	int r;

	if (!needs_shell(python))
		return str_addf(out, "#!%s\n", python);
	r = str_add(out, "#!/bin/sh\n'''exec' ");
	if (r == 0)
		r = add_word(out, python);
	return r < 0 ? r : str_add(out, " \"$0\" \"$@\"\n' '''\n");
}

int script_shebang(const char *python, struct str *out)
{
	size_t before = out->len;
	int r = add_shebang(python, out);

	if (r < 0)
		str_truncate(out, before);
	return r;
}

int script_entry_point(const char *python, const char *target, struct str *out)
{
	const char *colon = strchr(target, ':'), *attr = colon ? colon + 1 : "";
	size_t before = out->len;
	int r;

	if (!*attr || colon == target)
		return -EINVAL;
	r = add_shebang(python, out);
	if (r == 0)
		r = str_addf(out,
			"# -*- coding: utf-8 -*-\n"
			"import re\n"
			"import sys\n"
			"from %.*s import %.*s\n"
			"if __name__ == '__main__':\n"
			"    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])\n"
			"    sys.exit(%s())\n",
			(int)(colon - target), target, (int)strcspn(attr, "."), attr, attr);
	if (r < 0)
		str_truncate(out, before);
	return r;
}

bool script_wants_python(const char *head, size_t n)
{
	return n >= strlen(PYTHON) && memcmp(head, PYTHON, strlen(PYTHON)) == 0;
}

/* `first` in place of the first line, whose arguments go as well. */
static int replace_first_line(const struct str *first, const char *text, size_t n, struct str *out)
{
	const char *newline = memchr(text, '\n', n);
	const char *rest = newline ? newline + 1 : text + n;
	size_t left = (size_t)(text + n - rest);
	int r = str_reserve(out, first->len + left);

	if (r < 0)
		return r;
	str_add_mem(out, first->p, first->len);
	return str_add_mem(out, rest, left);
}

int script_normalize(const char *text, size_t n, struct str *out)
{
	auto_str struct str first = {0};
	int r;

	if (!script_wants_python(text, n))
		return -EINVAL;
	r = str_addf(&first, PYTHON "%s\n",
		n > strlen(PYTHON) && text[strlen(PYTHON)] == 'w' ? "w" : "");
	return r < 0 ? r : replace_first_line(&first, text, n, out);
}

int script_render(const char *python, const char *text, size_t n, struct str *out)
{
	auto_str struct str first = {0};
	int r;

	if (!script_wants_python(text, n))
		return -EINVAL;
	r = add_shebang(python, &first);
	return r < 0 ? r : replace_first_line(&first, text, n, out);
}

/* "python", "python3", "python3.11", and with a "w": what of `name` up to `end` it is. */
static const char *plain_python(const char *name, const char *end)
{
	const char *p = name + strlen("python");

	if ((size_t)(end - name) < strlen("python") || memcmp(name, "python", strlen("python")) != 0)
		return NULL;
	if (end - p == 1 && *p == 'w')
		return PYTHON "w\n";
	while (p < end && ((*p >= '0' && *p <= '9') || *p == '.'))
		p++;
	return p == end ? PYTHON "\n" : NULL;
}

/* The interpreter that the first lines name: [*path, *end), and where the script goes on. */
static bool find_python(const char *text, size_t n, const char **path, const char **end,
	const char **rest)
{
	static const char shell[] = "#!/bin/sh\n'''exec' ", tail[] = " \"$0\" \"$@\"\n' '''\n";
	const char *line, *stop = text + n;

	if (n > strlen(shell) && memcmp(text, shell, strlen(shell)) == 0) {
		*path = text + strlen(shell);
		line = memmem(*path, (size_t)(stop - *path), tail, strlen(tail));
		if (!line)
			return false;
		*rest = line + strlen(tail);
		if (line - *path > 2 && (**path == '"' || **path == '\'') && line[-1] == **path) {
			++*path;
			line--;
		}
		*end = line;
		return true;
	}
	line = n > 2 && memcmp(text, "#!", 2) == 0 ? memchr(text, '\n', n) : NULL;
	if (!line)
		return false;
	*path = text + 2;
	*end = line;
	*rest = line + 1;
	return true;
}

int script_unrender(const char *text, size_t n, bool (*is_env)(void *arg, const char *dir), void *arg,
	struct str *out)
{
	const char *path, *end, *rest, *name, *plain;
	auto_str struct str dir = {0};
	int r;

	if (!find_python(text, n, &path, &end, &rest))
		return -EINVAL;
	for (name = end; name > path && name[-1] != '/'; name--)
		;
	plain = plain_python(name, end);
	if (!plain || name - path < 5 || memcmp(name - 5, "/bin/", 5) != 0)
		return -EINVAL;
	r = str_add_mem(&dir, path, (size_t)(name - 5 - path));
	if (r == 0 && !is_env(arg, dir.p))
		r = -EINVAL;
	if (r == 0)
		r = str_reserve(out, strlen(plain) + (size_t)(text + n - rest));
	if (r < 0)
		return r;
	str_add(out, plain);
	return str_add_mem(out, rest, (size_t)(text + n - rest));
}
