/* SPDX-License-Identifier: MIT */
#include "py/scheme.h"

#include "tests/tap.h"

#include <errno.h>
#include <string.h>

static struct interpreter python(const char *executable, int minor, const char *lib)
{
	return (struct interpreter){.executable = (char *)executable,
		.lib = (char *)lib,
		.implementation = (char *)"cpython",
		.major = 3,
		.minor = minor};
}

static void dir_is(const struct interpreter *py, enum tree t, const char *want)
{
	struct str s = {0};
	int r = scheme_dir(py, t, "demo-pkg", &s);

	ok(r == 0 && !strcmp(s.p, want), "tree %s lies in \"%s\"", tree_name(t), s.p);
	str_free(&s);
}

/* "name>target name>target ..." */
static void links_are(const struct interpreter *py, const char *want)
{
	struct python_link *l = NULL;
	struct str s = {0};
	size_t n = 0;
	int r = scheme_python_links(py, &l, &n);

	for (size_t i = 0; i < n; i++)
		str_addf(&s, "%s%s>%s", i ? " " : "", l[i].name, l[i].target);
	ok(r == 0 && s.p && !strcmp(s.p, want), "%s", s.p ? s.p : "no links");
	python_links_free(l, n);
	str_free(&s);
}

int main(void)
{
	struct interpreter py = python("/b/bin/python", 8, "lib/python3.8");
	struct python_link *l;
	size_t n;

	dir_is(&py, TREE_SITE, "lib/python3.8/site-packages");
	dir_is(&py, TREE_PYC, "lib/python3.8/site-packages");
	dir_is(&py, TREE_BIN, "bin");
	dir_is(&py, TREE_DATA, "");
	dir_is(&py, TREE_HEADERS, "include/site/python3.8/demo-pkg");
	links_are(&py, "python>/b/bin/python python3>python");

	py = python("/usr/bin/python3", 11, "lib/python3.11");
	links_are(&py, "python3>/usr/bin/python3 python>python3 python3.11>python3");
	ok(scheme_has_include_dir(&py) && !scheme_has_gitignore(&py),
		"3.11: include dir, no .gitignore");
	py = python("/usr/bin/python3.11", 11, "lib/python3.11");
	links_are(&py, "python3.11>/usr/bin/python3.11 python>python3.11 python3>python3.11");
	py = python("/b/bin/python", 10, "lib/python3.10");
	links_are(&py, "python>/b/bin/python python3>python python3.10>python");
	ok(!scheme_has_include_dir(&py), "3.10: no include dir");
	py = python("/b/bin/python3.13t", 13, "lib/python3.13t");
	links_are(&py, "python3.13t>/b/bin/python3.13t python>python3.13t python3>python3.13t "
		       "python3.13>python3.13t");
	dir_is(&py, TREE_SITE, "lib/python3.13t/site-packages");
	dir_is(&py, TREE_HEADERS, "include/site/python3.13/demo-pkg");
	ok(scheme_has_gitignore(&py), "3.13: .gitignore");
	py = python("/b/bin/python", 14, "lib/python3.14");
	links_are(&py, "python>/b/bin/python python3>python python3.14>python "
		       "\xf0\x9d\x9c\x8bthon>python");
	py = python("/b/bin/python", 15, "lib/python3.15");
	links_are(&py, "python>/b/bin/python python3>python python3.15>python");
	py = python("/usr/bin/pypy3", 9, "lib/pypy3.9");
	py.implementation = (char *)"pypy";
	links_are(
		&py, "pypy3>/usr/bin/pypy3 pypy>pypy3 python>pypy3 python3>pypy3 python3.9>pypy3");
	dir_is(&py, TREE_SITE, "lib/pypy3.9/site-packages");

	py = python("/b/a-name-that-is-far-too-long-to-be-one-of-the-links", 9, "lib/python3.9");
	links_are(&py,
		"python>/b/a-name-that-is-far-too-long-to-be-one-of-the-links python3>python "
		"python3.9>python");
	py = python(NULL, 9, "lib/python3.9");
	ok(scheme_python_links(&py, &l, &n) == -ENOENT, "no executable, no links");
	return done_testing();
}
