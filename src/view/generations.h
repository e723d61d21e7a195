/* SPDX-License-Identifier: MIT
 *
 * The locks that an environment had: .venvfs/generations in its upper directory, to which a line is
 * added whenever one is left.
 */
#ifndef VIEW_GENERATIONS_H
#define VIEW_GENERATIONS_H

#include "py/cfg.h"

#include <stdint.h>

struct generation {
	bool none; /* "venvfs-lock = none" */
	struct digest lock;
	int64_t time; /* when it was left, in seconds; 0: it was not */
};
bool generation_equal(const struct generation *a, const struct generation *b);
/* False for an ordinary environment's. */
bool generation_of_cfg(const struct cfg *cfg, struct generation *ret);

/* Durably, in front of the change itself; "none" only where there is a history. `dirfd`: the environment's upper directory. */
int generations_leave(int dirfd, const struct generation *left);
/* Every lock that was left, oldest first: free() the array. No file is an empty one. */
int generations_left(int dirfd, struct generation **ret, size_t *ret_n);
/* Says that the change about to be made takes the last one back (or makes it again): a switch to
 * `to`. */
int generations_undo(int dirfd, const struct generation *to);
int generations_redo(int dirfd, const struct generation *to);

struct generations {
	struct generation *past;   /* what undo leads to, the last is next */
	struct generation *undone; /* what redo leads to, the last is next */
	size_t n_past, cap_past, n_undone, cap_undone;
};
/* As seen from `now`, the present one. A history begins with "none". Free it on failure too. */
int generations_read(int dirfd, const struct generation *now, struct generations *ret);
void generations_free(struct generations *g);

#endif
