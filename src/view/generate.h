/* SPDX-License-Identifier: MIT
 *
 * The text of generated files, made when read: it depends on the environment's present path and prompt.
 */
#ifndef VIEW_GENERATE_H
#define VIEW_GENERATE_H

#include "view/lower.h"

struct generate_env {
	const char *path;   /* absolute path of the environment */
	const char *prompt; /* pyvenv.cfg's prompt, or NULL: the directory's name */
};

/* Appends the file's bytes. -EIO where the base Python's templates or a store file can not be read. */
int generate(struct lower *l, const struct lower_entry *e, const struct generate_env *env,
	struct str *out);
mode_t generate_mode(const struct lower_entry *e); /* permission bits */
/* The activate scripts of a base Python: names in its template directories, sorted. Unreadable: none. */
int generate_templates(const struct interpreter *py, char ***ret, size_t *n);

#endif
