/* SPDX-License-Identifier: MIT
 *
 * The private files of an environment: what its upper directory has beside pyvenv.cfg.
 */
#ifndef CMD_PRIVATE_H
#define CMD_PRIVATE_H

#include "cmd/cmd.h"
#include "py/interpreter.h"
#include "store/lock.h"

/* Copies them, whiteouts too, from the upper directory `from` to the empty one `to`: by reflink
 * where the file system can, with modes, times, links and the user's extended attributes. Earlier
 * locks
 * (.venvfs) and files not in their place yet are left out. *ret_n: how many files and directories.
 * Durable when it returns. */
int private_copy(int from, int to, size_t *ret_n, struct diag *diag);

/* Distributions that were installed into the upper directory, or uninstalled there. Calls `each` with the
 * name; one that can not be read has none. */
void private_dists(int upper, const char *site,
	void (*each)(void *arg, const char *name, bool uninstalled), void *arg);
/* Tells a person of those that `lock` has too, on stderr: private files win over the lock, whatever it
 * is switched to. */
void private_note(
	const struct env_path *p, const struct interpreter *py, const struct lock *lock);
/* The same of those that it has not (NULL: nothing), and that a file made of it leaves out. */
void private_note_left_out(
	const struct env_path *p, const struct interpreter *py, const struct lock *lock);

#endif
