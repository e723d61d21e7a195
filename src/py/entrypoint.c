/* SPDX-License-Identifier: MIT
 *
 * Lines are taken apart as configparser does it: "#" and ";" begin a comment where a line
 * begins, and a line further to the right than its option goes on with that option's value (so a
 * file that is indented as a whole, as old setuptools wrote them, is read well). What the other
 * groups hold is theirs: it is not looked at.
 */
#include "py/entrypoint.h"

#include "base/array.h"
#include "py/text.h"
#include "store/field.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum group { GROUP_OTHER, GROUP_CONSOLE, GROUP_GUI };

struct reader {
	struct manifest *m;
	size_t cap;
	enum group group;
	bool option;	   /* a line further to the right than `indent` goes on with it */
	size_t indent;	   /* of the last line that did not */
	struct slice name; /* of the option that is being read; n == 0: none */
	struct str value;
	size_t line, option_line;
	struct diag *diag;
};

#define FAIL(r, fmt, ...)                                                                          \
	diag_set((r)->diag, -EINVAL, "line %zu of entry_points.txt: " fmt,                         \
		(r)->option_line __VA_OPT__(, ) __VA_ARGS__)

static bool is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || (unsigned char)c >= 0x80;
}

/* Identifiers with dots between them, off the front of *s. */
static bool take_dotted(struct slice *s, struct slice *ret)
{
	const char *start = s->p;
	bool begin = true;

	while (s->n && (is_word_char(*s->p) || (*s->p == '.' && !begin))) {
		if (begin && *s->p >= '0' && *s->p <= '9')
			return false;
		begin = *s->p == '.';
		s->p++;
		s->n--;
	}
	*ret = (struct slice){start, (size_t)(s->p - start)};
	return !begin;
}

/* module : attr [extras] */
static char *parse_target(struct slice s)
{
	struct slice module, attr;
	char *target;

	s = text_strip(s);
	if (!take_dotted(&s, &module))
		return NULL;
	s = text_strip(s);
	if (!s.n || *s.p != ':')
		return NULL;
	s = text_strip((struct slice){s.p + 1, s.n - 1});
	if (!take_dotted(&s, &attr))
		return NULL;
	s = text_strip(s);
	if (s.n && (s.n < 2 || *s.p != '[' || s.p[s.n - 1] != ']'))
		return NULL;
	if (asprintf(&target, "%.*s:%.*s", (int)module.n, module.p, (int)attr.n, attr.p) < 0)
		return NULL;
	return target;
}

/* NULL, or what it would do in bin. */
static const char *name_fault(struct slice name)
{
	const char *const reserved[] = {".wh.", ".venvfs"};

	if (!field_is_component(name.p, name.n) || memchr(name.p, '\\', name.n))
		return "is not the name of a file in bin";
	/* "python-..." can not be taken for an interpreter, and real distributions have it */
	if (name.n >= 6 && memcmp(name.p, "python", 6) == 0 && (name.n == 6 || name.p[6] != '-'))
		return "would stand for the environment's interpreter";
	for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
		if (name.n >= strlen(reserved[i]) &&
			memcmp(name.p, reserved[i], strlen(reserved[i])) == 0)
			return "is a name of the view's own";
	if (name.n == strlen("pyvenv.cfg") && memcmp(name.p, "pyvenv.cfg", name.n) == 0)
		return "would change what the environment is";
	return NULL;
}

/* The option that was being read is whole now. */
static int end_option(struct reader *r)
{
	struct slice name = r->name;
	struct entry_point *point;
	const char *fault;
	char *target;

	r->name.n = 0;
	if (!name.n)
		return 0;
	fault = name_fault(name);
	if (fault)
		return FAIL(r, "\"%.*s\" %s", (int)name.n, name.p, fault);
	target = parse_target((struct slice){r->value.p, r->value.len});
	if (!target)
		return FAIL(r, "\"%.*s\" leads to \"%s\", which is not MODULE:ATTRIBUTE",
			(int)name.n, name.p, r->value.p);
	if (array_grow(r->m->entry_points, r->cap, r->m->n_entry_points + 1) < 0) {
		free(target);
		return -ENOMEM;
	}
	point = &r->m->entry_points[r->m->n_entry_points];
	*point = (struct entry_point){
		.gui = r->group == GROUP_GUI,
		.name = strndup(name.p, name.n),
		.target = target,
	};
	if (!point->name) {
		free(target);
		return -ENOMEM;
	}
	r->m->n_entry_points++;
	return 0;
}

/* Up to the last "]", as configparser has it. */
static void begin_group(struct reader *r, struct slice line)
{
	const char *close = memrchr(line.p, ']', line.n);
	struct slice name = text_strip((struct slice){line.p + 1, (size_t)(close - line.p) - 1});

	r->option = false;
	r->group = GROUP_OTHER;
	if (name.n == strlen("console_scripts") && memcmp(name.p, "console_scripts", name.n) == 0)
		r->group = GROUP_CONSOLE;
	else if (name.n == strlen("gui_scripts") && memcmp(name.p, "gui_scripts", name.n) == 0)
		r->group = GROUP_GUI;
}

static int begin_option(struct reader *r, struct slice line)
{
	struct slice name, value;

	r->option = true;
	if (r->group == GROUP_OTHER)
		return 0;
	r->option_line = r->line;
	if (!text_partition(line, '=', &name, &value))
		return FAIL(r, "\"%.*s\" has no \"=\"", (int)line.n, line.p);
	r->name = text_strip(name);
	if (!r->name.n)
		return FAIL(r, "no name is in front of \"=\"");
	value = text_strip(value);
	str_truncate(&r->value, 0);
	return str_add_mem(&r->value, value.p, value.n);
}

/* Names and values are quoted in messages, so nothing but tabs. */
static bool has_control(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\t' && text_has_control((struct slice){s.p + i, 1}))
			return true;
	return false;
}

static int read_line(struct reader *r, struct slice line)
{
	struct slice text = text_strip(line);
	size_t indent = (size_t)(text.p - line.p);
	int err;

	if (!text.n || *text.p == '#' || *text.p == ';')
		return 0;
	if (has_control(text))
		return diag_set(r->diag, -EINVAL,
			"line %zu of entry_points.txt holds control characters", r->line);
	if (r->option && indent > r->indent) {
		if (!r->name.n)
			return 0;
		err = str_add(&r->value, " ");
		return err < 0 ? err : str_add_mem(&r->value, text.p, text.n);
	}
	err = end_option(r);
	if (err < 0)
		return err;
	r->indent = indent;
	if (*text.p == '[' && memchr(text.p, ']', text.n)) {
		begin_group(r, text);
		return 0;
	}
	return begin_option(r, text);
}

int entry_points_parse(const char *text, size_t n, struct manifest *m, struct diag *diag)
{
	struct reader r = {.m = m, .cap = m->n_entry_points, .diag = diag};
	struct slice rest = {text, n}, line;
	int err = 0;

	if (!text_is_utf8(text, n))
		return diag_set(diag, -EINVAL, "entry_points.txt is not UTF-8");
	while (err == 0 && text_line(&rest, &line)) {
		r.line++;
		err = read_line(&r, line);
	}
	if (err == 0)
		err = end_option(&r);
	str_free(&r.value);
	return err;
}
