/* SPDX-License-Identifier: MIT
 *
 * The directories are those of sysconfig's "venv" scheme, which CPython before 3.11 calls
 * posix_prefix; headers alone follow pip, as sysconfig has no place for them in an environment. The
 * links are made in the order of venv's setup_python(): first the name it runs under, then
 * each other name that is not there yet.
 */
#include "py/scheme.h"

#include "base/cleanup.h"

#include <string.h>

int scheme_dir(const struct interpreter *py, enum tree t, const char *dist, struct str *out)
{
	switch (t) {
	case TREE_SITE:
	case TREE_PYC:
		return str_addf(out, "%s/site-packages", py->lib);
	case TREE_BIN:
		return str_add(out, "bin");
	case TREE_DATA:
		return str_add(out, "");
	case TREE_HEADERS:
		return str_addf(out, "include/site/python%d.%d/%s", py->major, py->minor, dist);
	default:
		return -EINVAL;
	}
}

static int add_link(struct python_link *l, size_t *n, const char *name, const char *target)
{
	for (size_t i = 0; i < *n; i++)
		if (!strcmp(l[i].name, name))
			return 0;
	strcpy(l[*n].name, name);
	l[*n].target = strdup(target);
	if (!l[*n].target)
		return -ENOMEM;
	(*n)++;
	return 0;
}

/* venv's suffixes of that version, and PyPy's own (its venv adds them). */
static size_t other_names(
	const struct interpreter *py, char names[][sizeof((struct python_link *)0)->name])
{
	size_t n = 0;

	if (py->implementation && !strcmp(py->implementation, "pypy")) {
		strcpy(names[n++], "pypy");
		strcpy(names[n++], "pypy3");
	}
	strcpy(names[n++], "python");
	strcpy(names[n++], "python3");
	if (py->major == 3 && py->minor >= 9)
		snprintf(names[n++], sizeof names[0], "python%d.%d", py->major, py->minor);
	if (py->major == 3 && py->minor == 14)
		strcpy(names[n++], "\xf0\x9d\x9c\x8bthon");
	return n;
}

int scheme_python_links(const struct interpreter *py, struct python_link **ret, size_t *ret_n)
{
	enum { MAX = 8 };
	char names[MAX][sizeof((*ret)->name)];
	const char *own = py->executable ? path_base(py->executable) : "";
	struct python_link *l;
	size_t n = 0, n_names;
	int r;

	if (!py->executable)
		return -ENOENT;
	/* a name that bin/ can not have at all: link the usual first one instead */
	if (!*own || strlen(own) >= sizeof l->name || !strcmp(own, ".") || !strcmp(own, ".."))
		own = "python";
	l = calloc(MAX, sizeof *l);
	if (!l)
		return -ENOMEM;
	r = add_link(l, &n, own, py->executable);
	n_names = other_names(py, names);
	for (size_t i = 0; i < n_names && r == 0; i++)
		r = add_link(l, &n, names[i], own);
	if (r < 0) {
		python_links_free(l, n);
		return r;
	}
	*ret = l;
	*ret_n = n;
	return 0;
}

void python_links_free(struct python_link *l, size_t n)
{
	for (size_t i = 0; l && i < n; i++)
		free(l[i].target);
	free(l);
}

static bool is_cpython(const struct interpreter *py)
{
	return !py->implementation || !strcmp(py->implementation, "cpython");
}

bool scheme_has_include_dir(const struct interpreter *py)
{
	return is_cpython(py) && py->major == 3 && py->minor >= 11;
}

bool scheme_has_gitignore(const struct interpreter *py)
{
	return is_cpython(py) && py->major == 3 && py->minor >= 13;
}
