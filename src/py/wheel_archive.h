/* SPDX-License-Identifier: MIT
 *
 * Members' bytes, through libzip and the central directory. An archive handle belongs to one thread
 * at a time; several may read one descriptor, whose position is not used.
 */
#ifndef PY_WHEEL_ARCHIVE_H
#define PY_WHEEL_ARCHIVE_H

#include "base/str.h"
#include "py/wheel_zip.h"

#include <sys/types.h>

struct archive;

/* libzip must see the same directory as `z`, else -EINVAL (rule 3). `fd` and `file` are borrowed.
 */
int archive_open(int fd, uint64_t size, const struct zip_index *z, const char *file,
	struct archive **ret, struct diag *diag);
void archive_free(struct archive *a);
/* Hands all bytes of a member to `sink`, in pieces of up to 128 KiB: exactly as many as were
 * declared, out of exactly the packed bytes that were declared, with the declared checksum, else
 * -EINVAL at the end or before (rules 1, 3 and 9). Stops at a negative return of `sink` and returns
 * it. */
int archive_read(struct archive *a, size_t member,
	int (*sink)(void *arg, const void *buf, size_t n), void *arg, struct diag *diag);
/* A member whole. More than `max` bytes are refused (rule 9). */
int archive_slurp(struct archive *a, size_t member, size_t max, struct str *ret, struct diag *diag);
/* Its first bytes, up to `n`; nothing is checked. Returns how many. */
ssize_t archive_head(struct archive *a, size_t member, void *buf, size_t n, struct diag *diag);

#endif
