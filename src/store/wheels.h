/* SPDX-License-Identifier: MIT
 *
 * Private to store/: the file "wheels" beside a manifest, which tells what wheels the
 * distribution came from: lines of "FILE sha256:<64 hex>".
 */
#ifndef STORE_WHEELS_H
#define STORE_WHEELS_H

#include "store/digest.h"
#include "store/tier.h"

struct wheel_line {
	const char *file; /* in the text, not terminated */
	size_t len;
	struct digest digest;
};

/* -ENOENT: there is none. */
int wheels_read(const struct tier *t, const char *dir, struct str *ret);
/* The line at *text, which moves behind it. -ENOENT: no more; -EPROTO: no such line. */
int wheels_next(const char **text, const char *end, struct wheel_line *ret);
bool wheels_has(const struct tier *t, const char *dir, const char *file, const struct digest *wheel);
/* One line. -EINVAL: no file can be called so. */
int wheels_format(const char *file, const struct digest *wheel, struct str *out);
/* Adds it, durably, to a distribution that is there, unless it has it. */
int wheels_add(const struct tier *t, const char *dir, const char *file, const struct digest *wheel);

#endif
