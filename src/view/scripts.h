/* SPDX-License-Identifier: MIT
 *
 * Which scripts a distribution has in an environment's bin/.
 */
#ifndef VIEW_SCRIPTS_H
#define VIEW_SCRIPTS_H

#include "py/interpreter.h"
#include "store/store.h"

/* pip's wheel names the scripts of the Python that built it: as pip itself does, pip and
 * easy_install get those of the environment's version instead. */
struct script_names {
	char pip_major[24], pip_minor[36]; /* "pip3", "pip3.11" */
	char easy_install[48];		   /* "easy_install-3.11" */
};

void script_names_init(const struct interpreter *py, struct script_names *ret);
enum { SCRIPT_NAMES_MAX = 3 };
/* The names that entry point `i` gets, none if another one stands for it. Borrowed from `m` and
 * `v`. */
size_t script_names_of(const struct script_names *v, const struct manifest *m, size_t i,
	const char *ret[SCRIPT_NAMES_MAX]);

/* Whether the entry of tree bin begins "#!python". One that can not be read counts as an ordinary
 * file: reading it will tell. */
bool script_is_python(struct dist *d, size_t entry);

#endif
