/* SPDX-License-Identifier: MIT
 *
 * Who holds what of the store: every environment of every root that the store has a note of, with
 * its lock and the earlier ones that `undo` may lead to. Mounted roots that use another store are
 * no business of this one.
 */
#ifndef CMD_HOLDINGS_H
#define CMD_HOLDINGS_H

#include "cmd/cmd.h"

struct part;

struct holding {
	char *root, *path;   /* absolute */
	struct part **locks; /* the present one first, where it has one that can be read */
	size_t n_locks, cap_locks;
	bool chosen; /* the caller's: what holdings_sum() is about */

	size_t n_dists, n_missing; /* of the present lock; what no store has */
	uint64_t size; /* bytes of its distributions' files, as an ordinary directory would have
			  them */
	/* bytes on the disk, by blocks: */
	uint64_t unique;  /* in the own store, held by no other environment */
	uint64_t shared;  /* by another one too, or in a read-only store */
	uint64_t derived; /* bytecode, which is in the two above */
};

struct holdings {
	struct holding *envs; /* by path */
	size_t n, cap;
	char **unseen; /* why a root could not be looked into; what is there may hold anything */
	size_t n_unseen, cap_unseen;
	struct held_map {
		void **slots;
		size_t n, cap;
	} pieces, parts;
	size_t pass;
};

/* `root`, an absolute path, is one more to look into; NULL: none. */
int holdings_read(
	struct cmd_context *ctx, const char *root, struct holdings *ret, struct diag *diag);
void holdings_free(struct holdings *h);
struct holding *holdings_find(struct holdings *h, const char *path); /* NULL: there is none */

/* All chosen environments together, each piece of the store counted once. */
struct holdings_sum {
	uint64_t size, disk, derived;
	uint64_t freed; /* of `disk`: what nobody would hold any more without them */
};
struct holdings_sum holdings_sum(struct holdings *h);

#endif
