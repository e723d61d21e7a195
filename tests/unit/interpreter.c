/* SPDX-License-Identifier: MIT */
#include "py/interpreter.h"

#include "base/io.h"
#include "py/interpreter_places.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/venvfs-test-XXXXXX";
static struct store *store;

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static char *in_dir(const char *name)
{
	char *p;

	return asprintf(&p, "%s/%s", dir, name) < 0 ? NULL : p;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	char *path = in_dir(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);

	if (fd < 0 || io_write_full(fd, text, strlen(text)) < 0)
		abort();
	close(fd);
	free(path);
}

static void make_dirs(const char *name)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	if (fd < 0 || io_mkdirs_at(fd, name, 0755) < 0)
		abort();
	close(fd);
}

static void link_to(const char *target, const char *name)
{
	char *path = in_dir(name);

	if (symlink(target, path) < 0)
		abort();
	free(path);
}

#define HEAD "venvfs-python 1\nexecutable /b/bin/python3\nbase-prefix /b\nversion 3.11.7\n"
#define BODY                                                                                       \
	"implementation cpython\nlib lib/python3.11\ncache-tag cpython-311\nmagic a70d0d0a\n"      \
	"templates /b/lib/python3.11/venv/scripts\nmarkers {\"os_name\": \"posix\"}\n"             \
	"binary 17600 1700000000123456789\nwheel /b/pip-23.2.1-py3-none-any.whl\n"                 \
	"tag cp311-cp311-linux_x86_64\ntag py3-none-any\n"

static void test_text(void)
{
	static const char text[] = HEAD BODY "end python\n";
	static const char *const bad[] = {
		"",
		"venvfs-python 1\nend python\n",
		"venvfs-python 2\n",
		HEAD BODY "end python",
		HEAD BODY,
		HEAD BODY "end python\nx y\n",
		HEAD BODY "end python\n\n",
		HEAD BODY "unknown key\nend python\n",
		HEAD BODY "version 3.11.7\nend python\n",
		HEAD BODY "wheel pip.whl\nend python\n",
		"venvfs-python 1\nexecutable python3\nbase-prefix /b\nversion 3.11\n" BODY
		"end python\n",
		"venvfs-python 1\nexecutable /b/python3\nbase-prefix /b\nversion 3\n" BODY
		"end python\n",
		"venvfs-python 1\nexecutable /b/python3\nbase-prefix /b\nversion 3.x\n" BODY
		"end python\n",
		HEAD "implementation cpython\nlib ../../etc\nend python\n",
		HEAD "implementation cpython\nlib /lib\nend python\n",
		HEAD "implementation cpython\nlib lib/python3.11\nmagic xyz\nend python\n",
		HEAD "implementation cpython\nlib lib/python3.11\nbinary 1\nend python\n",
		HEAD "implementation cpython\nlib lib/\x1bpython\nend python\n",
	};
	struct interpreter *py = NULL;
	struct str out = {0};

	ok(interpreter_parse(text, sizeof text - 1, &py, NULL) == 0, "facts parse");
	if (!py)
		return;
	ok(same(py->executable, "/b/bin/python3") && same(py->home, "/b/bin") &&
			same(py->lib, "lib/python3.11") && same(py->abiflags, ""),
		"the strings");
	ok(py->major == 3 && py->minor == 11 && py->binary_size == 17600 &&
			py->binary_mtime_ns == INT64_C(1700000000123456789),
		"the numbers");
	ok(py->n_tags == 2 && same(py->tags[1], "py3-none-any") && py->n_wheels == 1 &&
			py->ensurepip,
		"the lists");
	ok(interpreter_format(py, &out) == 0 && same(out.p, text), "and format to the same text");
	interpreter_unref(interpreter_ref(py));
	ok(same(py->version, "3.11.7"), "a second reference keeps it");
	interpreter_unref(py);
	str_free(&out);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct diag diag = {{0}};

		py = NULL;
		ok(interpreter_parse(bad[i], strlen(bad[i]), &py, &diag) == -EPROTO && !py &&
				diag.text[0],
			"text %zu is refused", i);
	}
}

static struct interpreter *read_cfg(
	struct store *s, const char *home, const char *version, const char *invoked, int want)
{
	struct cfg cfg = {
		.home = (char *)home, .version = (char *)version, .invoked = (char *)invoked};
	struct interpreter *py = NULL;
	struct diag diag = {{0}};
	int r = interpreter_for_cfg(s, &cfg, &py, &diag);

	ok(r == want, "home %s, version %s: %d %s", home, version ? version : "-", r, diag.text);
	return py;
}

/* What can be had of a base without starting it. The directory's python3 would create "started". */
static void test_read(void)
{
	char *home, *path, *invoked;
	struct interpreter *py;

	make_dirs("base/bin");
	make_dirs("base/lib/python3.11/venv/scripts/common");
	make_dirs("base/lib/python3.12");
	write_file("base/lib/python3.11/os.py", "", 0644);
	path = in_dir("started");
	home = in_dir("base/bin");
	write_file("base/bin/python3.11", "#!/bin/sh\n>started\n", 0755);
	link_to("python3.11", "base/bin/python3");
	link_to("/elsewhere/python2.7", "base/bin/python");

	py = read_cfg(NULL, home, "3.11.2", NULL, 0);
	if (py) {
		ok(same(path_base(py->executable), "python3"), "a name that leads to 3.11: %s",
			py->executable);
		ok(py->major == 3 && py->minor == 11 && same(py->version, "3.11.2"), "the version");
		ok(same(py->lib, "lib/python3.11") && same(py->cache_tag, "cpython-311") &&
				!py->magic,
			"what follows from it");
		ok(py->templates && str_ends(py->templates, "base/lib/python3.11/venv/scripts"),
			"the templates: %s", py->templates ? py->templates : "-");
		interpreter_unref(py);
	}
	py = read_cfg(NULL, home, NULL, NULL, 0);
	if (py) {
		ok(same(py->version, "2.7"), "without a version: where the first link leads");
		interpreter_unref(py);
	}
	if (asprintf(&invoked, "%s/python3.11", home) < 0)
		abort();
	py = read_cfg(NULL, home, "3.11.2", invoked, 0);
	if (py) {
		ok(same(py->executable, invoked), "the name it was made with is kept");
		interpreter_unref(py);
	}
	free(invoked);

	make_dirs("plain/bin");
	make_dirs("plain/lib/python3.13");
	write_file("plain/lib/python3.13/os.py", "", 0644);
	write_file("plain/bin/python3", "", 0755);
	link_to("plain/bin", "linked");
	free(home);
	home = in_dir("linked");
	py = read_cfg(NULL, home, NULL, NULL, 0);
	if (py) {
		ok(py->major == 3 && py->minor == 13, "the version of the one standard library");
		interpreter_unref(py);
	}
	free(home);
	home = in_dir("gone/bin");
	py = read_cfg(NULL, home, "3.9.1", NULL, 0);
	if (py) {
		ok(same(py->lib, "lib/python3.9") && py->executable && !py->templates,
			"a base that is gone");
		interpreter_unref(py);
	}
	read_cfg(NULL, home, NULL, NULL, -EINVAL);
	free(home);
	home = in_dir("plain/bin/python3");
	read_cfg(NULL, home, "3.12.0", NULL, -EINVAL);
	interpreter_unref(read_cfg(NULL, home, "3.10.0", NULL, 0));
	free(home);
	link_to("loop", "loop");
	home = in_dir("loop");
	interpreter_unref(read_cfg(NULL, home, "3.10.0", NULL, 0));
	free(home);
	ok(access(path, F_OK) < 0 && errno == ENOENT, "nothing was started");
	free(path);
}

static void test_templates(void)
{
	struct interpreter *py = interpreter_new();
	char *path = in_dir("open");

	make_dirs("open");
	py->templates = strdup(path);
	interpreter_check_templates(py);
	ok(py->templates, "templates of this user are read");
	if (chmod(path, 0777) < 0)
		abort();
	interpreter_check_templates(py);
	ok(!py->templates, "those that everybody may write are not");
	free(path);
	interpreter_unref(py);
}

/* A program that answers as a Python would, and counts how often it is started. */
static void fake(const char *name, const char *version)
{
	struct str s = {0};

	str_addf(&s,
		"#!/bin/sh\necho >>%s/starts\ncat <<E\nvenvfs-python 1\nexecutable %s/%s\n"
		"base-prefix %s\nversion %.*s\nimplementation cpython\nlib lib/python3.11\n"
		"stdlib %s/lib/python3.11\ntag py3-none-any\n%s"
		"end python\nE\n",
		dir, dir, name, dir, (int)strcspn(version, "t"), version, dir,
		strchr(version, 't') ? "abiflags t\n" : "");
	write_file(name, s.p, 0755);
	str_free(&s);
}

static int starts(void)
{
	char *path = in_dir("starts");
	struct stat st;
	int n = stat(path, &st) < 0 ? 0 : (int)st.st_size;

	free(path);
	return n;
}

static void find_is(const char *python, int want, const char *name)
{
	struct interpreter *py = NULL;
	struct diag diag = {{0}};
	int r = interpreter_find(store, python, &py, &diag);

	ok(r == want && (!name || (py && same(path_base(py->executable), name))), "%s: %d %s %s",
		python ? python : "the default", r, py ? py->executable : "", diag.text);
	interpreter_unref(py);
}

/* What a text is read as: "pypy 3 10", "cpython 3 13 t", "" for nothing. */
static void spec_is(const char *text, size_t taken, const char *want)
{
	struct python_spec spec = {0};
	struct str s = {0};
	size_t n = python_spec_parse(text, &spec);

	str_add(&s, n ? spec.pypy ? "pypy" : "cpython" : "");
	for (int i = 0; i < spec.n; i++)
		str_addf(&s, " %d", spec.version[i]);
	str_add(&s, spec.free_threaded ? " t" : "");
	ok(n == taken && same(s.p, want), "\"%s\" is \"%s\", %zu bytes", text, s.p, n);
	str_free(&s);
}

static void test_spec(void)
{
	spec_is("3.12", 4, "cpython 3 12");
	spec_is("3.12.1", 6, "cpython 3 12 1");
	spec_is("3.13t", 5, "cpython 3 13 t");
	spec_is("3.13.0t", 7, "cpython 3 13 0 t");
	spec_is("python3.13t", 11, "cpython 3 13 t");
	spec_is("cpython@3.13", 12, "cpython 3 13");
	spec_is("pypy3.10", 8, "pypy 3 10");
	spec_is("pypy", 4, "pypy");
	spec_is("pypy3.10-7.3.12", 8, "pypy 3 10");
	spec_is("cpython-3.13.0+freethreaded-linux-x86_64-gnu", 27, "cpython 3 13 0 t");
	spec_is("cpython-3.12-linux-x86_64-gnu", 12, "cpython 3 12");
	spec_is("3.14.0rc2", 9, "cpython 3 14 0");
	spec_is("3.13t-dev", 5, "cpython 3 13 t");
	spec_is("python3.11-config", 10, "cpython 3 11");
	spec_is("miniconda3-latest", 0, "");
	spec_is("graalpy-24.0.0", 0, "");
	spec_is("3t", 0, "");
	spec_is("3.12x", 0, "");
	spec_is("python3clean", 0, "");
	spec_is("99999.1", 0, "");
	spec_is("", 0, "");
}

/* An activated environment in PATH stands for its base; two names of one binary are one place. */
static void test_places(void)
{
	struct places l = {0};
	struct str cfg = {0};
	char *path;

	make_dirs("inst/bin");
	make_dirs("activated/bin");
	write_file("inst/bin/python3.12", "#!/bin/sh\n", 0755);
	write_file("inst/bin/python3.12-config", "#!/bin/sh\n", 0755);
	write_file("inst/bin/python3.11", "", 0644);
	link_to("python3.12", "inst/bin/python3");
	link_to("python3.12", "inst/bin/python");
	link_to("/nowhere", "inst/bin/python3.13");
	link_to("../../inst/bin/python3", "activated/bin/python3");
	str_addf(&cfg, "home = %s/inst/bin\nversion = 3.12.0\n", dir);
	write_file("activated/pyvenv.cfg", cfg.p, 0644);
	str_free(&cfg);
	path = in_dir("activated/bin");
	setenv("PATH", path, 1);
	ok(places_add(&l, PYTHON_FROM_PATH) == 0 && l.n == 1 && l.list[0].in_path &&
			str_ends(l.list[0].path, "/inst/bin/python3.12") &&
			l.list[0].told.version[1] == 12,
		"an environment's base is in PATH: %s", l.n ? l.list[0].path : "-");
	places_free(&l);
	free(path);
}

static void test_find(void)
{
	struct interpreter *py = NULL;
	char *path;

	setenv("PATH", dir, 1);
	setenv("HOME", dir, 1);
	unsetenv("PYENV_ROOT");
	unsetenv("XDG_DATA_HOME");
	find_is(NULL, -ENOENT, NULL);
	fake("python3", "3.11.7");
	setenv("PATH", "/bin:/usr/bin", 1); /* its own sh and cat */
	path = in_dir("python3");
	find_is(path, 0, "python3");
	find_is(path, 0, "python3");
	ok(starts() == 1, "started once, then known");
	fake("python3", "3.11.8");
	find_is(path, 0, "python3");
	ok(starts() == 2 || starts() == 1, "asked again after a change");
	ok(interpreter_recorded(store, path, &py) == 0, "recorded by its path");
	interpreter_unref(py);
	free(path);

	fake("python3.11", "3.11.8");
	path = in_dir("python3.11");
	find_is(path, 0, "python3.11");
	py = NULL;
	ok(interpreter_recorded_home(store, dir, 3, 11, &py) == 0 &&
			same(path_base(py->executable), "python3"),
		"by home and version: the first name");
	interpreter_unref(py);
	py = read_cfg(store, dir, "3.11.2", path, 0);
	ok(py && same(py->executable, path) && same(py->version, "3.11.8"),
		"an environment's facts, by the name it was made with");
	interpreter_unref(py);
	py = read_cfg(store, dir, "3.12.2", path, 0);
	ok(py && py->minor == 12, "but not those of another version");
	interpreter_unref(py);
	free(path);

	write_file("broken", "#!/bin/sh\necho one >&2; echo 'the reason' >&2; exit 1\n", 0755);
	path = in_dir("broken");
	find_is(path, -ENOEXEC, NULL);
	free(path);
	find_is("/nonexistent/python", -ENOENT, NULL);
	find_is("no-such-python", -ENOENT, NULL);
	find_is("3.999", -ENOENT, NULL);
	find_is("", -EINVAL, NULL);

	make_dirs(".pyenv/versions/3.7.1/bin");
	make_dirs(".pyenv/versions/3.7.12/bin");
	make_dirs(".pyenv/versions/3.70.1/bin");
	make_dirs(".pyenv/versions/3.7.13t/bin");
	make_dirs(".pyenv/shims");
	fake(".pyenv/versions/3.7.1/bin/python", "3.7.1");
	fake(".pyenv/versions/3.7.12/bin/python", "3.7.12");
	fake(".pyenv/versions/3.70.1/bin/python", "3.70.1");
	fake(".pyenv/versions/3.7.13t/bin/python", "3.7.13t");
	link_to("python", ".pyenv/versions/3.7.1/bin/python3.7");
	link_to("python", ".pyenv/versions/3.7.12/bin/python3.7");
	link_to("python", ".pyenv/versions/3.70.1/bin/python3.70");
	link_to("python", ".pyenv/versions/3.7.13t/bin/python3.7");
	py = NULL;
	ok(interpreter_find(store, "3.7", &py, NULL) == 0 && same(py->version, "3.7.12"),
		"the newest that pyenv has of a version: %s", py ? py->version : "-");
	interpreter_unref(py);
	py = NULL;
	ok(interpreter_find(store, "3.7.1", &py, NULL) == 0 && same(py->version, "3.7.1"),
		"or exactly that one");
	interpreter_unref(py);
	py = NULL;
	ok(interpreter_find(store, "3.7t", &py, NULL) == 0 && same(py->version, "3.7.13") &&
			same(py->abiflags, "t"),
		"or the free-threaded one");
	interpreter_unref(py);

	write_file(".pyenv/shims/python", "#!/bin/sh\necho >>started; exit 1\n", 0755);
	write_file(".pyenv/version", "3.7.1\n", 0644);
	unsetenv("PYENV_VERSION");
	path = in_dir(".pyenv/shims/python");
	if (chdir(dir) < 0)
		abort();
	py = NULL;
	ok(interpreter_find(store, path, &py, NULL) == 0 && same(py->version, "3.7.1"),
		"a shim is what pyenv's version file says");
	interpreter_unref(py);
	write_file(".python-version", "3.7.12\n", 0644);
	py = NULL;
	ok(interpreter_find(store, path, &py, NULL) == 0 && same(py->version, "3.7.12"),
		"or the directory's");
	interpreter_unref(py);
	setenv("PYENV_VERSION", "3.70.1", 1);
	py = NULL;
	ok(interpreter_find(store, path, &py, NULL) == 0 && same(py->version, "3.70.1"),
		"or the environment's");
	interpreter_unref(py);
	unsetenv("PYENV_VERSION");
	ok(access("started", F_OK) < 0, "and is not started for it");
	free(path);
}

static void test_real(const char *path_before)
{
	struct interpreter *py = NULL, *again = NULL;
	struct diag diag = {{0}};
	int r;

	setenv("PATH", path_before, 1);
	r = interpreter_find(store, NULL, &py, &diag);
	if (r == -ENOENT) {
		skip("no Python here: %s", diag.text);
		return;
	}
	ok(r == 0, "the default Python: %s", diag.text);
	if (r < 0)
		return;
	ok(py->executable[0] == '/' && access(py->executable, X_OK) == 0, "its executable: %s",
		py->executable);
	ok(py->major == 3 && py->minor >= 8 && str_starts(py->lib, "lib/") && py->magic &&
			py->markers && strstr(py->markers, "\"python_version\": \"3."),
		"its facts: %s %s %s", py->version, py->lib, py->magic);
	ok(!py->ensurepip || py->n_tags > 10, "with a bundled pip its tags: %zu", py->n_tags);
	ok(interpreter_recorded(store, py->executable, &again) == 0 &&
			same(again->markers, py->markers) && again->n_tags == py->n_tags,
		"recorded as asked");
	interpreter_unref(again);
	again = read_cfg(store, py->home, py->version, NULL, 0);
	ok(again && same(again->magic, py->magic), "an environment of it has its facts");
	interpreter_unref(again);
	interpreter_unref(py);
}

int main(void)
{
	char *path_before = strdup(getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin"), *own;
	struct diag diag = {{0}};

	if (!mkdtemp(dir))
		abort();
	own = in_dir("store");
	ok(store_open(own, NULL, 0, &store, &diag) == 0, "a store: %s", diag.text);
	if (!store)
		return done_testing();
	test_text();
	test_read();
	test_templates();
	test_spec();
	test_places();
	test_find();
	test_real(path_before);
	store_free(store);
	io_remove_tree_at(AT_FDCWD, dir);
	free(own);
	free(path_before);
	return done_testing();
}
