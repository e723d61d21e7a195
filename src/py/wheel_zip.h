/* SPDX-License-Identifier: MIT
 *
 * The structure of a zip archive, read from the raw bytes and checked strictly: rules 1, 3, 4
 * and 5. What passes means the same to every reader: the members lie one behind the other from the
 * first byte, each as its own header and the central directory say alike, then the directory, then
 * the end.
 */
#ifndef PY_WHEEL_ZIP_H
#define PY_WHEEL_ZIP_H

#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ZIP_STORED = 0, ZIP_DEFLATED = 8 };
enum { ZIP_FLAG_DESCRIPTOR = 0x0008, ZIP_FLAG_UTF8 = 0x0800 };

struct zip_member {
	char *name;	 /* no NUL inside; ends in "/" for a directory; not checked further */
	uint64_t packed; /* bytes in the archive */
	uint64_t size;	 /* bytes of the file */
	uint64_t offset; /* of its own header */
	uint32_t crc;
	uint32_t mode; /* Unix mode, 0 where there is none */
	uint16_t method, flags;
	bool dir;
};

struct zip_index {
	struct zip_member *members; /* in the order of the central directory */
	size_t n;
	char *names; /* all of them */
};

/* `size` is the file's. -EINVAL: refused, diag says why; `file` is for that text. -EIO, -ENOMEM. */
int zip_index_read(
	int fd, uint64_t size, const char *file, struct zip_index *ret, struct diag *diag);
void zip_index_free(struct zip_index *z);

#endif
