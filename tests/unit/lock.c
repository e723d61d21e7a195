/* SPDX-License-Identifier: MIT */
#include "store/lock.h"

#include "tests/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define B "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
#define ID " sha256:" A

/* The format is a promise: this text and its digest must never change. */
static const char golden[] =
	"attrs 24.2.0" ID "\n"
	"jupyter 1.1.1" ID " requested\n"
	"jupyter-core 5.7.2" ID " installer=pip\n"
	"numpy 2.1.0" ID " requested installer=pip origin=sha256:" B
	" wheel=numpy-2.1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl:sha256:" B
	"\n"
	"zipp 3.20.0+local.1" ID " wheel=zipp-3.20.0-py3-none-any.whl:sha256:" A "\n";
static const char golden_id[] = "9a34badf06ddc83448ddf93e5f9cc03f03717617f0fda820610dd5a355a6e2bb";

static void test_golden(void)
{
	struct diag diag = {{0}};
	struct lock *l = NULL;
	struct str text = {0};
	struct digest id;
	char hex[DIGEST_HEX + 1] = "";
	int r = lock_parse(golden, strlen(golden), &l, &diag);

	if (!ok(r == 0, "the golden lock parses: %s", diag.text))
		return;
	ok(l->n == 5, "it has five lines");
	ok(l->lines[3].requested && l->lines[3].has_origin && !strcmp(l->lines[3].installer, "pip"),
		"all the words of numpy's line");
	ok(!strcmp(l->lines[3].wheel_name, "numpy-2.1.0-cp311-cp311-manylinux_2_17_x86_64."
					   "manylinux2014_x86_64.whl") &&
			l->lines[3].wheel.b[0] == 0xff && l->lines[3].origin.b[1] == 0xee,
		"its wheel and origin");
	ok(!l->lines[0].requested && !l->lines[0].installer && !l->lines[0].has_origin &&
			!l->lines[0].wheel_name,
		"none of them in the first line");
	r = lock_format(l, &text);
	ok(r == 0 && text.len == strlen(golden) && !memcmp(text.p, golden, text.len),
		"it is written as it was");
	digest_buf(text.p, text.len, &id);
	digest_format(&id, hex);
	ok(!strcmp(hex, golden_id), "its SHA-256 is the golden one: %s", hex);
	lock_free(l);
	str_free(&text);
}

static void refused(const char *text, size_t n, const char *what)
{
	struct diag diag = {{0}};
	struct lock *l = NULL;
	int r = lock_parse(text, n, &l, &diag);

	ok(r == -EPROTO && !l && diag.text[0], "refused: %s: %s", what, diag.text);
	lock_free(l);
}

static void test_refused(void)
{
	static const struct {
		const char *text, *what;
	} t[] = {
		{"a 1" ID, "no newline at the end"},
		{"\n", "an empty line"},
		{"a 1" ID "\n\n", "an empty line behind"},
		{"a 1" ID "\r\n", "CRLF"},
		{" a 1" ID "\n", "a space in front"},
		{"a 1" ID " \n", "a space behind"},
		{"a 1" ID " requested \n", "a space behind a word"},
		{"a  1" ID "\n", "two spaces"},
		{"a 1 " ID "\n", "two spaces before the address"},
		{"a 1" ID "  requested\n", "two spaces before a word"},
		{"a\t1" ID "\n", "a tab"},
		{"a 1\n", "no address"},
		{"a" ID "\n", "no version"},
		{"A 1" ID "\n", "upper case in the name"},
		{"a_b 1" ID "\n", "an underscore in the name"},
		{"a--b 1" ID "\n", "two dashes in the name"},
		{"-a 1" ID "\n", "a dash first"},
		{"../a 1" ID "\n", "a name that is a path"},
		{"a .1" ID "\n", "a version that begins with a dot"},
		{"a 1/2" ID "\n", "a slash in the version"},
		{"a 1 " A "\n", "an address without its kind"},
		{"a 1 md5:" A "\n", "an address of another kind"},
		{"a 1" ID "0\n", "65 digits"},
		{"a 1 sha256:"
		 "A0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
			"upper case in the address"},
		{"b 1" ID "\na 1" ID "\n", "names out of order"},
		{"a 1" ID "\na 2" ID "\n", "a name twice"},
		{"a 1" ID " Requested\n", "Requested"},
		{"a 1" ID " requested requested\n", "a word twice"},
		{"a 1" ID " requested=1\n", "a word with a value it does not have"},
		{"a 1" ID " installer\n", "a word without its value"},
		{"a 1" ID " installer=\n", "an empty installer"},
		{"a 1" ID " installer=p\x7f\n", "a control byte"},
		{"a 1" ID " installer=pip requested\n", "words out of order"},
		{"a 1" ID " wheel=a.whl:sha256:" A " origin=sha256:" A "\n", "wheel before origin"},
		{"a 1" ID " origin=" A "\n", "an origin without its kind"},
		{"a 1" ID " origin=sha256:" A "0\n", "an origin of 65 digits"},
		{"a 1" ID " wheel=a.whl\n", "a wheel without a digest"},
		{"a 1" ID " wheel=sha256:" A "\n", "a digest without a wheel"},
		{"a 1" ID " wheel=:sha256:" A "\n", "a wheel without a name"},
		{"a 1" ID " wheel=d/a.whl:sha256:" A "\n", "a wheel that is a path"},
		{"a 1" ID " wheel=..:sha256:" A "\n", "a wheel called .."},
		{"a 1" ID " colour=red\n", "an unknown word"},
	};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++)
		refused(t[i].text, strlen(t[i].text), t[i].what);
	refused("a 1" ID " installer=p\0p\n", sizeof "a 1" ID " installer=p\0p\n" - 1, "a NUL");
	refused("\0", 1, "a NUL alone");
}

static void test_edit(void)
{
	struct lock *l = lock_new(), *copy;
	struct str text = {0};
	struct lock_line line = {.name = (char[]){"b"}, .version = (char[]){"1"}};

	ok(lock_format(l, &text) == 0 && text.len == 0, "an empty lock has an empty text");
	lock_set(l, &line);
	line.name = (char[]){"c"};
	lock_set(l, &line);
	line.name = (char[]){"a"};
	line.installer = (char[]){"uv"};
	line.requested = true;
	lock_set(l, &line);
	ok(l->n == 3 && !strcmp(l->lines[0].name, "a") && !strcmp(l->lines[2].name, "c"),
		"lines are kept in order");
	line.version = (char[]){"2"};
	line.installer = NULL;
	line.wheel_name = (char[]){"a-2-py3-none-any.whl"};
	lock_set(l, &line);
	ok(l->n == 3 && !strcmp(lock_find(l, "a")->version, "2") && !lock_find(l, "a")->installer &&
			lock_find(l, "a")->wheel_name != line.wheel_name,
		"a line of the same name is replaced by a copy");
	copy = lock_copy(l);
	ok(lock_remove(l, "b") == 0 && l->n == 2 && !lock_find(l, "b"), "a line is removed");
	ok(lock_remove(l, "b") == -ENOENT && lock_remove(l, "zz") == -ENOENT, "only once");
	ok(copy->n == 3 && lock_find(copy, "b") && lock_find(copy, "a")->requested,
		"the copy has it still");
	lock_free(copy);
	lock_free(l);
	str_free(&text);
	l = lock_new();
	copy = lock_copy(l);
	ok(copy && copy->n == 0 && !lock_find(copy, "a"), "a copy of nothing");
	lock_free(copy);
	lock_free(l);
	lock_free(NULL);
}

static void unwritable(struct lock_line line, const char *what)
{
	struct lock *l = lock_new();
	struct str text = {0};

	str_add(&text, "before");
	lock_set(l, &line);
	ok(lock_format(l, &text) == -EINVAL && !strcmp(text.p, "before"), "not written: %s", what);
	lock_free(l);
	str_free(&text);
}

static void test_unwritable(void)
{
	char name[] = "a", version[] = "1", bad_name[] = "A", bad_version[] = "1 2";
	char bad_installer[] = "pip 24", empty[] = "", bad_wheel[] = "a b.whl", path[] = "d/a.whl";

	unwritable((struct lock_line){.name = bad_name, .version = version}, "a name");
	unwritable((struct lock_line){.name = name, .version = bad_version}, "a version");
	unwritable((struct lock_line){.name = name, .version = version, .installer = empty},
		"an empty installer");
	unwritable((struct lock_line){.name = name, .version = version, .installer = bad_installer},
		"an installer of two words");
	unwritable((struct lock_line){.name = name, .version = version, .wheel_name = bad_wheel},
		"a wheel with a space");
	unwritable((struct lock_line){.name = name, .version = version, .wheel_name = path},
		"a wheel with a slash");
	unwritable((struct lock_line){.name = name}, "no version");
}

int main(void)
{
	test_golden();
	test_refused();
	test_edit();
	test_unwritable();
	return done_testing();
}
