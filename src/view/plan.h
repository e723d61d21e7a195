/* SPDX-License-Identifier: MIT
 *
 * What a pyvenv.cfg stands for, worked out before anything is locked: the first look at a
 * distribution can take milliseconds. Private to src/view.
 */
#ifndef VIEW_PLAN_H
#define VIEW_PLAN_H

#include "view/state.h"

struct plan {
	struct cfg cfg;
	struct lower *lower;
	bool have_lower;
	char *fault;
};

void plan_free(struct plan *p);
/* The lower tree for p->cfg, shared with an environment that has the same (unless `fresh`). Where
 * it can not be had, have_lower stays false and fault says why: 0 all the same, or -ENOMEM. */
int plan_lower(struct view *v, struct plan *p, bool fresh);
/* Without it: the newest lock that .venvfs/generations in `dirfd` tells of and that can be had; */
int plan_generation(struct view *v, struct plan *p, int dirfd);
/* or a tree with nothing of the store. Both keep p->fault. */
int plan_without_dists(struct view *v, struct plan *p);

#endif
