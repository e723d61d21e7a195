/* SPDX-License-Identifier: MIT */
#include "py/compiler.h"

#include "base/cleanup.h"
#include "tests/tap.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static char directory[] = "/tmp/venvfs-test-compiler-XXXXXX";

static void add_field(struct str *s, const void *p, size_t n)
{
	uint32_t size = htole32((uint32_t)n);

	str_add_mem(s, &size, sizeof size);
	str_add_mem(s, p, n);
}

/* An executable that behaves as the shell text says. */
static char *make_script(const char *name, const char *text)
{
	char *path;
	FILE *f;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		exit(1);
	f = fopen(path, "w");
	if (!f || fprintf(f, "#!/bin/sh\n%s", text) < 0 || fclose(f) != 0 || chmod(path, 0755) < 0)
		exit(1);
	return path;
}

/* What one request to that executable comes to. */
static int ask_script(const char *name, const char *text, struct diag *diag)
{
	auto_free char *path = make_script(name, text);
	struct interpreter py = {
		.executable = path, .cache_tag = (char *)"tag", .magic = (char *)"00"};
	struct compiler *c;
	const char *answer;
	size_t n;
	int r = compiler_new(&py, 300, &c);

	if (r == 0)
		r = compiler_ask(c, "\0\0\0\0\0\0\0\0", 8, &answer, &n, diag);
	if (r == 0)
		diag_set(diag, 0, "%.*s", (int)n, answer);
	compiler_free(c);
	return r;
}

#define HELLO "printf '\\006\\0\\0\\0tag-00' >&0\n"

static void test_strange_processes(void)
{
	struct diag diag = {0};
	time_t begin;

	ok(ask_script("good", HELLO "head -c 12 >/dev/null; printf '\\002\\0\\0\\0ok' >&0\n",
		   &diag) == 0 &&
			strcmp(diag.text, "ok") == 0,
		"an answer comes back");
	ok(ask_script("other", "printf '\\006\\0\\0\\0tag-01' >&0; exec sleep 60\n", &diag) ==
				-ENOEXEC &&
			strstr(diag.text, "no longer tag-00 but tag-01"),
		"another interpreter than expected: %s", diag.text);
	ok(ask_script("broken", "echo no encodings >&2; exit 3\n", &diag) == -ENOEXEC &&
			strstr(diag.text, "status 3: no encodings"),
		"one that does not start: %s", diag.text);
	ok(ask_script("dies", HELLO "head -c 12 >/dev/null; kill -SEGV $$\n", &diag) == -ECHILD &&
			strstr(diag.text, "signal 11"),
		"one that crashes: %s", diag.text);
	ok(ask_script("half", HELLO "head -c 12 >/dev/null; printf '\\377\\0\\0\\0half' >&0\n",
		   &diag) == -ECHILD,
		"one that ends amid its answer: %s", diag.text);
	ok(ask_script("huge", HELLO "head -c 12 >/dev/null; printf '\\377\\377\\377\\377' >&0\n",
		   &diag) == -EPROTO,
		"one that announces 4 GiB: %s", diag.text);
	begin = time(NULL);
	ok(ask_script("loops", HELLO "while :; do :; done\n", &diag) == -ETIMEDOUT &&
			time(NULL) - begin < 5,
		"one that runs for ever is ended: %s", diag.text);
	begin = time(NULL);
	ok(ask_script("sleeps", HELLO "exec sleep 60\n", &diag) == -ETIMEDOUT &&
			time(NULL) - begin < 30,
		"and one that sleeps: %s", diag.text);
}

static void test_absent(void)
{
	struct interpreter py = {.executable = (char *)"/nonexistent/python",
		.cache_tag = (char *)"tag",
		.magic = (char *)"00"};
	struct diag diag = {0};
	struct compiler *c;
	const char *answer;
	size_t n;

	ok(compiler_new(&py, 300, &c) == 0, "nothing is started before it is asked");
	ok(compiler_ask(c, "", 0, &answer, &n, &diag) == -ENOEXEC &&
			strstr(diag.text, "/nonexistent/python"),
		"an absent interpreter: %s", diag.text);
	compiler_free(c);
}

/* The hello of this machine's python3, or false. */
static bool find_python(struct str *tag, struct str *magic)
{
	FILE *f = popen("/usr/bin/python3 -I -S -c 'import sys, importlib.util as u;"
			"print(sys.implementation.cache_tag, u.MAGIC_NUMBER.hex())' 2>/dev/null",
		"r");
	char a[64] = "", b[64] = "";
	bool good = f && fscanf(f, "%63s %63s", a, b) == 2;

	if (f && pclose(f) != 0)
		good = false;
	str_add(tag, a);
	str_add(magic, b);
	return good;
}

static size_t field_size(const char **p, size_t *left)
{
	uint32_t n;

	if (*left < 4)
		return SIZE_MAX;
	memcpy(&n, *p, 4);
	n = le32toh(n);
	if (n > *left - 4)
		return SIZE_MAX;
	*p += 4 + n;
	*left -= 4 + n;
	return n;
}

static void test_python(void)
{
	auto_str struct str tag = {0}, magic = {0}, request = {0}, big = {0};
	struct interpreter py = {.executable = (char *)"/usr/bin/python3"};
	struct diag diag = {0};
	const char *answer, *p;
	struct compiler *c;
	size_t n, left;

	if (!find_python(&tag, &magic)) {
		skip("no /usr/bin/python3");
		return;
	}
	py.cache_tag = tag.p;
	py.magic = magic.p;
	/* More than the socket holds, both ways: neither side may wait for the other. */
	for (int i = 0; i < 100000; i++)
		str_addf(&big, "x%d = 'text number %d'\n", i, i);
	add_field(&request, "a.py", 4);
	add_field(&request, "x = 1\n", 6);
	add_field(&request, "bad.py", 6);
	add_field(&request, "def f(:\n", 8);
	add_field(&request, "nul.py", 6);
	add_field(&request, "x\0", 2);
	add_field(&request, "empty.py", 8);
	add_field(&request, "", 0);
	add_field(&request, "big.py", 6);
	add_field(&request, big.p, big.len);
	ok(compiler_new(&py, 60000, &c) == 0, "a compiler");
	ok(compiler_ask(c, request.p, request.len, &answer, &n, &diag) == 0, "compiles %s",
		diag.text);
	p = answer;
	left = n;
	ok(field_size(&p, &left) > 16 && memcmp(answer + 8, "\1\0\0\0", 4) == 0,
		"a pyc with the flags of an unchecked hash");
	ok(field_size(&p, &left) == 0, "none for a syntax error");
	ok(field_size(&p, &left) == 0, "none for a NUL byte");
	ok(field_size(&p, &left) > 16, "one for an empty source");
	ok(field_size(&p, &left) > 1000000 && left == 0, "one of several megabytes");
	ok(compiler_ask(c, request.p, 4 + 4 + 4 + 6, &answer, &n, &diag) == 0 && n > 20,
		"and asked again it answers again");
	compiler_free(c);
	ok(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "no process is left");
}

int main(void)
{
	auto_free char *clean = NULL;

	if (!mkdtemp(directory))
		return 1;
	test_strange_processes();
	test_absent();
	test_python();
	if (asprintf(&clean, "rm -r %s", directory) < 0 || system(clean) != 0)
		return 1;
	return done_testing();
}
