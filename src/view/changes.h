/* SPDX-License-Identifier: MIT
 *
 * In what an environment differs from its lock: each path whose private half makes it show
 * something else than the lower tree has under the same path.
 */
#ifndef VIEW_CHANGES_H
#define VIEW_CHANGES_H

#include "view/lower.h"

enum change_kind {
	CHANGE_ADDED,
	CHANGE_DELETED,
	CHANGE_BYTES, /* also another kind of file */
	CHANGE_MODE,
	CHANGE_XATTR,
	CHANGE_NONE, /* private, and like the lower tree's but for its times */
};

struct change {
	char *path; /* from the environment's directory; of an added directory with "/" at the end
		     */
	enum change_kind kind;
	int dist; /* whose the lower tree's file is: an index into it; -1: of none */
};

struct changes {
	struct change *p; /* sorted by path */
	size_t n, cap;
};

/* `upper`: the environment's upper directory. pyvenv.cfg and .venvfs are left out, as are files
 * that are not in their place yet. changes_free() it on failure too. */
int changes_read(struct lower *l, int upper, struct changes *ret);
void changes_free(struct changes *c);

#endif
