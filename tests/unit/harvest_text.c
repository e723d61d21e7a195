/* SPDX-License-Identifier: MIT */
#include "view/view.h"

#include "tests/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void back_and_forth(const char *text)
{
	struct harvest h = {0};
	struct str out = {0};

	ok(harvest_parse(text, &h) == 0 && harvest_format(&h, &out) == 0 && !strcmp(out.p, text),
		"reads as it was: %.*s", (int)strcspn(text, "\n"), text);
	harvest_free(&h);
	str_free(&out);
}

static void refused(const char *text)
{
	struct harvest h = {0};

	ok(harvest_parse(text, &h) == -EPROTO && !h.items, "refused: %.*s",
		(int)strcspn(text, "\n"), text);
}

int main(void)
{
	struct harvest h = {0};
	struct str out = {0};

	back_and_forth("dropped 0\n");
	back_and_forth("dropped 812\nadded requests 2.31.0 " HEX "\nremoved idna 3.7 " HEX "\n");
	back_and_forth("dropped 0\nkept a-1.0.dist-info why it is, with blanks\n");
	refused("more 1\n");
	refused("added requests\n");
	refused("added requests 2.31.0 1234\n");
	refused("kept a-1.0.dist-info\n");
	refused("added\n");

	ok(harvest_parse("kept a-1.0.dist-info x\n", &h) == 0 && h.n == 1, "one");
	free(h.items[0].why);
	h.items[0].why = strdup("two\nlines");
	ok(harvest_format(&h, &out) == 0 && strstr(out.p, "kept a-1.0.dist-info two lines\n"),
		"a reason stays one line");
	harvest_free(&h);
	str_free(&out);
	return done_testing();
}
