/* SPDX-License-Identifier: MIT
 *
 * An environment for one command, gone when the command is: also where this process is killed.
 */
#ifndef CMD_THROWAWAY_H
#define CMD_THROWAWAY_H

#include "cmd/cmd.h"
#include "py/interpreter.h"

/* Runs argv (NULL-terminated; argv[0] is looked up in the environment first) in a new environment
 * of that lock (NULL: with nothing in it) in the default root, which must be mounted. *ret_status:
 * its exit status, 128 + signal, 127 where there is no such command. -errno: it was not started. */
int throwaway_run(struct cmd_context *ctx, const struct interpreter *py, const struct digest *lock,
	char *const *argv, int *ret_status, struct diag *diag);

#endif
