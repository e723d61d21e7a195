/* SPDX-License-Identifier: MIT
 *
 * What a new environment begins with: the distributions that `python -m venv` would put there.
 */
#ifndef CMD_SEED_H
#define CMD_SEED_H

#include "cmd/cmd.h"
#include "py/interpreter.h"

/* The lock with the base Python's own pip (and setuptools, where its venv installs that), and its
 * id. Once known, only notes and names are looked at. A base without ensurepip asks its pip for one
 * from the package index; -ENOENT tells the way out where it has none. */
int seed_lock(struct cmd_context *ctx, struct interpreter *py, struct digest *ret_id,
	struct lock **ret, struct diag *diag);
/* The same with distributions of one's own choice: names or requirements ("wheel", "pip==24.0"). A
 * bare name is the base's bundled wheel where it has one, unless `newest`; all else, and what that
 * needs, comes from the package index by the base's pip. -EINVAL, -ENOENT, -EIO with the reason. */
int seed_named(struct cmd_context *ctx, struct interpreter *py, char *const *names, size_t n,
	bool newest, struct digest *ret_id, struct lock **ret, struct diag *diag);
/* Whether an installer is called so: what syncing leaves alone unless the file names it. */
bool seed_is(const char *name);

#endif
