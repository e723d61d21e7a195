/* SPDX-License-Identifier: MIT
 *
 * The names under which the upper keeps what is no file of its own. They never show through
 * the mount, and nobody can make one there.
 */
#ifndef VIEW_WHITEOUT_H
#define VIEW_WHITEOUT_H

#include <limits.h>
#include <stdbool.h>

#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq" /* in a directory: nothing of the lower one shows */
/* In a directory that was renamed: holds the path, from the environment, of the lower directory
 * that it shows; no newline. */
#define WHITEOUT_REDIRECT ".wh..wh..redirect"

/* The same for a name that no longer fits behind the prefix: its checksum in 16 hex digits follows. */
#define WHITEOUT_LONG ".wh..wh..long."

/* ".wh.NAME": an empty file that says NAME was deleted. -ENAMETOOLONG: NAME is none. */
int whiteout_name(const char *name, char ret[NAME_MAX + 1]);
/* The name that `mark` deletes (within `mark`), or NULL if it is no whiteout, or one of a long name,
 * which it can not tell. */
const char *whiteout_of(const char *mark);
/* ".wh.*" and ".venvfs*" */
bool name_reserved(const char *name);
/* ".venvfs-tmp.*": something that is not in its place yet. */
bool name_temporary(const char *name);

#endif
