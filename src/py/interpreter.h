/* SPDX-License-Identifier: MIT
 *
 * Facts about one base Python: asked of it once by a command of the user
 * (interpreter_probe starts it), kept as a note in the store until its binary changes, and
 * only read by the daemon, which starts nothing.
 */
#ifndef PY_INTERPRETER_H
#define PY_INTERPRETER_H

#include "base/diag.h"
#include "base/str.h"
#include "py/cfg.h"
#include "store/store.h"

struct interpreter {
	char *executable;  /* as invoked, absolute: sys._base_executable, what bin/python links to */
	char *home;        /* its directory: pyvenv.cfg's home */
	char *base_prefix;
	char *version;     /* "3.11.7" */
	int major, minor;
	char *implementation; /* "cpython", "pypy" */
	char *abiflags;       /* "t" for free-threaded */
	char *lib;            /* "lib/python3.11", the directory of site-packages within an environment */
	char *cache_tag;      /* "cpython-311" */
	char *magic;          /* 8 hex digits of importlib.util.MAGIC_NUMBER; NULL when not asked */
	char *templates;      /* BASE/lib/python3.11/venv/scripts; NULL when it can not be trusted or found */
	char **tags;          /* wheel tags it accepts, best first; empty when not asked */
	size_t n_tags;
	char *markers;        /* PEP 508 environment as JSON; NULL when not asked */
	bool ensurepip;       /* it has the module and its bundled wheels */
	uint64_t binary_size; /* of the executable when asked, and its mtime: facts are stale when they differ */
	int64_t binary_mtime_ns;
};

/* Asks `python` (a path, a name in PATH, "3.11", or NULL for the default: python3 in PATH), or finds its facts
 * in the store if its binary is unchanged; records them. -ENOENT, -ENOEXEC with a reason; refuses CPython < 3.8.
 * A virtual environment's python stands for its base. */
int interpreter_find(struct store *s, const char *python, struct interpreter **ret, struct diag *diag);
/* What an environment's pyvenv.cfg says: facts from the store for (home, version), else what can be read
 * from the file system without starting anything: version key, link targets, lib/pythonX.Y of the home's prefix.
 * Never fails for a base that is gone: what is unknown stays NULL. -EINVAL if no version can be had at all. */
int interpreter_for_cfg(struct store *s, const struct cfg *cfg, struct interpreter **ret, struct diag *diag);
int interpreter_parse(const char *text, size_t n, struct interpreter **ret, struct diag *diag);
int interpreter_format(const struct interpreter *py, struct str *out);
struct interpreter *interpreter_ref(struct interpreter *py);
void interpreter_unref(struct interpreter *py);

#endif
