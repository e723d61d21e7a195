/* SPDX-License-Identifier: MIT
 *
 * A lock lists what one environment has installed. Canonical text, lines sorted
 * by name, one per distribution; its SHA-256 is what pyvenv.cfg names:
 *
 *	numpy 2.1.0 sha256:<manifest> requested installer=pip origin=sha256:<blob> wheel=numpy-2.1.0-....whl:sha256:<digest>
 *
 * The words behind the address are optional, in this order.
 */
#ifndef STORE_LOCK_H
#define STORE_LOCK_H

#include "base/diag.h"
#include "base/str.h"
#include "store/digest.h"

struct lock_line {
	char *name, *version; /* as the manifest has them */
	struct digest address;
	bool requested;       /* a REQUESTED file is shown */
	char *installer;      /* INSTALLER's text without its newline; NULL: no such file */
	bool has_origin;
	struct digest origin; /* of direct_url.json's bytes */
	char *wheel_name;     /* NULL where unknown */
	struct digest wheel;
};

struct lock {
	struct lock_line *lines;
	size_t n, cap;
};

struct lock *lock_new(void); /* NULL: out of memory */
void lock_free(struct lock *l);
/* Adds a copy of `line`, replacing the line of the same name. 0 or -ENOMEM. */
int lock_set(struct lock *l, const struct lock_line *line);
/* 0, or -ENOENT. */
int lock_remove(struct lock *l, const char *name);
const struct lock_line *lock_find(const struct lock *l, const char *name);
int lock_parse(const char *text, size_t n, struct lock **ret, struct diag *diag); /* -EPROTO */
int lock_format(const struct lock *l, struct str *out);
struct lock *lock_copy(const struct lock *l); /* NULL: out of memory */

#endif
