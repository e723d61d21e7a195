/* SPDX-License-Identifier: MIT
 *
 * From a lock file to a lock, with all that it names in the store: sync_lock() for commands, and what
 * its parts share. In order: sync_read() turns the file into wants, sync_find() looks into the
 * store, index_locate() learns addresses of what has none, sync_get() brings it all into the store.
 * Each leaves a fault at every want that it can do nothing for and goes on with the others.
 */
#ifndef CMD_SYNC_H
#define CMD_SYNC_H

#include "cmd/chooser.h"
#include "cmd/cmd.h"

enum index_asker {
	ASK_BEST, /* uv where there is one, unless it is pip that was told of an index */
	ASK_PIP,
	ASK_UV,
};
/* The value of --ask: "pip", "uv"; `arg` is the index_asker. A cmd_option.take. */
int index_asker_parse(void *arg, const char *name, struct diag *diag);

struct sync_request {
	struct interpreter *py; /* whose environment it is to be, with tags and markers */
	/* told apart by its suffix: a pylock.toml, pip's installation report (.json), or else a
	 * requirements.txt with pins */
	const char *file;
	const char *text; /* of pins, in place of a file, which `file` then names to a person; else NULL */
	const struct lock *kept; /* lines that stay unless the file names them; NULL: none */
	enum index_asker asker;
};
struct synced {
	struct digest id;
	struct lock *lock; /* to be freed by lock_free() */
	bool known;	   /* the answer was there: nothing was asked, read or added */
	bool lasts;	   /* the same file will mean the same next time: it names no source tree */
};
/* What the file means for that interpreter. Puts into the store what it names, and the lock. `ret` is
 * filled where it returns 0; 1: it can not be had, and a person was told each reason; -errno with
 * diag. No environment is touched. */
int sync_lock(struct cmd_context *ctx, const struct sync_request *request, struct synced *ret,
	struct diag *diag);

struct sync {
	struct cmd_context *ctx;
	const char *file;	/* the lock file, as it was given */
	struct str text;	/* its bytes */
	struct interpreter *py; /* with tags and markers */
	enum index_asker asker;

	struct wants wants;
	struct str options; /* of the index, lines as a requirements.txt has them */
	struct str faults;  /* a line for each that belongs to no want */
	struct workdir work;
	struct chooser chooser;
	/* a want has got its path; called from several threads; NULL: nobody waits for that */
	void (*arrived)(struct sync *s, struct want *w);
	void *get;	/* sync_get()'s own */
	size_t n_added; /* distributions that came into the store */
};

/* sync_lock.c: with nothing read yet, and the end of it. */
void sync_begin(struct sync *s, struct cmd_context *ctx, struct interpreter *py, enum index_asker asker);
void sync_end(struct sync *s);
size_t sync_tell_faults(const struct sync *s); /* a person is told each line of faults; how many */

/* sync_read.c: the file's bytes become wants. -EINVAL: faults tells what can not be had. */
int sync_read(struct sync *s, struct diag *diag);

/* sync_find.c */
/* Marks each want that the store has, and nothing else. -errno: the store can not be read. */
int sync_find(struct sync *s, struct diag *diag);
/* What a source was built to for this interpreter is noted for the next time; a source tree never
 * is. */
int sync_built(struct sync *s, const struct want *source, const struct lock_line *line);
/* A want as a person may read it: "numpy 2.1.0". */
void sync_name(const struct want *w, char *ret, size_t n);

/* sync_get.c: downloads, builds and adds to the store all that is not found and has no fault. */
int sync_get(struct sync *s, struct diag *diag);

/* index.c: pins get files */
/* Learns from uv where they are, all at once. 0 also where it could not tell: index_fetch() then
 * does. */
int index_locate(struct sync *s, struct diag *diag);
/* Gets into a directory what is still a pin, by pip, which is the reference for what an index and a
 * user's configuration mean; each then has a path. */
int index_fetch(struct sync *s, struct diag *diag);
/* chooser_fetch: `arg` is the sync. */
int index_fetch_library(void *arg, const char *name, const char *version, const char *file,
	const struct digest *digest, struct diag *diag);

/* build.c: a source becomes a wheel at *ret_path, in the work directory. */
int build_wheel(
	struct sync *s, const struct want *w, unsigned serial, char **ret_path, struct diag *diag);

#endif
