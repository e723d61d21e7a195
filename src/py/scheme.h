/* SPDX-License-Identifier: MIT
 *
 * Where the trees of a distribution lie in an environment (sysconfig's "venv"
 * scheme), and what is generated beside them, by interpreter
 * version: CPython's venv module, reference facts in docs/semantics.md.
 */
#ifndef PY_SCHEME_H
#define PY_SCHEME_H

#include "py/interpreter.h"
#include "store/manifest.h"

/* The directory of a tree, relative to the environment, no slash at either end ("" for data).
 * `dist` is the distribution's normalized name (headers lie in include/site/pythonX.Y/<name>). */
int scheme_dir(const struct interpreter *py, enum tree t, const char *dist, struct str *out);

/* bin/python*: the names and what each links to, in the order and form `venv` gives them when run
 * as `executable`: the executable's own name is absolute, the others point to it. */
struct python_link {
	char name[32];
	char *target;
};
/* -ENOENT where the executable is not known. */
int scheme_python_links(const struct interpreter *py, struct python_link **ret, size_t *n);
void python_links_free(struct python_link *l, size_t n);
bool scheme_has_include_dir(const struct interpreter *py); /* include/pythonX.Y, CPython >= 3.11 */
bool scheme_has_gitignore(const struct interpreter *py);   /* .gitignore, CPython >= 3.13 */

#endif
