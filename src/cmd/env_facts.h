/* SPDX-License-Identifier: MIT
 *
 * What can be told of an environment by reading its pyvenv.cfg and its lock; nothing is started but a
 * registered Python whose binary changed.
 */
#ifndef CMD_ENV_FACTS_H
#define CMD_ENV_FACTS_H

#include "cmd/env_cfg.h"
#include "store/lock.h"

struct env_facts {
	struct env_cfg cfg; /* cfg.dir -1: it can not be read */
	struct lock *lock;  /* NULL: it has none, or none that can be had */
	char *note;	    /* what is to be known of it though it works, or NULL */
	enum base_state base; /* what became of its Python: in fault or note, where it is not the same */
	char *fault;	    /* why it does not show what its pyvenv.cfg says, or NULL */
};

/* -ENOENT: there is no pyvenv.cfg. What is wrong with one that is there is the fault. */
int env_facts_read(
	struct store *s, const struct env_path *p, struct env_facts *ret, struct diag *diag);
void env_facts_free(struct env_facts *f);
/* "ok", "ordinary" (a venv with no lock of ours) or "broken". */
const char *env_facts_state(const struct env_facts *f);

#endif
