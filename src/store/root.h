/* SPDX-License-Identifier: MIT
 *
 * Private to store/: the notes of roots, roots/<SHA-256 of the path>.
 */
#ifndef STORE_ROOT_H
#define STORE_ROOT_H

#include "store/tier.h"

/* The path in the note of that name. -EBADMSG: it is not what the name says. */
int root_read(const struct tier *t, const char *name, struct str *ret);

#endif
