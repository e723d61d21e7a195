/* SPDX-License-Identifier: MIT
 *
 * The names in a directory, all at once.
 */
#ifndef VIEW_NAMES_H
#define VIEW_NAMES_H

#include <stdbool.h>
#include <stddef.h>

struct names {
	char **p; /* sorted bytewise */
	size_t n, cap;
};

/* Fills a zeroed list with what `dirfd` has, without "." and ".."; names_free() it on failure too.
 */
int names_read(int dirfd, struct names *ret);
bool names_have(const struct names *l, const char *name);
void names_free(struct names *l); /* leaves it zeroed */

#endif
