/* SPDX-License-Identifier: MIT
 *
 * The environments of a root. One may lie at any depth; what is below it is its own.
 */
#ifndef CMD_ENVS_H
#define CMD_ENVS_H

#include "base/diag.h"

/* Calls `each` with the name of every environment (its path from the root), in no order, and stops
 * at a non-zero return, which it returns. -ENOENT: there is no such directory; -ENOTCONN: its
 * daemon is gone. */
int envs_each(
	const char *root, int (*each)(void *arg, const char *name), void *arg, struct diag *diag);

#endif
