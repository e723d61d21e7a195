/* SPDX-License-Identifier: MIT
 *
 * One distribution as a directory tree, straight from its sorted manifest: a directory is a range
 * of entries that share a prefix, so nothing is built, copied or kept.
 */
#ifndef VIEW_TREE_H
#define VIEW_TREE_H

#include "store/manifest.h"

struct tree_dir {
	const struct manifest *manifest;
	size_t first, end; /* the entries below it */
	size_t prefix;	   /* bytes of their paths down to and with its own slash */
};

struct tree_child {
	const char *name; /* within an entry's path: not terminated, but for a file */
	size_t len;
	bool is_dir;
	size_t first, end; /* a file is entry `first` */
};

/* The top directory of a tree. */
struct tree_dir tree_top(const struct manifest *m, enum tree t);
/* Takes the first child off `rest` (a copy of the directory), in order of names; false at the end.
 * A directory costs the logarithm of what is below it. */
bool tree_next(struct tree_dir *rest, struct tree_child *ret);
struct tree_dir tree_below(const struct tree_dir *dir, const struct tree_child *child);

#endif
