/* SPDX-License-Identifier: MIT */
#include "view/whiteout.h"

#include "tests/tap.h"

#include <errno.h>
#include <string.h>

int main(void)
{
	char mark[NAME_MAX + 1], other[NAME_MAX + 1], name[NAME_MAX + 2];
	const char *of;

	ok(whiteout_name("a.py", mark) == 0 && !strcmp(mark, ".wh.a.py"), "a name's whiteout");
	of = whiteout_of(mark);
	ok(of && !strcmp(of, "a.py"), "and back");
	ok(!whiteout_of("a.py") && !whiteout_of(".wh") && !whiteout_of(".wh.") && !whiteout_of(""),
		"an ordinary name is no whiteout");
	ok(!whiteout_of(WHITEOUT_OPAQUE) && !whiteout_of(WHITEOUT_REDIRECT),
		"the marks of a directory delete nothing");

	memset(name, 'x', NAME_MAX);
	name[NAME_MAX - 4] = '\0';
	ok(whiteout_name(name, mark) == 0 && strlen(mark) == NAME_MAX,
		"the longest name that fits");
	name[NAME_MAX - 4] = 'x';
	name[NAME_MAX - 3] = '\0';
	ok(whiteout_name(name, mark) == 0 && strlen(mark) == strlen(WHITEOUT_LONG) + 16 &&
			name_reserved(mark) && !whiteout_of(mark),
		"one byte more has a mark by checksum");
	name[NAME_MAX - 3] = 'x';
	name[NAME_MAX - 4] = 'y';
	name[NAME_MAX] = '\0';
	ok(whiteout_name(name, other) == 0 && strcmp(mark, other) != 0, "and each name its own");
	name[NAME_MAX] = 'x';
	name[NAME_MAX + 1] = '\0';
	ok(whiteout_name(name, mark) == -ENAMETOOLONG, "what is no name has none");

	ok(name_reserved(".wh.a") && name_reserved(WHITEOUT_OPAQUE) && name_reserved(".venvfs") &&
			name_reserved(".venvfs-tmp.1"),
		"reserved names");
	ok(!name_reserved("a") && !name_reserved(".wha") && !name_reserved("venvfs") &&
			!name_reserved("wh.a") && !name_reserved(""),
		"all others are free");
	ok(name_temporary(".venvfs-tmp.1.2") && !name_temporary(".venvfs"),
		"a temporary name is told from the others");
	return done_testing();
}
