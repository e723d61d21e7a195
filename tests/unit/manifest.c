/* SPDX-License-Identifier: MIT */
#include "store/manifest.h"

#include "tests/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define HEAD "venvfs-manifest 1\nname a\nversion 1\n"
#define F(tree, path) "file " tree " - 1 " HEX " " path "\n"

/* The format is a promise: this text and its digest must never change. */
static const char golden[] =
	"venvfs-manifest 1\n"
	"name demo-pkg\n"
	"version 1.0+local.1\n"
	"info demo_pkg-1.0+local.1.dist-info\n"
	"tag cp311-cp311-manylinux2014_x86_64\n"
	"tag cp311-cp311-manylinux_2_17_x86_64\n"
	"entry-point console Demo demo:main\n"
	"entry-point console demo tool demo.cli:App.run\n"
	"entry-point gui demo demo.gui:main\n"
	"file site - 0 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 "
	"demo/__init__.py\n"
	"file site x 17 " HEX " demo/a b/c.sh\n"
	"file site - 131073 " HEX " demo/a b.py\n"
	"file site - 9223372036854775807 " HEX " demo-1.py\n"
	"file site - 1 " HEX " d\xc3\xa9mo.py\n"
	"file bin x 8 " HEX " Tool\n"
	"file bin x 8 " HEX " tool\n"
	"file data - 1 " HEX " share/man/man1/demo.1\n"
	"file headers - 1 " HEX " demo.h\n"
	"file pyc - 1 " HEX " demo/__pycache__/x.cpython-311.pyc\n";
static const char golden_id[] = "c03900da4156c96b0877af65848fe106a8627f9c7d9fd5ba99c6bd4d18cf0c95";

static void test_golden(void)
{
	struct diag diag = {{0}};
	struct manifest *m = NULL;
	struct str text = {0};
	struct digest id;
	char hex[DIGEST_HEX + 1] = "";
	int r = manifest_parse(golden, strlen(golden), &m, &diag);

	if (!ok(r == 0, "the golden manifest parses: %s", diag.text))
		return;
	ok(!strcmp(m->name, "demo-pkg") && !strcmp(m->version, "1.0+local.1") &&
			!strcmp(m->info, "demo_pkg-1.0+local.1.dist-info") && m->n_tags == 2 &&
			m->n_entry_points == 3 && m->n_entries == 10,
		"its head and counts");
	ok(!m->entry_points[1].gui && !strcmp(m->entry_points[1].name, "demo tool") &&
			!strcmp(m->entry_points[1].target, "demo.cli:App.run") &&
			m->entry_points[2].gui,
		"entry points, one with a space in its name");
	ok(m->entries[1].exec && m->entries[1].size == 17 && !m->entries[2].exec &&
			m->entries[3].size == INT64_MAX && m->entries[1].digest.b[1] == 0x11,
		"modes, sizes and digests");
	r = manifest_format(m, &text);
	ok(r == 0 && text.len == strlen(golden) && !memcmp(text.p, golden, text.len),
		"it is written as it was");
	digest_buf(text.p, text.len, &id);
	digest_format(&id, hex);
	ok(!strcmp(hex, golden_id), "its SHA-256 is the golden one: %s", hex);
	manifest_free(m);
	str_free(&text);
}

static void test_find(void)
{
	struct manifest *m = NULL;
	uint64_t offsets[10], size;
	size_t first, end;

	if (manifest_parse(golden, strlen(golden), &m, NULL) < 0)
		return;
	manifest_tree(m, TREE_BIN, &first, &end);
	ok(first == 5 && end == 7, "the range of tree bin");
	manifest_tree(m, TREE_PYC, &first, &end);
	ok(first == 9 && end == 10, "the range of the last tree");
	ok(manifest_find(m, TREE_SITE, "demo/a b.py") == &m->entries[2], "an entry is found");
	ok(manifest_find(m, TREE_HEADERS, "demo.h") == &m->entries[8], "in another tree");
	ok(!manifest_find(m, TREE_SITE, "demo.h") && !manifest_find(m, TREE_SITE, "demo") &&
			!manifest_find(m, TREE_SITE, "demo/__init__.pyc"),
		"what is not there is not");
	size = manifest_layout(m, offsets);
	ok(offsets[0] == 0 && offsets[1] == 0 && offsets[4] == 4096 && offsets[5] == 8192,
		"empty files and blobs take no room in the pack");
	ok(size == 7 * 4096, "the pack's size: %llu", (unsigned long long)size);
	manifest_free(m);
}

static void refused(const char *text, size_t n, const char *what)
{
	struct diag diag = {{0}};
	struct manifest *m = NULL;
	int r = manifest_parse(text, n, &m, &diag);

	ok(r == -EPROTO && !m && diag.text[0], "refused: %s: %s", what, diag.text);
	manifest_free(m);
}

static void test_refused(void)
{
	static const struct {
		const char *text, *what;
	} t[] = {
		{"", "nothing"},
		{"\n", "an empty line alone"},
		{"venvfs-manifest 2\nname a\nversion 1\n", "another version of the format"},
		{"venvfs-manifest 1 \nname a\nversion 1\n", "a space behind the first line"},
		{"\xef\xbb\xbf" HEAD, "a byte order mark"},
		{"venvfs-manifest 1\r\nname a\r\nversion 1\r\n", "CRLF"},
		{"venvfs-manifest 1\n", "no name"},
		{"venvfs-manifest 1\nversion 1\nname a\n", "version before name"},
		{"venvfs-manifest 1\nname a\n", "no version"},
		{"venvfs-manifest 1\nname A\nversion 1\n", "a name that is not normalized"},
		{"venvfs-manifest 1\nname a \nversion 1\n", "a space behind the name"},
		{"venvfs-manifest 1\nname a\nversion ..\n", "a version that is a path"},
		{"venvfs-manifest 1\nname a\nversion 1", "no newline at the end"},
		{HEAD "name b\n", "another name"},
		{HEAD "\n", "an empty line"},
		{HEAD "colour red\n", "an unknown word"},
		{HEAD "info\n", "info without a name"},
		{HEAD "info \n", "an empty info"},
		{HEAD "info ..\n", "info that leaves its directory"},
		{HEAD "info a/b\n", "info that is a path"},
		{HEAD "info a\ninfo a\n", "info twice"},
		{HEAD "tag x\ninfo a\n", "info behind a tag"},
		{HEAD "tag \n", "an empty tag"},
		{HEAD "tag a b\n", "a tag of two words"},
		{HEAD "tag b\ntag a\n", "tags out of order"},
		{HEAD "tag a\ntag a\n", "a tag twice"},
		{HEAD "entry-point console a m:f\ntag a\n", "a tag behind an entry point"},
		{HEAD F("site", "a") "tag a\n", "a tag behind a file"},
		{HEAD "entry-point shell a m:f\n", "an entry point of another kind"},
		{HEAD "entry-point console a\n", "an entry point without a target"},
		{HEAD "entry-point console  m:f\n", "an entry point without a name"},
		{HEAD "entry-point console a m:f \n", "an entry point with a space behind"},
		{HEAD "entry-point console a/b m:f\n", "an entry point with a slash"},
		{HEAD "entry-point console .. m:f\n", "an entry point called .."},
		{HEAD "entry-point console a\tb m:f\n", "an entry point with a tab"},
		{HEAD "entry-point console b m:f\nentry-point console a m:f\n",
			"entry points out of order"},
		{HEAD "entry-point gui a m:f\nentry-point console a m:f\n", "gui before console"},
		{HEAD "entry-point gui a m:f\nentry-point gui a m:g\n", "an entry point twice"},
		{HEAD F("site", "a") "entry-point gui a m:f\n", "an entry point behind a file"},
		{HEAD F("lib", "a"), "an unknown tree"},
		{HEAD F("bindata", "a"), "two trees in one word"},
		{HEAD F("bin", "a") F("site", "a"), "trees out of order"},
		{HEAD "file site r 1 " HEX " a\n", "an unknown mode"},
		{HEAD "file site -1 " HEX " a\n", "no mode"},
		{HEAD "file site - 01 " HEX " a\n", "a size with a zero in front"},
		{HEAD "file site - +1 " HEX " a\n", "a size with a sign"},
		{HEAD "file site - -1 " HEX " a\n", "a negative size"},
		{HEAD "file site -  " HEX " a\n", "no size"},
		{HEAD "file site - 0x1 " HEX " a\n", "a hexadecimal size"},
		{HEAD "file site - 9223372036854775808 " HEX " a\n", "a size over 2^63 - 1"},
		{HEAD "file site - 99999999999999999999999999 " HEX " a\n", "a size over 2^64"},
		{HEAD "file site - 1 0" HEX " a\n", "65 digits"},
		{HEAD "file site - 1 A0112233445566778899aabbccddeeff00112233445566778899aabbccddee"
		      "ff a\n",
			"upper case in the digest"},
		{HEAD "file site - 1 " HEX "\n", "no path"},
		{HEAD "file site - 1 " HEX " \n", "an empty path"},
		{HEAD "file site - 1\n", "a short line"},
		{HEAD F("site", "/a"), "an absolute path"},
		{HEAD F("site", "a/"), "a slash at the end"},
		{HEAD F("site", "a//b"), "two slashes"},
		{HEAD F("site", "."), "the path ."},
		{HEAD F("site", "a/./b"), "a component ."},
		{HEAD F("site", ".."), "the path .."},
		{HEAD F("site", "a/../b"), "a component .."},
		{HEAD F("site", "a/.."), "a component .. at the end"},
		{HEAD F("site", "a\rb"), "a carriage return"},
		{HEAD F("site", "a\x7f"), "DEL"},
		{HEAD F("site", "abcdefgh\x01"), "a control byte behind eight others"},
		{HEAD F("site", "b") F("site", "a"), "paths out of order"},
		{HEAD F("site", "a-b") F("site", "a/b"), "a directory behind a longer name"},
		{HEAD F("site", "a") F("site", "a"), "a path twice"},
		{HEAD F("site", "a") F("site", "a/b"), "a path that is a file and a directory"},
	};
	struct str long_name = {0};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++)
		refused(t[i].text, strlen(t[i].text), t[i].what);
	refused(HEAD "tag a\0b\n", sizeof HEAD "tag a\0b\n" - 1, "a NUL in a tag");
	refused(HEAD F("site", "a\0b"), sizeof HEAD F("site", "a\0b") - 1, "a NUL in a path");
	refused("\0", 1, "a NUL alone");

	str_add(&long_name, HEAD "file site - 1 " HEX " ");
	for (int i = 0; i < 256; i++)
		str_add(&long_name, "x");
	str_add(&long_name, "\n");
	refused(long_name.p, long_name.len, "a component of 256 bytes");
	str_truncate(&long_name, strlen(HEAD "file site - 1 " HEX " "));
	for (int i = 0; i < 2048; i++)
		str_add(&long_name, "x/");
	str_truncate(&long_name, long_name.len - 1);
	str_add(&long_name, "x\n");
	refused(long_name.p, long_name.len, "a path of 4096 bytes");
	str_free(&long_name);
}

static void order(const char *a, const char *b, int want)
{
	int x = path_compare(a, b), y = path_compare(b, a);

	ok((x > 0) - (x < 0) == want && (y > 0) - (y < 0) == -want, "order of %s and %s", a, b);
}

static struct manifest *made(size_t n, const char *const *paths)
{
	struct manifest *m = calloc(1, sizeof *m);

	m->name = strdup("a");
	m->version = strdup("1");
	m->entries = calloc(n + 1, sizeof *m->entries);
	for (size_t i = 0; i < n; i++)
		m->entries[i].path = strdup(paths[i]);
	m->n_entries = n;
	return m;
}

static void add_point(struct manifest *m, bool gui, const char *name, const char *target)
{
	m->entry_points =
		realloc(m->entry_points, (m->n_entry_points + 1) * sizeof *m->entry_points);
	m->entry_points[m->n_entry_points++] =
		(struct entry_point){.gui = gui, .name = strdup(name), .target = strdup(target)};
}

static void add_tag(struct manifest *m, const char *tag)
{
	m->tags = realloc(m->tags, (m->n_tags + 1) * sizeof *m->tags);
	m->tags[m->n_tags++] = strdup(tag);
}

static void test_sort(void)
{
	static const char *const paths[] = {"b", "a.py", "a/x/y", "a-b/c", "a/b", "\xff", "B"};
	static const char *const sorted[] = {"B", "a/b", "a/x/y", "a-b/c", "a.py", "b", "\xff"};
	struct manifest *m = made(7, paths), *again = NULL;
	struct str text = {0}, back = {0};
	bool good = true;

	add_tag(m, "py3");
	add_tag(m, "cp311");
	add_tag(m, "py3");
	add_point(m, true, "x", "m:f");
	add_point(m, false, "y", "m:f");
	add_point(m, false, "x", "m:f");
	add_point(m, false, "y", "m:f");
	ok(manifest_format(m, &text) == -EINVAL && text.len == 0, "unsorted is not written");
	ok(manifest_sort(m, NULL) == 0, "it can be sorted");
	for (size_t i = 0; i < 7; i++)
		good = good && !strcmp(m->entries[i].path, sorted[i]);
	ok(good, "directories come where their first slash puts them");
	ok(m->n_tags == 2 && !strcmp(m->tags[0], "cp311"), "tags, each once");
	ok(m->n_entry_points == 3 && !strcmp(m->entry_points[1].name, "y") &&
			m->entry_points[2].gui,
		"entry points, each once");
	ok(manifest_format(m, &text) == 0 && manifest_parse(text.p, text.len, &again, NULL) == 0 &&
			manifest_format(again, &back) == 0 && !strcmp(text.p, back.p),
		"what was made by hand reads as it was written");
	manifest_free(m);
	manifest_free(again);
	str_free(&text);
	str_free(&back);

	order("a", "a", 0);
	order("a", "ab", -1);
	order("a/z", "a", 1);
	order("a/z", "a-b", -1);
	order("a/z", "a\x01", -1);
	order("a/b/c", "a/b.c", -1);
	order("z", "\xc3\xa4", -1);
}

static void meets(const char *a, const char *b, const char *what)
{
	const char *const paths[] = {a, "a.b", b};
	struct manifest *m = made(3, paths);
	struct diag diag = {{0}};

	ok(manifest_sort(m, &diag) == -EEXIST && strstr(diag.text, a), "%s: %s", what, diag.text);
	manifest_free(m);
}

static void test_conflicts(void)
{
	struct manifest *m = made(0, NULL);
	struct diag diag = {{0}};

	meets("a", "a", "a path twice");
	meets("a", "a/b", "a file that is a directory");
	meets("x/y", "x/y/z/z", "a file that is a directory, further down");
	add_point(m, false, "x", "m:f");
	add_point(m, false, "x", "m:g");
	ok(manifest_sort(m, &diag) == -EEXIST && strstr(diag.text, "m:g"), "two targets: %s",
		diag.text);
	manifest_free(m);
}

static void unwritable(const char *path, const char *what)
{
	const char *const paths[] = {path};
	struct manifest *m = made(1, paths);
	struct str text = {0};

	str_add(&text, "before");
	ok(manifest_format(m, &text) == -EINVAL && !strcmp(text.p, "before"), "not written: %s",
		what);
	manifest_free(m);
	str_free(&text);
}

int main(void)
{
	test_golden();
	test_find();
	test_refused();
	test_sort();
	test_conflicts();
	unwritable("a\nfile site", "a newline");
	unwritable("../a", "a path that leaves");
	unwritable("", "an empty path");
	return done_testing();
}
