/* SPDX-License-Identifier: MIT
 *
 * RECORD ("Recording installed projects"): CSV rows of path, hash, size.
 */
#ifndef PY_RECORD_H
#define PY_RECORD_H

#include "base/diag.h"
#include "base/str.h"
#include "store/digest.h"

struct record_row {
	const char *path; /* valid during the call */
	const char *hash; /* "sha256=...", or "" */
	const char *size; /* decimal, or "" */
};

/* Calls `each` per row; stops at a negative return. -EINVAL for malformed CSV. */
int record_parse(const char *text, size_t n, int (*each)(void *arg, const struct record_row *row),
	void *arg, struct diag *diag);
/* A row's hash: sha256, sha384 or sha512 in RECORD's form; false for anything else. `ret` is filled in
 * part on failure. */
bool record_hash_parse(const char *text, enum hash_kind *ret_kind, uint8_t ret[HASH_SIZE_MAX]);
/* One row as pip writes it (CRLF, quoted where CSV needs it); `digest` NULL leaves hash and size empty. */
int record_add(struct str *out, const char *path, const struct digest *digest, uint64_t size);

#endif
