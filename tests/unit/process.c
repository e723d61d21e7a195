/* SPDX-License-Identifier: MIT */
#include "py/process.h"

#include "tests/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	struct diag diag = {{0}};
	struct str out = {0}, err = {0};
	int status = -1, r;

	r = process_run((const char *[]){"cat", NULL}, "a\0b", 3, &out, &err, &status, &diag);
	ok(r == 0 && status == 0 && out.len == 3 && !memcmp(out.p, "a\0b", 3),
		"cat gives back its input");

	str_free(&out);
	r = process_run((const char *[]){"sh", "-c", "echo x; echo y >&2; exit 3", NULL}, NULL, 0,
		&out, &err, &status, &diag);
	ok(r == 0 && status == 3, "an exit status is told: %d", status);
	ok(out.len == 2 && !strcmp(out.p, "x\n") && !strcmp(err.p, "y\n"),
		"both outputs are caught");

	r = process_run((const char *[]){"sh", "-c", "kill -9 $$", NULL}, NULL, 0, NULL, NULL,
		&status, &diag);
	ok(r == 0 && status == 128 + 9, "a signal is told: %d", status);

	r = process_run(
		(const char *[]){"sh", "-c", "echo first >&2; echo the reason >&2; exit 1", NULL},
		NULL, 0, NULL, NULL, NULL, &diag);
	ok(r == -EIO && !strcmp(diag.text, "sh: the reason"), "the last line is the reason: %s",
		diag.text);

	r = process_run(
		(const char *[]){"/nonexistent/program", NULL}, NULL, 0, NULL, NULL, NULL, &diag);
	ok(r == -ENOENT && strstr(diag.text, "/nonexistent/program"), "no such program: %s",
		diag.text);

	r = process_run((const char *[]){"true", NULL}, "unread", 6, NULL, NULL, NULL, &diag);
	ok(r == 0, "input may stay unread");

	str_free(&out);
	r = process_run((const char *[]){"sh", "-c",
				"head -c 3000000 /dev/zero; head -c 1000000 /dev/zero >&2", NULL},
		NULL, 0, &out, &err, NULL, &diag);
	ok(r == 0 && out.len == 3000000, "much output is caught whole: %zu", out.len);

	str_free(&out);
	str_free(&err);
	r = process_run((const char *[]){"sh", "-c", "(seq 1 100000; echo end) >&2", NULL}, NULL, 0,
		NULL, &err, NULL, &diag);
	ok(r == 0 && err.len == PROCESS_ERR_MAX && str_ends(err.p, "end\n"),
		"of stderr the end is kept");

	r = process_run(
		(const char *[]){"cat", "/dev/zero", NULL}, NULL, 0, &out, NULL, NULL, &diag);
	ok(r == -EFBIG, "endless output is stopped: %s", diag.text);

	setenv("VENVFS_TEST_VARIABLE", "1", 1);
	str_free(&out);
	r = process_run((const char *[]){"env", NULL}, NULL, 0, &out, NULL, NULL, &diag);
	ok(r == 0 && strstr(out.p, "VENVFS_TEST_VARIABLE=1"), "the environment is handed on");
	str_free(&out);
	r = process_run_clean((const char *[]){"env", NULL}, NULL, 0, &out, NULL, NULL, &diag);
	ok(r == 0 && !strstr(out.p, "VENVFS_TEST_VARIABLE") && strstr(out.p, "PATH=") &&
			strstr(out.p, "LANG=C.UTF-8"),
		"a clean one is not");

	str_free(&out);
	r = process_run(
		(const char *[]){"ls", "/proc/self/fd", NULL}, NULL, 0, &out, NULL, NULL, &diag);
	ok(r == 0 && !strcmp(out.p, "0\n1\n2\n3\n"), "no other descriptor is inherited");

	str_free(&out);
	str_free(&err);
	return done_testing();
}
