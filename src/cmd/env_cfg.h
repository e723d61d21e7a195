/* SPDX-License-Identifier: MIT
 *
 * An environment's pyvenv.cfg as the commands read, replace and first write it: always by the
 * environment's ordinary path, so that a mounted root sees what any other program would do.
 */
#ifndef CMD_ENV_CFG_H
#define CMD_ENV_CFG_H

#include "cmd/cmd.h"
#include "py/cfg.h"
#include "py/interpreter.h"

struct env_cfg {
	int dir; /* the environment's directory */
	struct str text;
	struct cfg cfg;
};

/* -ENOENT where there is no environment; diag names it and the way out. */
int env_cfg_open(const struct env_path *p, struct env_cfg *ret, struct diag *diag);
void env_cfg_free(struct env_cfg *c);
/* Replaces the lock in one step, durably; NULL is "none". The text is re-read first, so that a
 * change made since env_cfg_open() stays; -ESTALE: it was given another lock or Python. The lock that
 * is left is a generation. */
int env_cfg_switch(
	struct env_cfg *c, const struct env_path *p, const struct digest *lock, struct diag *diag);
/* The same, and another base Python in that step; NULL: the one it has. */
int env_cfg_rebase(struct env_cfg *c, const struct env_path *p, const struct interpreter *base,
	const struct digest *lock, struct diag *diag);
/* The same with another text for all of it, which has the lock's line. -ESTALE: it was changed
 * since env_cfg_open(). */
int env_cfg_rewrite(struct env_cfg *c, const struct env_path *p, const struct str *text,
	const struct digest *lock, struct diag *diag);
/* The facts of its interpreter with tags and markers, asking the interpreter once where the store
 * does not know them. */
int env_cfg_interpreter(
	struct store *s, const struct env_cfg *c, struct interpreter **ret, struct diag *diag);

/* A new environment in three steps: the directory, what the caller puts there, and its pyvenv.cfg,
 * which makes it one. ENV outside of every root gets a directory in the root for bare names, named
 * after the project, and becomes a symlink to it; where that name is taken, the next one is, and a
 * person is told by whom. An empty directory is as good as none. -EEXIST, -EINVAL for a name that
 * no environment may have. */
int env_new(struct cmd_context *ctx, const char *env, struct env_path *ret, struct diag *diag);
int env_new_done(const struct env_path *p, const char *text, size_t n, struct diag *diag);
void env_new_undo(const struct env_path *p); /* instead of done, or after it; of the link too */

#endif
