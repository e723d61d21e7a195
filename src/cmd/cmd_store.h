/* SPDX-License-Identifier: MIT
 *
 * `venvfs store ...`: the commands about the store itself.
 */
#ifndef CMD_CMD_STORE_H
#define CMD_CMD_STORE_H

#include "cmd/cmd.h"

extern const struct cmd cmd_of_store; /* cmd_store() is the function that opens it */

/* Each is a main of its own, argv[0] is its name. They give the exit code. */
int cmd_store_add(struct cmd_context *ctx, int argc, char **argv);
int cmd_store_ls(struct cmd_context *ctx, int argc, char **argv);
int cmd_store_verify(struct cmd_context *ctx, int argc, char **argv);
int cmd_store_compile(struct cmd_context *ctx, int argc, char **argv);

#endif
