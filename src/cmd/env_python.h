/* SPDX-License-Identifier: MIT
 *
 * bin/python* as files of the environment's own, in place of links to the base: what `--copies`
 * means.
 */
#ifndef CMD_ENV_PYTHON_H
#define CMD_ENV_PYTHON_H

#include "cmd/cmd.h"
#include "py/interpreter.h"

/* Whether one of them is a file of its own. */
bool env_python_is_own(const struct env_path *p, const struct interpreter *py);
/* Each name venv gives that Python gets the base's bytes of now, whole or not at all. */
int env_python_copy(const struct env_path *p, const struct interpreter *py, struct diag *diag);
/* They are links to the base again. */
int env_python_link(struct cmd_context *ctx, const struct env_path *p, const struct interpreter *py,
	struct diag *diag);

#endif
