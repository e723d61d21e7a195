/* SPDX-License-Identifier: MIT
 *
 * pyvenv.cfg, read as CPython reads it (site.py's rule: a line with "=", key
 * stripped and lower-cased, value stripped, the last one wins; `home` as getpath has
 * it: the first one) and edited as text, so that foreign keys, comments and
 * order survive. Limits from CPython 3.11-3.13: a file of 32 KiB is fatal there.
 */
#ifndef PY_CFG_H
#define PY_CFG_H

#include "base/diag.h"
#include "base/str.h"
#include "store/digest.h"

enum { CFG_MAX = 32 * 1024 - 1 }; /* bytes; more is -EFBIG */

enum cfg_lock { CFG_LOCK_ABSENT, CFG_LOCK_NONE, CFG_LOCK_DIGEST };

struct cfg {
	char *home;       /* absolute directory, no trailing slash */
	char *version;    /* "3.11.2": from version, else the numbers of version_info; NULL if neither */
	char *prompt;     /* unquoted (venv writes repr()); NULL if absent */
	char *executable; /* NULL if absent (CPython < 3.11) */
	char *invoked;    /* the path in front of " -m venv " in `command`: what bin/python is to link to; NULL if absent */
	bool without_ignore; /* `command` has --without-scm-ignore-files (CPython >= 3.13) */
	bool system_site; /* absent means true for Python; venv always writes it */
	enum cfg_lock lock_kind;
	struct digest lock; /* the venvfs-lock key */
};

/* -EINVAL with the reason: no home, a relative home, invalid UTF-8, NUL, a venvfs-lock that is
 * neither "none" nor "sha256:<64 hex>", a home line that the Python of its version (< 3.11) would not see; -EFBIG. */
int cfg_parse(const char *text, size_t n, struct cfg *ret, struct diag *diag);
void cfg_free(struct cfg *c);

/* Replaces the venvfs-lock line, or appends it (after a newline if the last line lacks one). NULL id writes "none".
 * -EFBIG, -ENOMEM: the text is as it was. */
int cfg_set_lock(struct str *text, const struct digest *id);

#endif
