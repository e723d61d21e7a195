/* SPDX-License-Identifier: MIT
 *
 * What was worked out once for an interpreter, kept as a note in the store: the lock that a lock file's
 * bytes mean for it, or the one that a new environment begins with. A known question starts no
 * Python and asks nobody.
 */
#ifndef CMD_ANSWER_H
#define CMD_ANSWER_H

#include "py/interpreter.h"
#include "store/lock.h"

/* `question` and the interpreter are the key. -ENOENT: not known, or something that the lock names is in no
 * tier any more. */
int answer_get(struct store *s, const char *question, const struct interpreter *py,
	struct digest *ret_id, struct lock **ret);
/* Puts the lock into the store, and the note, where the answer is one that lasts. */
int answer_put(struct store *s, const char *question, const struct interpreter *py,
	const struct lock *lock, bool lasts, struct digest *ret_id, struct diag *diag);

#endif
