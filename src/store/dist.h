/* SPDX-License-Identifier: MIT
 *
 * Private to store/: where distributions lie in a tier, reading one, and the table of
 * those in memory.
 */
#ifndef STORE_DIST_H
#define STORE_DIST_H

#include "store/store.h"
#include "store/tier.h"

/* paths of directories in a tier; -EINVAL for what can not be a name there */
int dist_path(const char *name, const char *version, const struct digest *address,
	struct str *out);
int dist_path_pyc(const struct digest *source, const char *key, struct str *out);

/* Reads and checks the manifest in directory `dir`. `address` is what its SHA-256 must be; NULL:
 * what the file `address` beside it says (bytecode). -ENOENT: there is none; -EBADMSG: other bytes
 * than its address says; -EPROTO: no manifest. `ret_st` is of the manifest's file. */
int dist_read(const struct tier *t, const char *dir, const struct digest *address,
	struct manifest **ret, struct digest *ret_address, struct stat *ret_st, struct diag *diag);
/* The pack in `dir`, which must have `size` bytes. -ENOENT, -EBADMSG */
int dist_open_pack(const struct tier *t, const char *dir, uint64_t size, int *ret_fd);
/* Whether all that `m` names is there, by names and sizes alone: `dir` has its pack, and the tier
 * its blobs. 1 or 0. */
int dist_is_whole(const struct tier *t, const char *dir, const struct manifest *m);
/* The mtime's nanoseconds of a manifest's file. */
long dist_nanoseconds(const struct digest *address);

/* the table, one in each store */
struct dists;
int dists_new(struct dists **ret);
void dists_free(struct dists *d); /* none may be referenced */

#endif
