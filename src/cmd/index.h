/* SPDX-License-Identifier: MIT
 *
 * Private to index*.c: which of the user's installers is asked about the package index.
 */
#ifndef CMD_INDEX_H
#define CMD_INDEX_H

#include "cmd/sync.h"

bool index_by_uv(enum index_asker asker);
/* Runs uv over the requirements in `in`, which is in the work directory, and lets it write `out`
 * there, a name as PEP 751 wants it. -EIO: it could not answer, and diag has what it said. */
int index_run_uv(struct sync *s, const char *in, const char *out, struct diag *diag);
/* Lets pip download what the requirements `text` name into `dir`; `name` is the file in the work
 * directory that they are written to. -ENOENT: there is no pip. */
int index_run_pip(
	struct sync *s, const char *dir, const char *name, const char *text, struct diag *diag);

#endif
