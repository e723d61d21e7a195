/* SPDX-License-Identifier: MIT */
#include "py/cfg.h"

#include "tests/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void home_is(const char *text, const char *home, const char *what)
{
	struct cfg c = {0};
	int r = cfg_parse(text, strlen(text), &c, NULL);

	ok(r == 0 && same(c.home, home), "%s", what);
	cfg_free(&c);
}

static void refused(const char *text, const char *what)
{
	struct diag diag = {{0}};
	struct cfg c = {0};
	int r = cfg_parse(text, strlen(text), &c, &diag);

	ok(r == -EINVAL && diag.text[0] && !c.home, "refused: %s: %s", what, diag.text);
	cfg_free(&c);
}

static void test_home(void)
{
	home_is("home = /b/bin\n", "/b/bin", "canonical");
	home_is("home=/b/bin", "/b/bin", "no blanks, no newline");
	home_is("HOME = /b/bin\n", "/b/bin", "upper case");
	home_is(" \thome\t=\t/b/bin \t\r\n", "/b/bin", "blanks and CRLF");
	home_is("home = /b/bin//\n", "/b/bin", "trailing slashes");
	home_is("home = /\n", "/", "the root");
	home_is("# home = /c\n; x\n[s]\n\nhome = /b # c\n", "/b # c", "no comment behind a value");
	home_is("x = y\n  home = /first\nhome = /b\n", "/first", "the first home counts");
	home_is("home = /a=b\n", "/a=b", "split at the first =");
	home_is("home =\xc2\xa0/b\xe3\x80\x80\n", "/b", "Unicode blanks are stripped");
	home_is("home = /\xc3\xa4\n", "/\xc3\xa4", "UTF-8 in the path");
	home_is("home = /b\nversion = 3.10.4\n", "/b", "canonical for 3.10");
	home_is("home=/b\nversion = 3.12.4\n", "/b", "the short form for 3.12");
	refused("", "nothing");
	refused("version = 3.11.2\n", "no home");
	refused("home =\nhome = /b\n", "first home empty");
	refused("home = b/bin\n", "relative");
	refused("home = \"/b/bin\"\n", "quoted");
	refused("\xef\xbb\xbfhome = /b\n", "byte order mark");
	refused("home = /a\rversion = 3\r", "lines that end in CR alone");
	refused("home = /b\nx = \xff\n", "not UTF-8");
	refused("home = /b\nx = \xed\xa0\x80\n", "a surrogate");
	refused("home = /b\nx = \xc0\x80\n", "overlong");
	refused("home=/b\nversion = 3.10.4\n", "a form that 3.10 does not see");
	refused("version = 3.9\nhome = /b", "no newline for 3.9");
	refused("version = 3.8.1\nhome =  /b\n", "two blanks for 3.8");
}

static void test_limits(void)
{
	struct cfg c = {0};
	char *big = malloc(CFG_MAX + 1);
	struct diag diag = {{0}};

	memset(big, 'x', CFG_MAX + 1);
	memcpy(big, "home = /b\n", 10);
	ok(cfg_parse(big, CFG_MAX, &c, &diag) == 0, "32767 bytes are accepted");
	cfg_free(&c);
	ok(cfg_parse(big, CFG_MAX + 1, &c, &diag) == -EFBIG && diag.text[0], "32768 are not: %s",
		diag.text);
	ok(cfg_parse("home = /b\n\0\n", 12, &c, &diag) == -EINVAL, "NUL is refused");

	memset(big, 'x', 9000);
	strcpy(big + 9000, "\nhome = /b\nversion = 3.9.1\n");
	ok(cfg_parse(big, strlen(big), &c, &diag) == -EINVAL, "a long line before home, for 3.9");
	strcpy(big + 9000, "\nhome = /b\nversion = 3.12.1\n");
	ok(cfg_parse(big, strlen(big), &c, &diag) == 0, "the same for 3.12");
	cfg_free(&c);
	free(big);
}

static void test_keys(void)
{
	static const char all[] = "home = /usr/bin\n"
				  "include-system-site-packages = false\n"
				  "version = 3.11.2\n"
				  "prompt = 'it\\'s \\\\ \\u00e4\\U0001f40d'\n"
				  "executable = /usr/bin/python3.11\n"
				  "command = /usr/bin/python3 -m venv /home/u/x\n"
				  "venvfs-lock = sha256:" HEX "\n";
	struct cfg c = {0};
	char hex[DIGEST_HEX + 1] = "";

	ok(cfg_parse(all, sizeof all - 1, &c, NULL) == 0, "what venv writes parses");
	ok(same(c.version, "3.11.2") && same(c.executable, "/usr/bin/python3.11"), "its keys");
	ok(same(c.invoked, "/usr/bin/python3"), "how venv was started: %s", c.invoked);
	ok(same(c.prompt, "it's \\ \xc3\xa4\xf0\x9f\x90\x8d"), "its prompt is unquoted: %s",
		c.prompt);
	ok(!c.system_site && c.lock_kind == CFG_LOCK_DIGEST, "no system site, a lock");
	digest_format(&c.lock, hex);
	ok(same(hex, HEX), "the lock's digest");
	cfg_free(&c);
}

static void ignore(const char *command, bool want)
{
	char text[256];
	struct cfg c = {0};
	int n = snprintf(text, sizeof text, "home = /usr/bin\ncommand = %s\n", command);

	ok(cfg_parse(text, (size_t)n, &c, NULL) == 0 && c.without_ignore == want, "%s: %s", command,
		want ? "no .gitignore" : "as ever");
	cfg_free(&c);
}

static void test_command(void)
{
	ignore("/usr/bin/python3 -m venv --without-scm-ignore-files /home/u/x", true);
	ignore("/usr/bin/python3 -m venv --copies --without-scm-ignore-files /home/u/x", true);
	ignore("/usr/bin/python3 -m venv --without-pip /home/u/x", false);
	ignore("/usr/bin/python3 -m venv /home/u/ --without-scm-ignore-files x", false);
	ignore("/usr/bin/python3 -m venv --without-scm-ignore-files", false);
	ignore("/usr/bin/python3 -m venv --", false);
	ignore("/usr/bin/python3 -m venv ", false);
}

static void test_values(void)
{
	static const struct {
		const char *text, *version, *prompt;
		bool system_site;
		enum cfg_lock lock;
	} t[] = {
		{"", NULL, NULL, true, CFG_LOCK_ABSENT},
		{"include-system-site-packages = TRUE\n", NULL, NULL, true, CFG_LOCK_ABSENT},
		{"include-system-site-packages = true # x\n", NULL, NULL, false, CFG_LOCK_ABSENT},
		{"include-system-site-packages = 1\n", NULL, NULL, false, CFG_LOCK_ABSENT},
		{"include-system-site-pac\xe2\x84\xaa"
		 "ages = false\n",
			NULL, NULL, false, CFG_LOCK_ABSENT},
		{"include-system-site-packages = false\rinclude-system-site-packages = true\n",
			NULL, NULL, true, CFG_LOCK_ABSENT},
		{"version_info = 3.11.2.final.0\n", "3.11.2", NULL, true, CFG_LOCK_ABSENT},
		{"version_info = 3.12\n", "3.12", NULL, true, CFG_LOCK_ABSENT},
		{"version = 3.13.0rc1\nversion_info = 3.9.9\n", "3.13.0", NULL, true,
			CFG_LOCK_ABSENT},
		{"version = ../..\n", NULL, NULL, true, CFG_LOCK_ABSENT},
		{"version = 3\n", NULL, NULL, true, CFG_LOCK_ABSENT},
		{"version = 99999999999.1\n", NULL, NULL, true, CFG_LOCK_ABSENT},
		{"prompt = a 'b'\n", NULL, "a 'b'", true, CFG_LOCK_ABSENT},
		{"prompt = \"it's\"\n", NULL, "it's", true, CFG_LOCK_ABSENT},
		{"prompt = 'a\\x00'\n", NULL, "'a\\x00'", true, CFG_LOCK_ABSENT},
		{"prompt = 'a\\'\n", NULL, "'a\\'", true, CFG_LOCK_ABSENT},
		{"prompt = '\n", NULL, "'", true, CFG_LOCK_ABSENT},
		{"prompt =\n", NULL, NULL, true, CFG_LOCK_ABSENT},
		{"prompt = ''\n", NULL, "", true, CFG_LOCK_ABSENT},
		{"venvfs-lock = sha256:" HEX "\nVenvFS-Lock=none\n", NULL, NULL, true,
			CFG_LOCK_NONE},
	};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct str text = {0};
		struct cfg c = {0};
		int r;

		str_addf(&text, "home = /b\n%s", t[i].text);
		r = cfg_parse(text.p, text.len, &c, NULL);
		ok(r == 0 && same(c.version, t[i].version) && same(c.prompt, t[i].prompt) &&
				c.system_site == t[i].system_site && c.lock_kind == t[i].lock,
			"row %zu: version %s, prompt %s", i, c.version ? c.version : "-",
			c.prompt ? c.prompt : "-");
		cfg_free(&c);
		str_free(&text);
	}
	refused("home = /b\nvenvfs-lock =\n", "an empty lock");
	refused("home = /b\nvenvfs-lock = None\n", "None");
	refused("home = /b\nvenvfs-lock = sha256:" HEX "0\n", "65 digits");
	refused("home = /b\nvenvfs-lock = sha256:ABC\n", "no digest");
}

static void set_lock(const char *before, bool none, const char *after)
{
	static int nth;
	struct str text = {0};
	struct digest id;
	int r;

	digest_parse(HEX, DIGEST_HEX, &id);
	if (*before)
		str_add(&text, before);
	r = cfg_set_lock(&text, none ? NULL : &id);
	ok(r == 0 && same(text.p, after), "the lock's line %d", ++nth);
	str_free(&text);
}

static void test_set_lock(void)
{
	struct str text = {0};

	set_lock("", true, "venvfs-lock = none\n");
	set_lock("home = /b\n", false, "home = /b\nvenvfs-lock = sha256:" HEX "\n");
	set_lock("home = /b", true, "home = /b\nvenvfs-lock = none\n");
	set_lock("home = /b\r\n", true, "home = /b\r\nvenvfs-lock = none\r\n");
	set_lock("home = /b\r\nx = y", true, "home = /b\r\nx = y\r\nvenvfs-lock = none\r\n");
	set_lock("# c\n VENVFS-LOCK=none\t\r\nhome = /b\n", false,
		"# c\nvenvfs-lock = sha256:" HEX "\r\nhome = /b\n");
	set_lock("venvfs-lock = sha256:" HEX "\nhome = /b", true, "venvfs-lock = none\nhome = /b");
	set_lock("venvfs-lock = a\nvenvfs-lock = b\nhome = /b\n", true,
		"venvfs-lock = a\nvenvfs-lock = none\nhome = /b\n");
	set_lock("home = /b\r", true, "home = /b\r\nvenvfs-lock = none\n");
	set_lock("home = /b\nvenvfs-lock = none", true, "home = /b\nvenvfs-lock = none\n");

	for (int i = 0; i < CFG_MAX - 8; i++)
		str_add(&text, "x");
	ok(cfg_set_lock(&text, NULL) == -EFBIG && text.len == CFG_MAX - 8,
		"no line that would make the file too large");
	str_free(&text);
}

int main(void)
{
	test_home();
	test_limits();
	test_keys();
	test_values();
	test_command();
	test_set_lock();
	return done_testing();
}
