/* SPDX-License-Identifier: MIT */
#include "py/script.h"

#include "base/io.h"

#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void shebang(const char *python, const char *want, const char *what)
{
	struct str got = {0};

	ok(script_shebang(python, &got) == 0 && !strcmp(got.p, want), "shebang: %s", what);
	str_free(&got);
}

#define TAIL " \"$0\" \"$@\"\n' '''\n"

static void test_shebang(void)
{
	char path[300], want[400];

	shebang("/e/bin/python", "#!/e/bin/python\n", "plain");
	shebang("/e'\"$\\/bin/python", "#!/e'\"$\\/bin/python\n",
		"quotes mean nothing to the kernel");
	shebang("/a b/bin/python", "#!/bin/sh\n'''exec' \"/a b/bin/python\"" TAIL, "a space");
	shebang("/a\tb/python", "#!/bin/sh\n'''exec' '/a\tb/python'" TAIL, "a tab");
	shebang("/a $b/python", "#!/bin/sh\n'''exec' '/a $b/python'" TAIL, "a space and a $");
	shebang("/a b's/python", "#!/bin/sh\n'''exec' '/a b'\"'\"'s/python'" TAIL, "a quote");
	shebang("/a b\\x/python", "#!/bin/sh\n'''exec' '/a b'\"\\\\\"'x/python'" TAIL,
		"a backslash");

	memset(path, 'x', sizeof path);
	path[0] = '/';
	path[124] = '\0';
	snprintf(want, sizeof want, "#!%s\n", path);
	shebang(path, want, "a line of 127 bytes");
	path[124] = 'x';
	path[125] = '\0';
	snprintf(want, sizeof want, "#!/bin/sh\n'''exec' %s" TAIL, path);
	shebang(path, want, "a line of 128 bytes");
	path[10] = ';';
	snprintf(want, sizeof want, "#!/bin/sh\n'''exec' '%s'" TAIL, path);
	shebang(path, want, "a long one that means something to the shell");
}

static void test_entry_point(void)
{
	struct str s = {0};

	ok(script_entry_point("/e/bin/python", "pkg.cli:App.run", &s) == 0 &&
			!strcmp(s.p, "#!/e/bin/python\n"
				     "# -*- coding: utf-8 -*-\n"
				     "import re\n"
				     "import sys\n"
				     "from pkg.cli import App\n"
				     "if __name__ == '__main__':\n"
				     "    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', "
				     "sys.argv[0])\n"
				     "    sys.exit(App.run())\n"),
		"as pip writes it");
	str_truncate(&s, 3);
	ok(script_entry_point("/p", "pkg", &s) == -EINVAL && s.len == 3, "no attribute");
	ok(script_entry_point("/p", "pkg:", &s) == -EINVAL && s.len == 3, "an empty one");
	ok(script_entry_point("/p", ":main", &s) == -EINVAL && s.len == 3, "no module");
	str_free(&s);
}

static void normal(const char *text, const char *want)
{
	struct str s = {0};
	int r = script_normalize(text, strlen(text), &s);

	ok(want ? r == 0 && !strcmp(s.p, want) : r == -EINVAL && !s.len, "normalized: %.*s",
		(int)strcspn(text, "\r\n"), text);
	str_free(&s);
}

static void test_normalize(void)
{
	struct str s = {0};

	normal("#!python\nprint()\n", "#!python\nprint()\n");
	normal("#!pythonw\nx", "#!pythonw\nx");
	normal("#!python3.11 -E\nx\n", "#!python\nx\n");
	normal("#!python\r\nx\r\n", "#!python\nx\r\n");
	normal("#!python", "#!python\n");
	normal("#!pythonw", "#!pythonw\n");
	normal("#!/usr/bin/env python\n", NULL);
	normal("#! python\n", NULL);
	normal("#!pytho", NULL);
	normal("", NULL);
	ok(script_normalize("#!python\n\0\xff", 11, &s) == 0 && s.len == 11 &&
			!memcmp(s.p, "#!python\n\0\xff", 11),
		"bytes behind the first line are left alone");
	ok(script_wants_python("#!python", 8) && !script_wants_python("#!python", 7),
		"what asks for it");
	str_free(&s);
}

static void test_render(void)
{
	struct str s = {0};

	ok(script_render("/e/bin/python", "#!pythonw\nx\n", 12, &s) == 0 &&
			!strcmp(s.p, "#!/e/bin/python\nx\n"),
		"the environment's interpreter");
	str_truncate(&s, 0);
	ok(script_render("/e e/python", "#!python\nx\n", 11, &s) == 0 &&
			!strcmp(s.p, "#!/bin/sh\n'''exec' \"/e e/python\"" TAIL "x\n"),
		"with a space");
	ok(script_render("/e", "x", 1, &s) == -EINVAL, "one that did not ask");
	str_free(&s);
}

/* Whether a script whose interpreter is a link to the real Python, in a directory of this name,
 * runs and sees its arguments. */
static void runs(const char *tmp, const char *name)
{
	const char *program = "import sys\nsys.exit(42 if sys.argv[1:] == ['a b', ''] else 1)\n";
	char *dir, *python, *file;
	struct str text = {0};
	int at, fd, status = -1;
	pid_t pid;

	if (asprintf(&dir, "%s/%s", tmp, name) < 0 || asprintf(&python, "%s/python", dir) < 0 ||
		asprintf(&file, "%s/script", dir) < 0)
		abort();
	at = open("/", O_RDONLY | O_DIRECTORY);
	if (io_mkdirs_at(at, dir, 0755) < 0 || symlink("/usr/bin/python3", python) < 0)
		abort();
	close(at);
	str_add(&text, "#!python\n");
	str_add(&text, program);
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	{
		struct str shown = {0};

		script_render(python, text.p, text.len, &shown);
		io_write_full(fd, shown.p, shown.len);
		str_free(&shown);
	}
	close(fd);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		execl(file, file, "a b", "", (char *)NULL);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 42, "a script runs in %.*s",
		strcspn(name, "\n") < 40 ? (int)strcspn(name, "\n") : 40, name);
	str_free(&text);
	free(dir);
	free(python);
	free(file);
}

static void test_runs(void)
{
	char tmp[PATH_MAX], name[NAME_MAX + 1];
	const char *base = getenv("TMPDIR");
	const char *const names[] = {"plain", "a b", "it's", "it's a", "\"$HOME\"",
		"a \"$HOME\" `id`", "a \\x41 \\N b", "a '''", "tab\there", "new\nline", "a;b|c&d e",
		"d\xc3\xa9j\xc3\xa0 vu", "-e (x) {y} *?[z] !~#%"};

	if (access("/usr/bin/python3", X_OK) < 0) {
		skip("no /usr/bin/python3");
		return;
	}
	snprintf(tmp, sizeof tmp, "%s/venvfs-unit-script.XXXXXX", base && *base ? base : "/tmp");
	if (!mkdtemp(tmp)) {
		printf("Bail out! %s: %s\n", tmp, strerror(errno));
		exit(1);
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		runs(tmp, names[i]);
	memset(name, 'x', sizeof name);
	name[NAME_MAX] = '\0';
	runs(tmp, name);
	memset(name, '\'', NAME_MAX);
	runs(tmp, name);
	io_remove_tree_at(AT_FDCWD, tmp);
}

static bool is_e(void *arg, const char *path)
{
	return strcmp(path, arg) == 0;
}

static void unrender(const char *env, const char *text, const char *want, const char *what)
{
	struct str got = {0};
	int r = script_unrender(text, strlen(text), is_e, (void *)env, &got);

	if (want)
		ok(r == 0 && !strcmp(got.p, want), "unrender: %s: %s", what, got.p ? got.p : "");
	else
		ok(r == -EINVAL && !got.len, "not unrendered: %s", what);
	str_free(&got);
}

static void test_unrender(void)
{
	static const char *const pythons[] = {"/e/bin/python", "/a b/bin/python",
		"/long/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/bin/python"};

	for (size_t i = 0; i < sizeof pythons / sizeof *pythons; i++) {
		struct str text = {0};
		char env[300];

		snprintf(env, sizeof env, "%.*s", (int)(strlen(pythons[i]) - 11), pythons[i]);
		ok(script_render(pythons[i], "#!python\nx = 1\n", 15, &text) == 0, "rendered");
		unrender(env, text.p, "#!python\nx = 1\n", env);
		str_free(&text);
	}
	unrender("/e", "#!/e/bin/python3.11\nx\n", "#!python\nx\n", "a versioned name");
	unrender("/e", "#!/e/bin/pythonw\nx\n", "#!pythonw\nx\n", "pythonw");
	unrender("/e", "#!/e/bin/python\n", "#!python\n", "nothing behind it");
	unrender("/a b", "#!/bin/sh\n'''exec' '/a b/bin/python' \"$0\" \"$@\"\n' '''\nx\n",
		"#!python\nx\n", "as uv quotes it");
	unrender("/e", "#!/f/bin/python\nx\n", NULL, "another environment");
	unrender("/e", "#!/e/bin/python -u\nx\n", NULL, "with an argument");
	unrender("/e", "#!/e/bin/pythonic\nx\n", NULL, "another program");
	unrender("/e", "#!/e/bin/python", NULL, "no end of line");
	unrender("/e", "#!/e/sbin/python\n", NULL, "another directory");
	unrender("/e", "#!python\nx\n", NULL, "plain already");
	unrender("/e", "#!/bin/sh\n'''exec' ", NULL, "a shell line cut short");
	unrender("", "#!/bin/python\nx\n", "#!python\nx\n", "the root directory");
	unrender("/e", "", NULL, "nothing");
}

int main(void)
{
	test_shebang();
	test_unrender();
	test_entry_point();
	test_normalize();
	test_render();
	test_runs();
	return done_testing();
}
