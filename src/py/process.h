/* SPDX-License-Identifier: MIT
 *
 * Starting another program and hearing what it says. For commands of the user and for background
 * work; never called while a request of the kernel waits.
 */
#ifndef PY_PROCESS_H
#define PY_PROCESS_H

#include "base/diag.h"
#include "base/str.h"

enum {
	PROCESS_OUT_MAX = 64 * 1024 * 1024, /* more on stdout kills it: -EFBIG */
	PROCESS_ERR_MAX = 256 * 1024,       /* of stderr the end is kept */
};

/* Runs argv[0] (looked up in PATH if it has no slash) to its end, with the caller's environment. It reads the `n_in` bytes
 * as its stdin (a file; NULL: /dev/null) and gets no other descriptor of this process. Its stdout is appended to `out`
 * (NULL: dropped), its stderr to `err` (NULL: dropped). *ret_status becomes the exit status, or 128 + signal; where
 * ret_status is NULL, anything but 0 is -EIO and the text is the last line of its stderr.
 * -ENOENT, -EACCES...: it did not start. On failure out and err may have got a part. */
int process_run(const char *const *argv, const void *in, size_t n_in, struct str *out,
	struct str *err, int *ret_status, struct diag *diag);
/* The same with PATH, HOME, TMPDIR, LANG=C.UTF-8 and nothing else as environment. */
int process_run_clean(const char *const *argv, const void *in, size_t n_in, struct str *out,
	struct str *err, int *ret_status, struct diag *diag);

/* The path of a program as a shell finds it in PATH, to be freed; NULL: it is not there. */
char *process_in_path(const char *program);

#endif
