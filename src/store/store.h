/* SPDX-License-Identifier: MIT
 *
 * "The store" is an ordered list of directories: the user's own on top, where
 * everything new goes, above read-only tiers in which nothing is ever created,
 * no lock either. Layout (docs/format.md): store-version, CACHEDIR.TAG,
 * dists/NAME/VERSION/ADDRESS/{manifest,pack,wheels}, blobs/ab/..., locks/ab/...,
 * pyc/ADDRESS/TAG-MAGIC-OPT/{manifest,pack}, docs of other kinds, tmp/.
 *
 * A store object is thread-safe. All text a person should see goes into diag.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/diag.h"
#include "base/str.h"
#include "store/digest.h"
#include "store/lock.h"
#include "store/manifest.h"

#include <time.h>

struct store;

/* life cycle */
/* Opens `own` (made if missing, with its parents, 0700; NULL for none) above `tiers`. Refuses (-EPERM)
 * a directory that is neither ours nor root's or that others may write; -EPROTO for an unknown version.
 * A tier that is missing is an error too (-ENOENT). */
int store_open(const char *own, char *const *tiers, size_t n_tiers, struct store **ret,
	struct diag *diag);
void store_free(struct store *s); /* distributions taken from it must be gone */
const char *store_path(const struct store *s, size_t tier); /* 0 is the own store ("": none); NULL past the end */
int store_fd(const struct store *s, size_t tier); /* borrowed O_PATH descriptor */

/* distributions: immutable, reference-counted, one object per address in a process */
struct dist {
	struct digest address;
	struct timespec mtime;     /* what all its files show */
	uint32_t serial;           /* for inode numbers: never 0, never reused in a process */
	size_t tier;
	const struct manifest *manifest;
	const uint64_t *offsets;   /* by entry, manifest_layout() */
};

/* -ENOENT: in no tier. -EPROTO / -EBADMSG: damaged (diag says where). */
int store_dist(struct store *s, const char *name, const char *version, const struct digest *address,
	struct dist **ret, struct diag *diag);
/* Derived bytecode of a distribution as a distribution of its own (tree "pyc"), key "cpython-311-a70d0d0a-0".
 * -ENOENT: none yet. An unreadable one counts as none. */
int store_pyc(struct store *s, const struct dist *source, const char *key, struct dist **ret);
struct dist *dist_ref(struct dist *d);
void dist_unref(struct dist *d);

/* A file's bytes: the descriptor is borrowed and pinned until extent_release(). The bytes are
 * [off, off + size) of fd. -EIO where pack or blob is missing or too short. */
struct extent {
	int fd;
	off_t off;
	uint64_t size;
	void *pin;
};
int dist_extent(struct dist *d, size_t entry, struct extent *ret);
void extent_release(struct extent *e);
/* Appends all of it. -EFBIG if it has more than `max` bytes; -EIO as above. */
int dist_slurp(struct dist *d, size_t entry, size_t max, struct str *out);

/* what is there */
struct found {
	char *name, *version;
	struct digest address;
	char *wheel_name;    /* NULL if it did not come from a wheel */
	struct digest wheel; /* SHA-256 of the wheel file */
	size_t tier;
};
/* Distributions by name and version (NULL for any), all tiers, top first; one row per (address, wheel). Free with found_free(). */
int store_find(struct store *s, const char *name, const char *version, struct found **ret, size_t *n);
void found_free(struct found *f, size_t n);
/* 0: a tier has it, by its manifest's being there and nothing more. -ENOENT */
int store_has_dist(const struct store *s, const char *name, const char *version,
	const struct digest *address);

/* locks (lock.h) */
int store_lock_put(struct store *s, const struct lock *lock, struct digest *ret, struct diag *diag);
int store_lock_get(struct store *s, const struct digest *id, struct lock **ret, struct diag *diag);

/* small objects that a lock names (direct_url.json), by their SHA-256, at most 1 MiB */
int store_blob_put(struct store *s, const void *buf, size_t n, struct digest *ret);
int store_blob_get(struct store *s, const struct digest *id, struct str *ret); /* -EBADMSG: wrong bytes */

/* notes: small texts by kind (a directory of the store) and key (hashed into a file name), replaceable:
 * interpreters' facts, answers of the resolver's helper */
int store_note_put(struct store *s, const char *kind, const char *key, const void *buf, size_t n);
int store_note_get(struct store *s, const char *kind, const char *key, struct str *ret); /* top tier first; -ENOENT */
/* Calls `each` with every note's text of a kind, own store first; stops at a non-zero return and returns it. */
int store_note_each(struct store *s, const char *kind, int (*each)(void *arg, const char *text, size_t n), void *arg);

/* roots: the directories whose environments use this store, by absolute path with links resolved */
/* Notes it in the own store, durably, unless that is known or there is none. */
int store_root_put(struct store *s, const char *root);
/* Calls `each` with every one, whether it is still there or not; stops at a non-zero return and returns it. */
int store_root_each(struct store *s, int (*each)(void *arg, const char *root), void *arg);

/* checking */
struct verify_stats {
	size_t n_dists, n_files, n_blobs, n_locks, n_bad;
	uint64_t bytes;
};
/* Re-reads all of every tier: manifests against addresses, files against digests, locks and what they
 * name, modes and owners, names that belong nowhere. Calls `bad` with one line for each fault. */
int store_verify(struct store *s, void (*bad)(void *arg, const char *what), void *arg,
	struct verify_stats *ret, struct diag *diag);

#endif
