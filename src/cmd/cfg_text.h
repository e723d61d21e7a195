/* SPDX-License-Identifier: MIT
 *
 * The pyvenv.cfg that `python -m venv` of a given Python writes, byte for byte, with our line
 * behind.
 */
#ifndef CMD_CFG_TEXT_H
#define CMD_CFG_TEXT_H

#include "py/interpreter.h"

struct cfg_options {
	const char *prompt; /* as given; "." is the current directory's name; NULL: none */
	bool copies;
	bool without_pip;
	bool system_site;
	bool clear;
	bool upgrade;
	bool upgrade_deps;
	bool without_ignore; /* --without-scm-ignore-files */
};

/* `env` is the environment's absolute path as it was asked for, `lock` NULL for "none". -EINVAL: a
 * prompt that can not be written; -EFBIG. */
int cfg_text(const struct interpreter *py, const char *env, const struct cfg_options *options,
	const struct digest *lock, struct str *out, struct diag *diag);

#endif
