/* SPDX-License-Identifier: MIT
 *
 * Bytecode of what is in the store, for the commands that add to it: now, or by a process of its
 * own that outlives the command. What has bytecode already is skipped, so calling it with a whole
 * lock is cheap.
 */
#ifndef CMD_COMPILE_H
#define CMD_COMPILE_H

#include "cmd/cmd.h"
#include "py/interpreter.h"
#include "store/lock.h"

enum compile_when {
	COMPILE_NEVER, /* --no-compile */
	COMPILE_LATER, /* `venvfs store compile` is started, detached and idle, and this returns at
			* once; nothing where the configuration says compile = no */
	COMPILE_NOW,   /* --compile: on all cores, and waits */
};

/* What --compile and --no-compile ask for together: nothing takes it back that none is to be made. */
static inline enum compile_when compile_asked(bool now, bool never)
{
	return never ? COMPILE_NEVER : now ? COMPILE_NOW : COMPILE_LATER;
}

/* Compiles what `lines` name (a lock's lines, or lines with name, version and address alone) for
 * `py`, or for every registered interpreter where `py` is NULL. What fails is told on stderr, as it
 * happens, and is no reason to fail the command: an environment works without. 0, or -errno if
 * something had no bytecode made. */
int compile_added(struct cmd_context *ctx, struct interpreter *py, const struct lock_line *lines,
	size_t n, enum compile_when when);

/* What `store compile` does: the distributions of these names (none: of all names) for the given
 * interpreters (none: all registered). */
struct compile_request {
	struct interpreter **pythons;
	size_t n_pythons;
	char **names;
	size_t n_names;
	unsigned jobs;	 /* processes; 0: as many as there are cores */
	bool background; /* waits until no other background compiler runs */
};
struct compile_totals {
	size_t n_dists;	     /* got bytecode now */
	size_t n_files;	     /* pycs in them */
	size_t n_uncompiled; /* sources that do not compile, and have none */
	size_t n_failed;     /* distributions left without, each told on stderr */
};
int compile_run(struct cmd_context *ctx, const struct compile_request *request,
	struct compile_totals *ret, struct diag *diag);

#endif
