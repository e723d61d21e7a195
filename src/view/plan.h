/* SPDX-License-Identifier: MIT
 *
 * What a pyvenv.cfg stands for, worked out before anything is locked: the first look at a
 * distribution can take milliseconds. Private to src/view.
 */
#ifndef VIEW_PLAN_H
#define VIEW_PLAN_H

#include "view/state.h"

struct env_plan {
	struct cfg cfg;
	struct lower *lower;
	bool have_lower;
	char *fault;
};

void env_plan_free(struct env_plan *p);
/* The lower tree for p->cfg, shared with an environment that has the same (unless `fresh`). Where
 * it can not be had, have_lower stays false and fault says why: 0 all the same, or -ENOMEM. */
int env_plan_lower(struct view *v, struct env_plan *p, bool fresh);
/* Without it: the newest lock that .venvfs/generations in `dirfd` tells of and that can be had; */
int env_plan_generation(struct view *v, struct env_plan *p, int dirfd);
/* or a tree with nothing of the store. Both keep p->fault. */
int env_plan_without_dists(struct view *v, struct env_plan *p);

/* What a tool that makes an environment makes itself, or leaves out, is deleted names. It makes bin/
 * first, then pyvenv.cfg, and then fills bin/: the interpreter's names that are not in it yet, or
 * `venv --copies` would find links there that lead to the very file it copies. And .gitignore where
 * venv was to make none. `dirfd` is the environment's upper directory. */
int env_plan_leave(const struct env_plan *p, int dirfd);

#endif
