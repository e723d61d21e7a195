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
/* What was just installed belongs to what is about to be copied or undone; where nothing is private it
 * costs a listing. -EAGAIN: somebody is writing, or at work in the root; -ENOSPC and such. Whatever else
 * stands against a harvest (an ordinary environment, a read-only mount) does not stand against what
 * follows. */
int harvest_first(struct cmd_context *ctx, const struct env_path *p, struct diag *diag);

#endif
