/* SPDX-License-Identifier: MIT
 *
 * Names in a wheel: which are refused (rules 6 and 15), and whether two of them meet (rules 2 and
 * 12).
 */
#ifndef PY_WHEEL_PATH_H
#define PY_WHEEL_PATH_H

#include "base/diag.h"
#include "store/manifest.h"

/* A member's name, as it is in the archive. `marked` says that it is marked as UTF-8. -EINVAL. */
int wheel_name_check(const char *name, bool marked, const char *file, struct diag *diag);
/* A path in a tree, against what means something to an environment. `name` is for the message.
 * -EINVAL. */
int wheel_path_check(
	enum tree tree, const char *path, const char *name, const char *file, struct diag *diag);

/* Two paths that are one, or of which one is a directory of the other. */
struct placed {
	const char *path; /* relative, without a slash at the end */
	const char *name; /* what it is called in messages */
	uint8_t tree;
	bool dir; /* it may have others below it */
};
/* Sorts `p`. `folded`: paths that differ by case or normalization alone are one. -EINVAL for the
 * first pair. */
int wheel_paths_meet(struct placed *p, size_t n, bool folded, const char *file, struct diag *diag);

#endif
