/* SPDX-License-Identifier: MIT
 *
 * A wheel into the store. libzip reads the central directory; members are streamed
 * straight into pack and blobs, inflated and hashed on `threads` threads; a name from the archive
 * never reaches the file system. What is refused, by number (SECURITY.md tells each): the message
 * is "FILE: MEMBER: reason (rule N)".
 */
#ifndef PY_WHEEL_H
#define PY_WHEEL_H

#include "store/ingest.h"

struct wheel_name { /* from the file name (Binary distribution format) */
	char *name; /* normalized as in manifest.h */
	char *version;
	char *tags; /* "py3-none-any", compressed sets as they are */
};
int wheel_name_parse(const char *file_name, struct wheel_name *ret, struct diag *diag);
void wheel_name_free(struct wheel_name *w);

/* Adds the wheel to the ingest; visible after ingest_commit(). `expect` (NULL: none) is the SHA-256
 * the file must have, checked before anything is parsed. The address is returned, also if the store
 * had it. -EINVAL: refused. */
int wheel_ingest(struct ingest *in, const char *path, const struct digest *expect, unsigned threads,
	struct digest *ret_address, struct digest *ret_wheel, struct diag *diag);

/* Many wheels over one set of threads, which take the largest piece of work there is: so a
 * hundred small wheels and one large member keep all cores busy alike. */
struct wheel_pool;
struct wheel_result {
	const char *path; /* as it was given */
	void *tag;	  /* as it was given */
	int err;	  /* 0: address and wheel are filled; else -errno, as of wheel_ingest() */
	const struct diag *diag;
	struct digest address, wheel;
};
struct wheel_watch { /* called from the pool's threads; each may be NULL */
	void (*moved)(void *arg, uint64_t bytes); /* so many bytes of the files are done with */
	void (*done)(void *arg, const struct wheel_result *result); /* one call at a time */
	void *arg;
};
/* 0 threads: as many as this process may use cores. */
int wheel_pool_new(struct ingest *in, unsigned threads, const struct wheel_watch *watch,
	struct wheel_pool **ret);
/* Returns at once; any thread, also from `done`. `expect` as above. Not `named`: its file name is not
 * recorded, so that nobody who looks for a wheel of its name and version is given it. 0 or -ENOMEM. */
int wheel_pool_add(struct wheel_pool *p, const char *path, const struct digest *expect, bool named,
	void *tag);
/* Waits until all that was added is done, and frees the pool. */
void wheel_pool_finish(struct wheel_pool *p);

#endif
