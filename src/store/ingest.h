/* SPDX-License-Identifier: MIT
 *
 * Adding to the own store. An ingest is a lease (a locked directory under tmp/,
 * which tells gc and the cleaning of leftovers that it lives) and a batch: what
 * was added becomes visible at ingest_commit(), after one syncfs for all of it,
 * each distribution's manifest last. Killed anywhere before, nothing is visible
 * and the next ingest removes the leftovers.
 *
 * A distribution is written in three steps, so that many threads can fill it:
 *	ingest_dist_new	   takes the manifest with paths and sizes (digests not yet), sorts it
 *	ingest_dist_file   for each entry: where its bytes go; any thread, each entry once;
 *			   the caller writes exactly size bytes there and sets the entry's digest
 *	ingest_dist_done   computes the address and stages it
 * Adding what is there already is a success that stores nothing. An ingest may be
 * used by several threads, one distribution by the threads that fill it.
 */
#ifndef STORE_INGEST_H
#define STORE_INGEST_H

#include "store/store.h"

struct ingest;
struct ingest_dist;

int ingest_begin(struct store *s, struct ingest **ret, struct diag *diag); /* -EROFS: no own store */
/* Makes all staged distributions visible and durable; the ingest may be used on. On failure none
 * that was not visible before is promised, and nothing half-written is visible. */
int ingest_commit(struct ingest *in, struct diag *diag);
void ingest_free(struct ingest *in); /* drops what was not committed */

/* Takes `m` over (also on failure). */
int ingest_dist_new(struct ingest *in, struct manifest *m, struct ingest_dist **ret,
	struct diag *diag);
struct manifest *ingest_dist_manifest(struct ingest_dist *d); /* sorted; borrowed; set entries[i].digest */
/* Bytes of entry i go to [*ret_off, +size) of *ret_fd. Give the descriptor back with ingest_dist_file_done(). */
int ingest_dist_file(struct ingest_dist *d, size_t i, int *ret_fd, off_t *ret_off);
int ingest_dist_file_done(struct ingest_dist *d, size_t i, int fd);
/* `wheel_name` and `wheel` (NULL if none) are recorded beside it. Consumes `d`. */
int ingest_dist_done(struct ingest_dist *d, const char *wheel_name, const struct digest *wheel,
	struct digest *ret_address, struct diag *diag);
/* The same for derived bytecode: `source` and `key` as in store_pyc(). */
int ingest_pyc_done(struct ingest_dist *d, const struct digest *source, const char *key,
	struct diag *diag);
void ingest_dist_free(struct ingest_dist *d); /* gives up, before done */

#endif
