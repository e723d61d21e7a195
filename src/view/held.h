/* SPDX-License-Identifier: MIT
 *
 * All that an environment's upper holds, in one sorted table: what harvest works from. Private to
 * src/view.
 */
#ifndef VIEW_HELD_H
#define VIEW_HELD_H

#include "view/lower.h"

#include <sys/stat.h>

enum held_kind {
	HELD_FILE,  /* regular */
	HELD_LINK,  /* symlink */
	HELD_OTHER, /* fifo, socket */
	HELD_DIR,
	HELD_WHITEOUT, /* `path` was deleted; of a name too long to tell, the mark's own path */
	HELD_OPAQUE,   /* directory `path` shows nothing of the lower one */
	HELD_REDIRECT, /* directory `path` shows another lower one */
};

struct held {
	char *path; /* from the environment's directory */
	uint8_t kind;
	struct stat st; /* of files, links and directories */
};

struct held_table {
	struct held *p; /* sorted by path, then kind */
	size_t n, cap;
	bool redirects;	  /* some view directory was renamed */
	bool temporaries; /* something is not in its place yet, or never will be */
};

/* Reads what `dirfd` (the environment's upper directory) holds, without .venvfs. held_free() it on
 * failure too. -ENAMETOOLONG where it is nested too deeply. */
int held_read(int dirfd, struct held_table *ret);
void held_free(struct held_table *t);

const struct held *held_find(const struct held_table *t, const char *path, enum held_kind kind);
/* `path` has a whiteout. */
bool held_deleted(const struct held_table *t, const char *path);
/* A file of the lower tree under `path` is what shows: nothing above it, no deletion on the way. */
bool held_lower_shows(const struct held_table *t, const char *path);

#endif
