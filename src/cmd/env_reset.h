/* SPDX-License-Identifier: MIT
 *
 * Private changes and deletions are forgotten, by the daemon where the root is mounted, else by a
 * view of the command's own.
 */
#ifndef CMD_ENV_RESET_H
#define CMD_ENV_RESET_H

#include "cmd/own_view.h"

/* `path` from the environment, "" for all of it but pyvenv.cfg. `own` with view NULL: the root is
 * mounted. What was private lies in RESET_TRASH of the upper directory then. */
int env_reset_in(
	const struct own_view *own, const struct env_path *p, const char *path, struct diag *diag);

struct env_reset_path {
	const char *path;
	bool deleted_alone; /* a private file stays; only a deletion is forgotten */
};
/* The same for one who has no view open; the trash is removed. Where nothing is private it looks,
 * and does nothing. */
int env_reset(struct cmd_context *ctx, const struct env_path *p, const struct env_reset_path *paths,
	size_t n, struct diag *diag);

#endif
