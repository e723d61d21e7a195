/* SPDX-License-Identifier: MIT
 *
 * A harvest, by the daemon where the root is mounted, else here.
 */
#ifndef CMD_HARVEST_H
#define CMD_HARVEST_H

#include "cmd/cmd.h"
#include "view/view.h"

/* harvest_free() the result after success. Errors of view_harvest(), and -EINVAL for an environment
 * outside of every root. */
int harvest_env(
	struct cmd_context *ctx, const struct env_path *p, struct harvest *ret, struct diag *diag);
/* For a person: what went into the store, left the lock, or stays private and why. */
void harvest_print(const struct env_path *p, const struct harvest *h);

#endif
