/* SPDX-License-Identifier: MIT
 *
 * The view as an ordinary directory, without a mount: the oracle of the tests and the way out.
 */
#ifndef VIEW_MATERIALIZE_H
#define VIEW_MATERIALIZE_H

#include "py/cfg.h"
#include "view/lower.h"

/* Writes the environment that lies in `env_fd` (its upper: pyvenv.cfg and private files, whiteouts
 * honoured) into the empty or missing directory `dest` (absolute), as an environment of that path.
 * Files by reflink where the file system can, else copy; mtimes as in the view. -ENOTEMPTY; a
 * failure leaves nothing behind. */
int materialize(struct store *s, int env_fd, const char *dest, struct diag *diag);

/* The same into the empty directory `out`, as an environment of the path `path` where it will lie. A failure
 * leaves a part in it. */
int materialize_into(
	struct store *s, int env_fd, int out, const char *path, struct diag *diag);

/* The lower tree of an environment with this pyvenv.cfg. */
int materialize_lower(
	struct store *s, const struct cfg *cfg, struct lower **ret, struct diag *diag);

#endif
