/* SPDX-License-Identifier: MIT
 *
 * What the store and the base Python give one environment: the merged tree of its distributions, their
 * derived bytecode, and the names that are generated. It depends on (lock, interpreter) alone,
 * never on the environment's path, so environments with equal locks share one. Immutable and
 * reference-counted; directories are merged when first looked into, so making one
 * costs the number of distributions, not of files.
 */
#ifndef VIEW_LOWER_H
#define VIEW_LOWER_H

#include "base/diag.h"
#include "py/interpreter.h"
#include "store/store.h"

enum lower_type { LOWER_DIR, LOWER_FILE, LOWER_LINK, LOWER_GENERATED };
enum generated { /* of a distribution: what is in front of GEN_ACTIVATE */
	GEN_ENTRY_POINT, /* of dist, index into its entry points */
	GEN_SCRIPT,      /* a file of tree bin that begins "#!python": dist, entry */
	GEN_RECORD, GEN_INSTALLER, GEN_REQUESTED, GEN_ORIGIN, /* in dist's .dist-info */
	GEN_ACTIVATE,    /* activate scripts: index into the base Python's templates */
	GEN_GITIGNORE,
	GEN_CACHE_TAG,   /* in no lower tree: CACHEDIR.TAG of the root (merge.c) */
};

struct lower_dir;

struct lower_entry {
	const char *name;
	uint8_t type;      /* enum lower_type */
	uint8_t generated; /* enum generated */
	bool derived;      /* bytecode: hidden where `source` is not the very file it was made from */
	uint32_t dist;     /* index into the lower's distributions; for FILE the object is `file_dist` */
	uint32_t index;    /* entry, entry point or template */
	struct dist *file_dist;    /* FILE: whose entry `index` is (for derived: the pyc distribution) */
	struct lower_dir *dir;     /* DIR */
	const char *target;        /* LINK */
};

/* Whose a file or generated file is: an index into the lower's distributions; -1: the environment's own, or none. */
static inline int64_t lower_owner(const struct lower_entry *e)
{
	bool owned = e && (e->type == LOWER_FILE || (e->type == LOWER_GENERATED && e->generated < GEN_ACTIVATE));

	return owned ? (int64_t)e->dist : -1;
}

struct lower_dir {
	struct lower_dir *parent; /* NULL for the root */
	const char *name;
	const struct lower_entry *entries; /* sorted bytewise by name; after lower_load() */
	size_t n;
	bool merged;              /* more than one distribution, or generated names: its time is the lock's */
	struct timespec mtime;    /* of the one distribution, where not merged */
	/* private to lower.c below */
	uint32_t id;              /* stable within this lower */
	void *parts;
	_Atomic int loaded;
};

struct lower;
/* `pyc`: show derived bytecode. Distributions that no tier has are -ENOENT with their names. */
int lower_new(struct store *s, const struct lock *lock, struct interpreter *py, bool pyc,
	struct lower **ret, struct diag *diag);
struct lower *lower_ref(struct lower *l);
void lower_unref(struct lower *l);

/* Whether two of the same lock were made of the same: facts of the Python, distributions, their bytecode. */
bool lower_is_same(const struct lower *a, const struct lower *b);

struct lower_dir *lower_root(struct lower *l);
/* Fills entries; thread-safe, cheap when done before. -ENOMEM, or -EIO/-EBADMSG of the store. */
int lower_load(struct lower *l, struct lower_dir *dir);
/* NULL in *ret where there is no such name. Loads. */
int lower_lookup(struct lower *l, struct lower_dir *dir, const char *name,
	const struct lower_entry **ret);
/* Walks a relative path of directories; *ret NULL where it is not a directory. */
int lower_walk(struct lower *l, const char *path, struct lower_dir **ret);

struct interpreter *lower_interpreter(struct lower *l); /* borrowed */
size_t lower_n_dists(const struct lower *l);
struct dist *lower_dist(const struct lower *l, size_t i);            /* borrowed */
const struct lock_line *lower_line(const struct lower *l, size_t i); /* borrowed */
struct store *lower_store(const struct lower *l);
/* Paths that two distributions have with different bytes: "path: a, b" lines for `show`. Walks all. */
int lower_conflicts(struct lower *l, struct str *out);

#endif
