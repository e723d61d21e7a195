/* SPDX-License-Identifier: MIT
 *
 * SHA-256, the identity of everything in a store. (XXH3 is in checksum.h: it
 * finds accidents and fills hash tables, and is never an identity.)
 */
#ifndef STORE_DIGEST_H
#define STORE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { DIGEST_SIZE = 32, DIGEST_HEX = 64 };

struct digest {
	uint8_t b[DIGEST_SIZE];
};

/* one go */
int digest_buf(const void *buf, size_t n, struct digest *ret);           /* -EIO: libcrypto failed */
int digest_fd(int fd, off_t off, uint64_t n, struct digest *ret);         /* -EIO also if it is shorter */

/* streaming; a hasher may be begun again after the end, and belongs to one thread */
struct hasher;
struct hasher *hasher_new(void); /* NULL: out of memory */
void hasher_free(struct hasher *h);
int hasher_begin(struct hasher *h);
int hasher_add(struct hasher *h, const void *buf, size_t n);
int hasher_end(struct hasher *h, struct digest *ret);

/* RECORD may give these in place of SHA-256: for checking alone, never an identity */
enum hash_kind { HASH_SHA256, HASH_SHA384, HASH_SHA512 };
enum { HASH_SIZE_MAX = 64 };
size_t hash_size(enum hash_kind kind);
int hasher_begin_kind(struct hasher *h, enum hash_kind kind);
int hasher_end_kind(struct hasher *h, enum hash_kind kind, uint8_t ret[HASH_SIZE_MAX]);

/* text: 64 lower-case hex digits */
void digest_format(const struct digest *d, char hex[DIGEST_HEX + 1]);
int digest_parse(const char *hex, size_t n, struct digest *ret); /* -EINVAL unless n is 64 lower-case hex digits */
/* RECORD's form: urlsafe base64 without padding, 43 characters (binary distribution format). */
void digest_format_base64(const struct digest *d, char out[44]);
bool digest_equal(const struct digest *a, const struct digest *b);

#endif
