/* SPDX-License-Identifier: MIT
 *
 * Private to store/: objects named by the SHA-256 of their bytes, KIND/ab/<62 hex>, 0444.
 * Of kind "blobs" (files of distributions, and small ones that locks name) and "locks".
 */
#ifndef STORE_BLOB_H
#define STORE_BLOB_H

#include "store/digest.h"
#include "store/tier.h"

enum { BLOB_PATH = 80 }; /* enough for every path, with its NUL */
void blob_path(const char *kind, const struct digest *id, char ret[BLOB_PATH]);
/* The digest that KIND/`shard`/`rest` stands for. -EINVAL */
int blob_path_parse(const char *shard, const char *rest, struct digest *ret);

/* Opens the blob in one tier. -EBADMSG if it is not of this size. */
int blob_open(const struct tier *t, const struct digest *id, uint64_t size, int *ret_fd);
/* 1: there, and of this size; else 0. */
int blob_is_there(const struct tier *t, const struct digest *id, uint64_t size);

/* Small objects, as a whole. Put writes to the own store, durably, unless a tier has it. */
int blob_put(struct store *s, const char *kind, const void *buf, size_t n, struct digest *ret);
/* From the first tier with the right bytes. -EBADMSG: none has, but one has wrong ones. */
int blob_get(struct store *s, const char *kind, const struct digest *id, size_t max,
	struct str *ret);

#endif
