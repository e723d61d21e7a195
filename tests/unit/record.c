/* SPDX-License-Identifier: MIT */
#include "py/record.h"

#include "tests/tap.h"

#include <errno.h>
#include <string.h>

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static int show(void *arg, const struct record_row *row)
{
	str_addf(arg, "<%s|%s|%s>", row->path, row->hash, row->size);
	return 0;
}

static void gives(const char *text, const char *want, const char *what)
{
	struct diag diag = {{0}};
	struct str got = {0};
	int r;

	str_add(&got, "");
	r = record_parse(text, strlen(text), show, &got, &diag);
	ok(r == 0 && !strcmp(got.p, want), "%s: %s", what, r == 0 ? "" : diag.text);
	str_free(&got);
}

static void refused(const char *text, size_t n, const char *what)
{
	struct diag diag = {{0}};
	struct str got = {0};
	int r = record_parse(text, n, show, &got, &diag);

	ok(r == -EINVAL && diag.text[0], "refused: %s: %s", what, diag.text);
	str_free(&got);
}

static void test_parse(void)
{
	gives("", "", "nothing");
	gives("a,sha256=x,1\r\nb,,\r\n", "<a|sha256=x|1><b||>", "as pip writes it");
	gives("a,sha256=x,1\nb,,", "<a|sha256=x|1><b||>", "LF, and no newline at the end");
	gives("a,sha256=x,1\rb,,\r", "<a|sha256=x|1><b||>", "CR");
	gives("\"a,b\",,\n\"c\"\"d\",\"h\",\"1\"\n", "<a,b||><c\"d|h|1>", "quotes");
	gives("\"a\nb\",,\n", "<a\nb||>", "a newline within quotes");
	gives("a\"b,,\n", "<a\"b||>", "a quote in the middle is itself");
	gives("\"\"\"\",,\n", "<\"||>", "nothing but a quote");
	gives("a\nb,h\n", "<a||><b|h|>", "short rows");
	gives("\n\r\na,,\n\n", "<a||>", "empty lines");
	gives(" a ,,\n", "< a ||>", "blanks are kept");
	gives("../../../bin/a,,\n", "<../../../bin/a||>", "a path is not judged");
	refused("a,b,c,d\n", 8, "four fields");
	refused(",h,1\n", 5, "no path");
	refused("\"\",,\n", 5, "an empty path");
	refused("\"a,,\n", 5, "a quote that is not closed");
	refused("\"a\"b,,\n", 7, "text behind a quote");
	refused("a,,\nb\0,,\n", 9, "a NUL");
}

static int stop(void *arg, const struct record_row *row)
{
	(void)row;
	return ++*(int *)arg == 2 ? -EXDEV : 0;
}

static void test_stop(void)
{
	struct diag diag = {{0}};
	int n = 0, r = record_parse("a,,\nb,,\nc,,\n", 12, stop, &n, &diag);

	ok(r == -EXDEV && n == 2 && !diag.text[0],
		"it stops when asked to, and says nothing of it");
}

static void adds(const char *path, const char *want)
{
	struct str out = {0}, back = {0};
	struct digest d;
	int r;

	digest_parse(HEX, DIGEST_HEX, &d);
	r = record_add(&out, path, strcmp(path, "bare") ? &d : NULL, 18446744073709551615u);
	ok(r == 0 && !strcmp(out.p, want), "row of %.*s", (int)strcspn(path, "\n"), path);
	r = record_parse(out.p, out.len, show, &back, NULL);
	ok(r == 0 && back.len > strlen(path) + 1 && !memcmp(back.p + 1, path, strlen(path)) &&
			back.p[strlen(path) + 1] == '|',
		"and it reads as it was");
	str_free(&out);
	str_free(&back);
}

static void hash(const char *text, bool good, const char *what)
{
	uint8_t bytes[HASH_SIZE_MAX];
	enum hash_kind kind;

	ok(record_hash_parse(text, &kind, bytes) == good, "%s hash: %s", good ? "a" : "no", what);
}

static void test_hash(void)
{
	uint8_t bytes[HASH_SIZE_MAX];
	enum hash_kind kind;
	struct digest d;

	digest_parse(HEX, DIGEST_HEX, &d);
	ok(record_hash_parse("sha256=ABEiM0RVZneImaq7zN3u_wARIjNEVWZ3iJmqu8zd7v8", &kind, bytes) &&
			kind == HASH_SHA256 && !memcmp(bytes, d.b, DIGEST_SIZE),
		"the bytes of a sha256");
	hash("sha256=ABEiM0RVZneImaq7zN3u_wARIjNEVWZ3iJmqu8zd7v9", false, "stray bits at its end");
	hash("sha256=ABEiM0RVZneImaq7zN3u_wARIjNEVWZ3iJmqu8zd7v8=", false, "padded");
	hash("sha256=ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8", false, "the other alphabet");
	hash("sha256=", false, "empty");
	hash("md5=1B2M2Y8AsgTpgAmY7PhCfg", false, "md5");
	hash("", false, "nothing");
}

#define REST ",sha256=ABEiM0RVZneImaq7zN3u_wARIjNEVWZ3iJmqu8zd7v8,18446744073709551615\r\n"

int main(void)
{
	test_parse();
	test_stop();
	test_hash();
	adds("a/b c.py", "a/b c.py" REST);
	adds("bare", "bare,,\r\n");
	adds("a,b", "\"a,b\"" REST);
	adds("a\"b\"", "\"a\"\"b\"\"\"" REST);
	adds("\"", "\"\"\"\"" REST);
	adds("a\nb", "\"a\nb\"" REST);
	adds("d\xc3\xa9j\xc3\xa0", "d\xc3\xa9j\xc3\xa0" REST);
	return done_testing();
}
