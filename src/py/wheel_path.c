/* SPDX-License-Identifier: MIT
 *
 * Names from an archive never reach the file system, but they do reach every environment: there
 * they must mean one thing, be removable by any tool, and not be taken for a part of the
 * environment itself.
 */
#include "py/wheel_path.h"

#include "base/cleanup.h"
#include "py/fold.h"
#include "py/refuse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 4096, COMPONENT_MAX = 255 };

static const char *component_fault(const char *p, size_t n)
{
	if (!n)
		return "it has an empty component";
	if (n > COMPONENT_MAX)
		return "a component is longer than 255 bytes";
	if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
		return "it has a component \".\" or \"..\"";
	if (p[n - 1] == '.' || p[n - 1] == ' ')
		return "a component ends in a dot or a blank";
	return NULL;
}

static const char *name_fault(const char *name, bool marked)
{
	size_t len = strlen(name);
	const char *end = name + len, *p = name;
	bool ascii = true;

	if (len > NAME_MAX_BYTES)
		return "it is longer than 4096 bytes";
	while (p < end) {
		int64_t c = utf8_next(&p, end);

		if (c < 0)
			return "it is not UTF-8";
		if (c < 0x20 || (c >= 0x7f && c < 0xa0))
			return "it has a control character";
		if (c == '\\')
			return "it has a backslash";
		ascii = ascii && c < 0x80;
	}
	if (!ascii && !marked)
		return "it is not ASCII, and not marked as UTF-8";
	if (name[0] == '/')
		return "it is absolute";
	if (len >= 2 && name[1] == ':' && ((name[0] | 0x20) >= 'a' && (name[0] | 0x20) <= 'z'))
		return "it begins with a drive letter";
	for (p = name; p < end;) {
		size_t n = strcspn(p, "/");
		const char *fault = component_fault(p, n);

		if (fault)
			return fault;
		p += n + 1;
	}
	return NULL;
}

int wheel_name_check(const char *name, bool marked, const char *file, struct diag *diag)
{
	const char *fault = name_fault(name, marked);

	return fault ? refuse(diag, file, name, RULE_NAME, "%s", fault) : 0;
}

/* What stands in bin for the interpreter. "python-..." can not be taken for one, and real
 * distributions have such scripts. */
static bool is_python(const char *p)
{
	return str_starts(p, "python") && p[6] != '-';
}

int wheel_path_check(
	enum tree tree, const char *path, const char *name, const char *file, struct diag *diag)
{
	const char *p = path, *c, *in_bin = tree == TREE_BIN ? path : NULL;
	size_t n;

	if (tree == TREE_DATA && str_starts(path, "bin/"))
		in_bin = path + strlen("bin/");
	while ((c = path_next(&p, &n)))
		if (str_starts(c, ".wh.") || str_starts(c, ".venvfs"))
			return refuse(diag, file, name, RULE_RESERVED,
				"names that begin with .wh. or .venvfs are the view's own");
	if ((tree != TREE_HEADERS && strcmp(path, "pyvenv.cfg") == 0) ||
		(in_bin && strcmp(in_bin, "pyvenv.cfg") == 0))
		return refuse(diag, file, name, RULE_RESERVED,
			"pyvenv.cfg there would change what the environment is");
	if (in_bin && is_python(in_bin))
		return refuse(diag, file, name, RULE_RESERVED,
			"bin/python* is the environment's interpreter");
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;

	return x->tree != y->tree ? x->tree - y->tree : path_compare(x->path, y->path);
}

static bool is_below(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	return strncmp(dir, path, n) == 0 && path[n] == '/';
}

/* Whatever lies below a path follows it at once in this order, so neighbours are enough. */
static int meet(struct placed *p, size_t n, enum wheel_rule rule, const char *how, const char *file,
	struct diag *diag)
{
	qsort(p, n, sizeof *p, by_place);
	for (size_t i = 1; i < n; i++) {
		const struct placed *a = &p[i - 1], *b = &p[i];

		if (a->tree != b->tree)
			continue;
		if (strcmp(a->path, b->path) == 0)
			return refuse(
				diag, file, b->name, rule, "%s is there as well%s", a->name, how);
		if (!a->dir && is_below(a->path, b->path))
			return refuse(diag, file, b->name, rule, "%s is there as well, a file%s",
				a->name, how);
	}
	return 0;
}

int wheel_paths_meet(struct placed *p, size_t n, bool folded, const char *file, struct diag *diag)
{
	auto_str struct str all = {0};
	auto_free size_t *at = NULL;
	int r;

	if (!folded)
		return meet(p, n, RULE_DUPLICATE, "", file, diag);
	at = calloc(n + 1, sizeof *at);
	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		at[i] = all.len;
		if ((r = fold_add(&all, p[i].path)) < 0 || (r = str_add_mem(&all, "", 1)) < 0)
			return r;
	}
	for (size_t i = 0; i < n; i++)
		p[i].path = all.p + at[i];
	return meet(p, n, RULE_COLLISION, ", with other case or normalization", file, diag);
}
