/* SPDX-License-Identifier: MIT */
#include "cmd/cfg_text.h"

#include "tests/tap.h"

#include <errno.h>
#include <string.h>

static struct interpreter py = {
	.executable = (char *)"/nonexistent/bin/python3",
	.home = (char *)"/nonexistent/bin",
	.version = (char *)"3.11.2",
	.major = 3,
	.minor = 11,
};

static bool has_line(const struct str *text, const char *line)
{
	const char *at = strstr(text->p, line);

	return at && (at == text->p || at[-1] == '\n') && at[strlen(line)] == '\n';
}

static void prompts(void)
{
	/* the right column is Python's repr() of the left one */
	static const char *const cases[][2] = {
		{"x", "'x'"},
		{"", "''"},
		{"it's", "\"it's\""},
		{"say \"x\"", "'say \"x\"'"},
		{"it's \"x\"", "'it\\'s \"x\"'"},
		{"back\\slash", "'back\\\\slash'"},
		{"\xc3\xa9\xe2\x82\xac\xf0\x9d\x9c\x8b", "'\xc3\xa9\xe2\x82\xac\xf0\x9d\x9c\x8b'"},
		{"\xc2\xa0\xc2\x85\xc2\xad", "'\\xa0\\x85\\xad'"},
		{"\xe2\x80\x8b\xe3\x80\x80\xef\xbb\xbf", "'\\u200b\\u3000\\ufeff'"},
		{"\xf4\x80\x80\x80", "'\\U00100000'"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct cfg_options o = {.prompt = cases[i][0]};
		auto_str struct str text = {0};
		char line[128];

		snprintf(line, sizeof line, "prompt = %s", cases[i][1]);
		ok(cfg_text(&py, "/e", &o, NULL, &text, NULL) == 0 && has_line(&text, line), "%s",
			line);
	}
	for (size_t i = 0; i < 3; i++) {
		static const char *const bad[] = {"a\nb", "a\x7f", "\xff"};
		auto_str struct str text = {0};

		ok(cfg_text(&py, "/e", &(struct cfg_options){.prompt = bad[i]}, NULL, &text,
			   NULL) == -EINVAL,
			"prompt %zu is refused", i);
	}
}

static void whole(void)
{
	struct cfg_options o = {.without_pip = true, .system_site = true, .prompt = "p q"};
	struct digest lock = {{0xab}};
	auto_str struct str text = {0}, old = {0};

	ok(cfg_text(&py, "/root/e", &o, &lock, &text, NULL) == 0 &&
			!strcmp(text.p, "home = /nonexistent/bin\n"
					"include-system-site-packages = true\n"
					"version = 3.11.2\n"
					"prompt = 'p q'\n"
					"executable = /nonexistent/bin/python3\n"
					"command = /nonexistent/bin/python3 -m venv --without-pip "
					"--system-site-packages --prompt=\"p q\" /root/e\n"
					"venvfs-lock = "
					"sha256:ab00000000000000000000000000000000000000000000000"
					"000000000000000\n"),
		"all of it for 3.11");
	py.minor = 10;
	py.version = (char *)"3.10.1";
	ok(cfg_text(&py, "/root/e", &(struct cfg_options){0}, NULL, &old, NULL) == 0 &&
			!strcmp(old.p, "home = /nonexistent/bin\n"
				       "include-system-site-packages = false\n"
				       "version = 3.10.1\n"
				       "venvfs-lock = none\n"),
		"and for 3.10");
}

/* venv's own order, whatever the order on the command line */
static void every_option(void)
{
	struct cfg_options o = {.prompt = "p",
		.copies = true,
		.without_pip = true,
		.system_site = true,
		.clear = true,
		.upgrade = true,
		.upgrade_deps = true,
		.without_ignore = true};
	auto_str struct str text = {0}, newer = {0};

	py.minor = 12;
	py.version = (char *)"3.12.1";
	ok(cfg_text(&py, "/e", &o, NULL, &text, NULL) == 0 &&
			has_line(&text,
				"command = /nonexistent/bin/python3 -m venv --copies --without-pip "
				"--system-site-packages --clear --upgrade --upgrade-deps "
				"--prompt=\"p\" /e"),
		"the options of 3.12");
	py.minor = 13;
	ok(cfg_text(&py, "/e", &o, NULL, &newer, NULL) == 0 &&
			has_line(&newer,
				"command = /nonexistent/bin/python3 -m venv --copies --without-pip "
				"--system-site-packages --clear --upgrade --upgrade-deps "
				"--prompt=\"p\" --without-scm-ignore-files /e"),
		"3.13 has one more");
}

int main(void)
{
	prompts();
	whole();
	every_option();
	return done_testing();
}
