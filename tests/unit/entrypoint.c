/* SPDX-License-Identifier: MIT */
#include "py/entrypoint.h"

#include "tests/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define C "[console_scripts]\n"

static int parse(const char *text, size_t n, struct str *ret, struct diag *diag)
{
	struct manifest *m = calloc(1, sizeof *m);
	int r = entry_points_parse(text, n, m, diag);

	str_add(ret, "");
	for (size_t i = 0; i < m->n_entry_points; i++)
		str_addf(ret, "%s%s=%s;", m->entry_points[i].gui ? "gui " : "",
			m->entry_points[i].name, m->entry_points[i].target);
	manifest_free(m);
	return r;
}

static void gives(const char *text, const char *want, const char *what)
{
	struct diag diag = {{0}};
	struct str got = {0};
	int r = parse(text, strlen(text), &got, &diag);

	ok(r == 0 && !strcmp(got.p, want), "%s: %s", what, r == 0 ? got.p : diag.text);
	str_free(&got);
}

static void refused(const char *text, const char *place, const char *what)
{
	struct diag diag = {{0}};
	struct str got = {0};
	int r = parse(text, strlen(text), &got, &diag);

	ok(r == -EINVAL && strstr(diag.text, place) && !strpbrk(diag.text, "\n\r\x1b"),
		"refused: %s: %s", what, r == 0 ? got.p : diag.text);
	str_free(&got);
}

static void test_good(void)
{
	gives("", "", "nothing");
	gives(C "a = m:f\nB.c=m.n:f.g\n\n[gui_scripts]\nd = m:f\n", "a=m:f;B.c=m.n:f.g;gui d=m:f;",
		"both groups, case kept");
	gives(C "a = m:f [x, y]\nb = m : f  [x]\n", "a=m:f;b=m:f;",
		"extras and blanks are dropped");
	gives("[pytest11]\nno target\n= x\n\n" C "a = m:f\n[other]\nb = m:f\n", "a=m:f;",
		"other groups are not looked at");
	gives(C "a = m:f\n[other]\nb = m:g\n" C "c = m:h\n", "a=m:f;c=m:h;", "a group again");
	gives("# c\n; c\n" C "  # c\na = m:f\n", "a=m:f;", "comments");
	gives("\n    [console_scripts]\n    a = m:f\n    b = m:g\n    [x]\n    c = d\n    ",
		"a=m:f;b=m:g;", "indented as a whole");
	gives(C "a =\n  m:f\n  [x]\nb = m:g\n", "a=m:f;b=m:g;", "a value over several lines");
	gives(C "a = m:f\n\n# c\n [x]\n", "a=m:f;", "going on behind a comment");
	gives("[console_scripts]\r\na = m:f\r\nb = m:g\r", "a=m:f;b=m:g;", "CRLF and CR");
	gives(C "a = m:f", "a=m:f;", "no newline at the end");
	gives(C "a\t=\tm:f\n", "a=m:f;", "tabs");
	gives("[ console_scripts ]\na = m:f\n", "a=m:f;", "blanks within the brackets");
	gives(C "a b = m:f\nd\xc3\xa9 = m:\xc3\xa9t\xc3\xa9\n",
		"a b=m:f;d\xc3\xa9=m:\xc3\xa9t\xc3\xa9;", "spaces and letters beyond ASCII");
	gives(C "python-argcomplete = m:f\nipython3 = m:f\n",
		"python-argcomplete=m:f;ipython3=m:f;", "names that are none of the interpreter's");
	gives("a = m:f\n", "", "in front of every group");
	gives("[CONSOLE_SCRIPTS]\na = m:f\n", "", "another case is another group");
	gives(C "a = _m1.n_2:f\n", "a=_m1.n_2:f;", "underscores and digits");
}

static void test_refused(void)
{
	struct diag diag = {{0}};
	struct str got = {0};

	refused(C "a\n", "line 2", "no =");
	refused(C "= m:f\n", "line 2", "no name");
	refused(C "a =\n", "line 2", "no target");
	refused(C "\na = m\n", "line 3", "no attribute");
	refused(C "a = m:\n", "line 2", "an empty attribute");
	refused(C "a = :f\n", "line 2", "no module");
	refused(C "a = m:f:g\n", "line 2", "two colons");
	refused(C "a = m:f()\n", "line 2", "a call");
	refused(C "a = m-n:f\n", "line 2", "a dash in the module");
	refused(C "a = m..n:f\n", "line 2", "two dots");
	refused(C "a = .m:f\n", "line 2", "a dot first");
	refused(C "a = m:f.\n", "line 2", "a dot last");
	refused(C "a = 1m:f\n", "line 2", "a digit first");
	refused(C "a = m:f x\n", "line 2", "text behind");
	refused(C "a = m:f [x\n", "line 2", "extras that are not closed");
	refused(C "a = os:system('x');import:f\n", "line 2", "code");
	refused(C "a = m:f\n b = m:g\n", "line 2", "a line that goes on");
	refused(C "../a = m:f\n", "../a", "a slash");
	refused(C ".. = m:f\n", "..", "..");
	refused(C ". = m:f\n", "line 2", ".");
	refused(C "a\\b = m:f\n", "line 2", "a backslash");
	refused(C "a\x1b[2J = m:f\n", "line 2", "a control byte");
	refused(C "a\tb = m:f\n", "line 2", "a tab in the name");
	refused(C "python = m:f\n", "interpreter", "python");
	refused(C "python3.11 = m:f\n", "interpreter", "python3.11");
	refused("[gui_scripts]\npythonw = m:f\n", "interpreter", "pythonw");
	refused(C "pyvenv.cfg = m:f\n", "pyvenv.cfg", "pyvenv.cfg");
	refused(C ".wh.a = m:f\n", ".wh.a", "a whiteout");
	refused(C ".venvfs = m:f\n", ".venvfs", "a name of the view's own");
	refused(C "a = m:f\xff\n", "UTF-8", "not UTF-8");
	ok(parse(C "a\0 = m:f\n", sizeof C "a\0 = m:f\n" - 1, &got, &diag) == -EINVAL,
		"refused: a NUL: %s", diag.text);
	str_truncate(&got, 0);
	for (int i = 0; i < 2000; i++)
		str_addf(&got, "%sxxxxxxxxxx", i ? "" : C);
	refused(got.p, "line 2", "a long line");
	str_free(&got);
}

static void test_many(void)
{
	struct str text = {0}, got = {0};
	struct manifest *m = calloc(1, sizeof *m);
	int r;

	str_add(&text, C);
	for (int i = 0; i < 3000; i++)
		str_addf(&text, "s%d = m:f%d\n", i, i);
	r = entry_points_parse(text.p, text.len, m, NULL);
	ok(r == 0 && m->n_entry_points == 3000 && !strcmp(m->entry_points[2999].name, "s2999"),
		"3,000 of them");
	r = entry_points_parse("[gui_scripts]\na = m:f\n", 22, m, NULL);
	ok(r == 0 && m->n_entry_points == 3001 && m->entry_points[3000].gui,
		"a further text's are added");
	manifest_free(m);
	str_free(&text);
	str_free(&got);
}

int main(void)
{
	test_good();
	test_refused();
	test_many();
	return done_testing();
}
