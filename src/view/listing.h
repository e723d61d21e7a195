/* SPDX-License-Identifier: MIT
 *
 * The names in a directory, all at once.
 */
#ifndef VIEW_LISTING_H
#define VIEW_LISTING_H

#include <stdbool.h>
#include <stddef.h>

struct listing {
	char **p; /* sorted bytewise */
	size_t n, cap;
};

/* Fills a zeroed list with what `dirfd` has, without "." and ".."; listing_free() it on failure too.
 */
int listing_read(int dirfd, struct listing *ret);
bool listing_have(const struct listing *l, const char *name);
void listing_free(struct listing *l); /* leaves it zeroed */

#endif
