/* SPDX-License-Identifier: MIT */
#include "store/config.h"

#include "base/io.h"

#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[4096];

static void write_file(const char *text, size_t n)
{
	int at = open(dir, O_RDONLY | O_DIRECTORY), fd;

	if (io_mkdirs_at(at, ".config/venvfs", 0755) < 0)
		abort();
	fd = openat(at, ".config/venvfs/venvfs.conf", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || io_write_full(fd, text, n) < 0)
		abort();
	close(fd);
	close(at);
}

/* With the home directory as "/h". */
static void show(struct str *to, const char *before, const char *path, const char *behind)
{
	size_t n = strncmp(path, dir, strlen(dir)) == 0 ? strlen(dir) : 0;

	str_addf(to, "%s%s%s%s", before, n ? "/h" : "", path + n, behind);
}

/* The shown form of what a file says: "store tiers... root compile". */
static int load_n(const char *text, size_t n, struct str *ret, struct diag *diag)
{
	struct config c = {0};
	int r;

	write_file(text, n);
	r = config_load(&c, diag);
	if (r == 0) {
		show(ret, "", c.store, "");
		for (size_t i = 0; i < c.n_tiers; i++)
			show(ret, " [", c.tiers[i], "]");
		show(ret, " ", c.root, c.compile ? " yes" : " no");
	}
	config_free(&c);
	return r;
}

static void says(const char *text, const char *want, const char *what)
{
	struct diag diag = {{0}};
	struct str got = {0};
	int r = load_n(text, strlen(text), &got, &diag);

	ok(r == 0 && !strcmp(got.p, want), "%s: %s", what, r == 0 ? got.p : diag.text);
	str_free(&got);
}

static void refused(const char *text, const char *place, const char *what)
{
	struct diag diag = {{0}};
	struct str got = {0};
	int r = load_n(text, strlen(text), &got, &diag);

	ok(r == -EINVAL && strstr(diag.text, "/.config/venvfs/venvfs.conf:") &&
			strstr(diag.text, place),
		"refused: %s: %s", what, r == 0 ? got.p : diag.text);
	str_free(&got);
}

static void test_values(void)
{
	says("", "/h/.local/share/venvfs/store /h/envs yes", "the defaults");
	says("# c\n; c\n\n[store]\n[mount]\n", "/h/.local/share/venvfs/store /h/envs yes",
		"nothing but comments");
	says("[store]\npath = /s\ntiers = /a:/b c\ncompile = no\n[mount]\nroot = /r\n",
		"/s [/a] [/b c] /r no", "every key");
	says("[store]\r\npath=/s\r\ncompile:off\r\n", "/s /h/envs no", "other ways to write it");
	says("\xef\xbb\xbf[store]\npath = /s", "/s /h/envs yes", "a byte order mark");
	says("  [store]\n\tpath = /s\n\t\ttiers = /a\n [mount]\n", "/s [/a] /h/envs yes",
		"indented lines are lines like others");
	says("[store]\npath = ~/s\ntiers = ~:~/t/\n[mount]\nroot = ~/r//\n",
		"/h/s [/h] [/h/t] /h/r yes", "~ and slashes at the end");
	says("[store]\npath = /\ntiers = :/a::/b:\n", "/ [/a] [/b] /h/envs yes",
		"empty tiers are none");
	says("[store]\ntiers =\n", "/h/.local/share/venvfs/store /h/envs yes", "no tiers");
	says("[store]\npath = /s ; a comment\n", "/s /h/envs yes", "a comment behind a value");
	says("[store]\ncompile = Yes\n[store]\npath = /s\n", "/s /h/envs yes", "a section again");
}

static void test_refused(void)
{
	struct str text = {0};

	refused("path = /s\n", ":1: [] path", "a key in front of every section");
	refused("[stoer]\npath = /s\n", ":2: [stoer] path", "an unknown section");
	refused("\n[store]\n\npaths = /s\n", ":4: [store] paths", "an unknown key");
	refused("[mount]\npath = /s\n", ":2: [mount] path", "a key of another section");
	refused("[store]\nPath = /s\n", ":2: [store] Path", "another case");
	refused("[store]\npath = /a\npath = /a\n", ":3: [store] path", "a key twice");
	refused("[store]\npath = s\n", ":2: [store] path: \"s\"", "a relative path");
	refused("[store]\npath = ~bob/s\n", ":2: [store] path", "another user's home");
	refused("[store]\npath = $HOME/s\n", ":2: [store] path", "a variable");
	refused("[store]\npath =\n", ":2: [store] path", "an empty path");
	refused("[store]\ntiers = /a:b\n", ":2: [store] tiers", "a relative tier");
	refused("[store]\ntiers = /a\n  :/b\n  /c\n", ":3", "a value over two lines");
	refused("[store]\ncompile = maybe\n", ":2: [store] compile: \"maybe\"", "no truth value");
	refused("[store]\ncompile =\n", ":2: [store] compile", "an empty truth value");
	refused("[store\npath = /s\n", ":1:", "a section that is not closed");
	refused("[store]\npath\n", ":2:", "a key without a value");
	refused("[store]\nnonsense\npath = s\n", ":2:", "the first of two errors");
	refused("[store]\npath = s\nnonsense\n", ":2: [store] path", "the other way round");
	str_add(&text, "[store]\n# c\npath = /");
	for (int i = 0; i < 100000; i++)
		str_add(&text, "x");
	str_add(&text, "\n");
	refused(text.p, ":3: the line is longer than", "a line that inih would cut");
	str_free(&text);

	struct diag diag = {{0}};
	int r = load_n("[store]\0\n", 9, &text, &diag);

	ok(r == -EINVAL && strstr(diag.text, "NUL"), "refused: a NUL: %s", diag.text);
	str_free(&text);
}

static void test_environment(void)
{
	struct config c = {0};
	struct diag diag = {{0}};

	write_file("", 0);
	setenv("XDG_DATA_HOME", "/data", 1);
	ok(config_load(&c, NULL) == 0 && !strcmp(c.store, "/data/venvfs/store"), "XDG_DATA_HOME");
	config_free(&c);
	setenv("XDG_DATA_HOME", "data", 1);
	ok(config_load(&c, NULL) == 0 && !strncmp(c.store, dir, strlen(dir)),
		"a relative one is ignored");
	config_free(&c);
	setenv("XDG_DATA_HOME", "", 1);
	ok(config_load(&c, NULL) == 0 && !strncmp(c.store, dir, strlen(dir)), "and an empty one");
	config_free(&c);
	unsetenv("XDG_DATA_HOME");

	write_file("[mount]\nroot = /r\n", 18);
	setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
	ok(config_load(&c, NULL) == 0 && !strcmp(path_base(c.root), "envs"),
		"XDG_CONFIG_HOME, and a file that is not there");
	config_free(&c);
	unsetenv("XDG_CONFIG_HOME");
	ok(config_load(&c, NULL) == 0 && !strcmp(c.root, "/r"), "else ~/.config");
	config_free(&c);

	setenv("HOME", "/dev/null", 1);
	ok(config_load(&c, &diag) == 0 && !strcmp(c.root, "/dev/null/envs"),
		"a home that is no directory: %s", diag.text);
	config_free(&c);
	setenv("HOME", dir, 1);
}

static void test_tiers(void)
{
	struct config c = {0};

	write_file("[store]\ntiers = /a:/b\n", 22);
	ok(config_load(&c, NULL) == 0 && config_add_tier(&c, "/y") == 0 &&
			config_add_tier(&c, "/x") == 0,
		"tiers are added");
	ok(c.n_tiers == 4 && !strcmp(c.tiers[0], "/x") && !strcmp(c.tiers[1], "/y") &&
			!strcmp(c.tiers[2], "/a") && !strcmp(c.tiers[3], "/b"),
		"on top of those of the file");
	config_free(&c);
	ok(!c.store && !c.tiers && !c.n_tiers, "nothing is left");
	ok(config_add_tier(&c, "/x") == 0 && c.n_tiers == 1, "one alone");
	config_free(&c);
}

static void harvest(const char *text, int r, int64_t want)
{
	int64_t ns = 7;

	ok(config_parse_harvest(text, &ns) == r && ns == want, "harvest = %s", text);
}

static void test_harvest(void)
{
	struct config c = {0};

	write_file("", 0);
	ok(config_load(&c, NULL) == 0 && c.harvest_ns == 2000000000,
		"two seconds if nothing is said");
	config_free(&c);
	write_file("[mount]\nharvest = no\n", 21);
	ok(config_load(&c, NULL) == 0 && c.harvest_ns == -1, "no");
	config_free(&c);
	harvest("0", 0, 0);
	harvest("1.5", 0, 1500000000);
	harvest("86400", 0, 86400000000000);
	harvest("OFF", 0, -1);
	harvest("86401", -EINVAL, 7);
	harvest("-1", -EINVAL, 7);
	harvest("1e3", -EINVAL, 7);
	harvest("1.2.3", -EINVAL, 7);
	harvest("nan", -EINVAL, 7);
	harvest("", -EINVAL, 7);
	refused("[mount]\nharvest = soon\n", "harvest", "a word");
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");

	if (access("/etc/venvfs/venvfs.conf", F_OK) == 0) {
		skip("/etc/venvfs/venvfs.conf is in the way");
		return done_testing();
	}
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("XDG_DATA_HOME");
	snprintf(dir, sizeof dir, "%s/venvfs-unit-config.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(dir)) {
		printf("Bail out! %s: %s\n", dir, strerror(errno));
		return 1;
	}
	setenv("HOME", dir, 1);
	test_values();
	test_refused();
	test_environment();
	test_tiers();
	test_harvest();
	io_remove_tree_at(AT_FDCWD, dir);
	return done_testing();
}
