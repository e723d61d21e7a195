/* SPDX-License-Identifier: MIT */
#include "base/str.h"

#include "tests/tap.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void test_add(void)
{
	struct str s = {0};
	char *p;

	ok(str_add(&s, "") == 0 && s.p && s.len == 0 && !*s.p, "adding nothing gives a text");
	ok(str_add(&s, "ab") == 0 && str_add_mem(&s, "\0c", 2) == 0 && s.len == 4 &&
			!memcmp(s.p, "ab\0c", 5),
		"bytes may be NUL, and a NUL is behind them");
	ok(str_addf(&s, "-%d-%s", 42, "x") == 0 && s.len == 9 && !strcmp(s.p + 4, "-42-x"),
		"formatted text");
	str_truncate(&s, 2);
	ok(s.len == 2 && !strcmp(s.p, "ab"), "truncated");
	str_truncate(&s, 7);
	ok(s.len == 2, "truncating does not lengthen");
	p = str_steal(&s);
	ok(!strcmp(p, "ab") && !s.p && !s.len && !s.cap, "stolen");
	free(p);
	p = str_steal(&s);
	ok(p && !*p, "of nothing, an empty text is stolen");
	free(p);
	str_truncate(&s, 0);
	ok(!s.p, "truncating nothing");
	str_free(&s);
	str_free(&s);
}

static void test_grow(void)
{
	struct str s = {0};
	bool good = true;
	char word[32];

	for (int i = 0; i < 20000; i++) {
		snprintf(word, sizeof word, "%d,", i);
		good = good && str_addf(&s, "%s", word) == 0;
	}
	ok(good && s.len == strlen(s.p) && str_starts(s.p, "0,1,2,") && str_ends(s.p, ",19999,"),
		"20,000 pieces");
	ok(s.cap < 3 * s.len, "without more than twice the room");
	ok(str_reserve(&s, SIZE_MAX) == -ENOMEM && str_reserve(&s, SIZE_MAX - s.len) == -ENOMEM &&
			str_ends(s.p, ",19999,"),
		"what can not be had leaves it as it was");
	str_free(&s);
	ok(str_reserve(&s, 100) == 0 && s.cap > 100 && s.len == 0, "room in advance");
	str_free(&s);
}

static void test_ends(void)
{
	ok(str_starts("abc", "ab") && str_starts("abc", "") && !str_starts("ab", "abc") &&
			!str_starts("abc", "bc"),
		"how a text begins");
	ok(str_ends("abc", "bc") && str_ends("abc", "") && !str_ends("bc", "abc") &&
			!str_ends("abc", "ab"),
		"how a text ends");
}

static void walk(const char *path, const char *want)
{
	struct str got = {0};
	const char *part;
	size_t n;

	str_add(&got, "");
	for (const char *rest = path; (part = path_next(&rest, &n));) {
		str_add_mem(&got, part, n);
		str_add(&got, "|");
	}
	ok(!strcmp(got.p, want), "components of \"%s\"", path);
	str_free(&got);
}

int main(void)
{
	test_add();
	test_grow();
	test_ends();
	walk("", "");
	walk("/", "");
	walk("a", "a|");
	walk("/a//b/", "a|b|");
	walk("./..//a b", ".|..|a b|");
	ok(!strcmp(path_base("/a/b"), "b") && !strcmp(path_base("b"), "b") && !*path_base("a/"),
		"the last component");
	return done_testing();
}
