/* SPDX-License-Identifier: MIT
 *
 * One environment as `venvfs create` makes it, or makes it again: what `python -m venv` does at
 * that place, in the root.
 */
#ifndef CMD_CREATION_H
#define CMD_CREATION_H

#include "cmd/cfg_text.h"
#include "cmd/cmd.h"
#include "store/lock.h"

struct creation {
	struct cfg_options options;
	const char
		*python; /* as interpreter_find() takes it; NULL: the default, or what is there */
	char **seeds;	 /* names in place of pip; with n_seeds 0 the base's own */
	size_t n_seeds;
	bool symlinks;	  /* asked for in so many words */
	const char *from; /* a lock file; NULL: none */

	/* of new environments, found for the first one */
	struct interpreter *py;
	struct lock *lock; /* NULL: nothing is in it */
	struct digest id;
	bool failed; /* they can not be had: no further one can be made */
};
/* 1: it can not be, and a person was told. *ret_root: where it lies. */
int creation_make(struct cmd_context *ctx, struct creation *c, const char *env, char **ret_root,
	struct diag *diag);
void creation_free(struct creation *c); /* what was found */

#endif
