/* SPDX-License-Identifier: MIT
 *
 * A whole environment written out: the view without its pyvenv.cfg.
 */
#ifndef VIEW_EXPORT_H
#define VIEW_EXPORT_H

#include "view/generate.h"

/* Writes what `upper` (its private files, whiteouts honoured) over `l` shows into the empty
 * directory `out`, as the environment `env`. On failure a part is left in `out`; diag names the
 * path. */
int export_tree(
	struct lower *l, const struct generate_env *env, int upper, int out, struct diag *diag);

/* What shows through the upper directory `fd` when `below` (or NULL) lies under it: nothing if it is
 * opaque, the recorded directory if it was moved. *ret NULL: nothing. */
int export_through(
	struct lower *l, int fd, const struct lower_entry *below, struct lower_dir **ret);

#endif
