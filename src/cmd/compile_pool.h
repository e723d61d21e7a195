/* SPDX-License-Identifier: MIT
 *
 * Many distributions to bytecode, for one interpreter, on several cores.
 */
#ifndef CMD_COMPILE_POOL_H
#define CMD_COMPILE_POOL_H

#include "cmd/compile.h"

struct compile_want {
	const char *name, *version; /* borrowed */
	struct digest address;
};

/* Whether a tier has bytecode of it under this key (bytecode_key()). */
bool compile_done(struct store *s, const struct digest *address, const char *key);
/* Compiles what of `wants` lacks bytecode, on `jobs` processes (0: as many as there are cores), and
 * adds to the totals. A failure of one distribution is told on stderr; -errno is one that ended it
 * all. */
int compile_pool_run(struct store *s, const struct interpreter *py,
	const struct compile_want *wants, size_t n, unsigned jobs, struct compile_totals *totals,
	struct diag *diag);

#endif
