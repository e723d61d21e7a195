/* SPDX-License-Identifier: MIT
 *
 * An environment with what it has installed, for the commands that give it another lock.
 */
#ifndef CMD_ENV_LOCK_H
#define CMD_ENV_LOCK_H

#include "cmd/compile.h"
#include "cmd/env_cfg.h"
#include "cmd/sync.h"

struct env_lock {
	struct env_path path;
	struct env_cfg cfg;
	struct interpreter *py; /* with tags and markers */
	struct lock *lock;	/* NULL: it has none, or one that nobody has any more */
};

/* `harvest`: what was just installed into it is in the lock first, see harvest_first(). -EINVAL: it
 * lies in no root. */
int env_lock_open(struct cmd_context *ctx, const char *env, bool harvest, struct env_lock *ret,
	struct diag *diag);
/* The same without the Python, which may be gone: `py` stays NULL. */
int env_lock_read(struct cmd_context *ctx, const char *env, bool harvest, struct env_lock *ret,
	struct diag *diag);
void env_lock_free(struct env_lock *e); /* also of one that could not be opened, and twice */
/* Gives it the new lock in one step, tells a person the difference, and has bytecode made of what is
 * new. Where it has that lock already it is not touched. */
int env_lock_switch(struct cmd_context *ctx, struct env_lock *e, const struct synced *new,
	enum compile_when when, struct diag *diag);

#endif
