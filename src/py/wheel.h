/* SPDX-License-Identifier: MIT
 *
 * A wheel into the store. libzip reads the central directory; members are streamed
 * straight into pack and blobs, inflated and hashed on `threads` threads; a name from the archive never
 * reaches the file system. What is refused, by number (SECURITY.md tells each): the message is
 * "FILE: MEMBER: reason (rule N)".
 */
#ifndef PY_WHEEL_H
#define PY_WHEEL_H

#include "store/ingest.h"

struct wheel_name { /* from the file name (Binary distribution format) */
	char *name;    /* normalized as in manifest.h */
	char *version;
	char *tags;    /* "py3-none-any", compressed sets as they are */
};
int wheel_name_parse(const char *file_name, struct wheel_name *ret, struct diag *diag);
void wheel_name_free(struct wheel_name *w);

/* Adds the wheel to the ingest; visible after ingest_commit(). `expect` (NULL: none) is the SHA-256 the file must
 * have, checked before anything is parsed. The address is returned, also if the store had it. -EINVAL: refused. */
int wheel_ingest(struct ingest *in, const char *path, const struct digest *expect, unsigned threads,
	struct digest *ret_address, struct digest *ret_wheel, struct diag *diag);

#endif
