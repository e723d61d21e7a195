/* SPDX-License-Identifier: MIT
 *
 * What takes room in a store: the pieces that a distribution or a lock stands for there. A piece is
 * one place on the disk; several distributions may have the same one, so whoever adds up must count
 * each (kind, id, tier) once.
 */
#ifndef STORE_USAGE_H
#define STORE_USAGE_H

#include "store/store.h"

enum usage_kind {
	USAGE_DIST,	/* manifest, pack and what lies beside them */
	USAGE_BYTECODE, /* what was derived from that distribution, for all interpreters */
	USAGE_BLOB,	/* a larger file, or a small object that a lock names */
	USAGE_LOCK,
};

struct usage {
	enum usage_kind kind;
	struct digest id;
	bool derived; /* bytecode, which can be made again */
	size_t tier;
	uint64_t disk; /* bytes, by blocks */
};

typedef int (*usage_each)(void *arg, const struct usage *u);

/* Calls `each` for every piece of a distribution, itself first, and stops at a non-zero return,
 * which it returns. A blob that bytecode has is one too. What is not there takes no room and is
 * left out. */
int usage_of_dist(struct store *s, const struct dist *d, usage_each each, void *arg);
/* The lock's own object, and the small ones that it names. */
int usage_of_lock(struct store *s, const struct digest *id, const struct lock *lock,
	usage_each each, void *arg);

#endif
