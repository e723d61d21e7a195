/* SPDX-License-Identifier: MIT
 *
 * Running a Python's own pip, so that the user's configuration (index, login, proxy) holds. It is
 * run from the wheel that ensurepip has, else from where the Python finds it, and installs nothing.
 */
#ifndef CMD_PIP_H
#define CMD_PIP_H

#include "base/diag.h"
#include "base/str.h"
#include "py/interpreter.h"

/* `pip COMMAND ARG...` (NULL-terminated), any thread. -ENOENT: this Python has no pip; -EIO: it
 * failed, and diag has what it said. */
int pip_run(const struct interpreter *py, const char *const *args, struct diag *diag);
/* The same, but what it said on stderr is in `said`, unchanged, whether it failed or not. */
int pip_run_loud(const struct interpreter *py, const char *const *args, struct str *said,
	struct diag *diag);
/* Before the first pip_run(), and before any thread. */
void pip_prepare(void);

#endif
