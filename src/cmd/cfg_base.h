/* SPDX-License-Identifier: MIT
 *
 * A pyvenv.cfg given another base Python, edited as text: keys, comments and order of whoever wrote
 * it stay.
 */
#ifndef CMD_CFG_BASE_H
#define CMD_CFG_BASE_H

#include "base/str.h"
#include "py/interpreter.h"

/* Gives every key that names the base (those of venv, virtualenv and uv) its new value; what venv
 * of that Python writes and what is not there is appended. `env` is the environment's absolute
 * path. */
int cfg_set_base(struct str *text, const struct interpreter *py, const char *env);

#endif
