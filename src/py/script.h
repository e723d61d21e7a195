/* SPDX-License-Identifier: MIT
 *
 * Scripts in bin/: the ones entry points ask for, in the form pip writes them, and the ones a wheel brings,
 * whose "#!python" first line is replaced by the environment's interpreter.
 */
#ifndef PY_SCRIPT_H
#define PY_SCRIPT_H

#include "base/str.h"
#include "store/manifest.h"

/* "#!PATH\n", or the /bin/sh form when PATH has a space or the line is longer than 127 bytes (distlib). */
int script_shebang(const char *python, struct str *out);
/* The whole text of a console or gui script for `target` "module:attr". */
int script_entry_point(const char *python, const char *target, struct str *out);
/* Whether a script's first bytes ask for the rewriting: "#!python". */
bool script_wants_python(const char *head, size_t n);
/* Ingest: the first line becomes plain "#!python\n" or "#!pythonw\n". */
int script_normalize(const char *text, size_t n, struct str *out);
/* View: the first line becomes the environment's interpreter. */
int script_render(const char *python, const char *text, size_t n, struct str *out);
/* Harvest: the reverse. First lines that start the interpreter of an environment, as pip, uv or
 * script_render() write them, become plain "#!python\n" or "#!pythonw\n"; `is_env` is asked whether
 * `dir` is that environment. -EINVAL: they do not. */
int script_unrender(const char *text, size_t n, bool (*is_env)(void *arg, const char *dir), void *arg,
	struct str *out);

#endif
