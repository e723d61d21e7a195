/* SPDX-License-Identifier: MIT */
#include "cmd/want.h"

#include "tests/tap.h"

#include <errno.h>
#include <string.h>

static const char *const tags[] = {"cp311-cp311-manylinux_2_36_x86_64", "cp311-cp311-manylinux_2_17_x86_64",
	"cp311-abi3-manylinux_2_17_x86_64", "cp311-none-any", "py311-none-any", "py3-none-any"};
static const struct interpreter py = {.tags = (char **)tags, .n_tags = sizeof tags / sizeof *tags};

static void rank(void)
{
	static const struct {
		const char *tags;
		int rank;
	} cases[] = {
		{"py3-none-any", 5},
		{"py2.py3-none-any", 5},
		{"cp311-none-any", 3},
		{"cp311.py3-none-any", 3},
		{"numpy-2.1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", 1},
		{"numpy-2.1.0-1-cp311-cp311-manylinux_2_17_x86_64.whl", 1},
		{"a-1-cp38.cp311-abi3-manylinux_2_17_x86_64.whl", 2},
		{"cp311-cp311-manylinux_2_17_x86_64.manylinux_2_36_x86_64", 0},
		{"cp312-cp312-manylinux_2_17_x86_64", -1},
		{"cp311-cp311-win_amd64", -1},
		{"cp311-cp311-manylinux_2_17_x86_6", -1},
		{"py3-none-anyx", -1},
		{"py2-none-any", -1},
		{"py3-none", -1},
		{"py3", -1},
		{"", -1},
		{"-", -1},
		{"--", -1},
		{"py3--any", -1},
		{".-none-any", -1},
		{".whl", -1},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int is = want_tag_rank(&py, cases[i].tags);

		ok(is == cases[i].rank, "\"%s\" has rank %d (%d)", cases[i].tags, cases[i].rank,
			is);
	}
	ok(want_tag_rank(&(struct interpreter){0}, "py3-none-any") == -1, "no tags, no rank");
}

static void lines(void)
{
	struct digest address = {{1}}, wheel = {{2}};
	struct want w = {.name = strdup("demo")};
	struct wants all = {0};

	ok(want_found(&w, "1.0", &address, "demo-1.0-py3-none-any.whl", &wheel) == 0 && w.found,
		"found");
	ok(!strcmp(w.line.name, "demo") && !strcmp(w.line.version, "1.0") &&
			digest_equal(&w.line.address, &address) && w.line.requested &&
			digest_equal(&w.line.wheel, &wheel) && !w.line.has_origin,
		"its line is complete");
	ok(want_found(&w, "1.0", &address, NULL, NULL) == 0 && !w.line.wheel_name,
		"found again as a build, without a wheel");
	ok(wants_add(&all, &w) == 0 && all.n == 1 && !w.name && !w.found,
		"added by taking it over");
	want_fault(&all.list[0], &(struct diag){"first"}, -EIO);
	want_fault(&all.list[0], &(struct diag){"second"}, -EIO);
	ok(!strcmp(all.list[0].fault.text, "first"), "the first fault stays");
	wants_free(&all);
	ok(all.n == 0 && !all.list, "freed");
}

int main(void)
{
	rank();
	lines();
	return done_testing();
}
