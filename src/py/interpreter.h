/* SPDX-License-Identifier: MIT
 *
 * Facts about one base Python: asked of it once by a command of the user (interpreter_find() starts it),
 * kept as a note in the store until its binary changes, and only read by the daemon, which starts
 * nothing.
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
	char *stdlib;         /* of the base: /usr/lib64/python3.12 on Fedora; NULL when not asked */
	char *cache_tag;      /* "cpython-311" */
	char *magic;          /* 8 hex digits of importlib.util.MAGIC_NUMBER; NULL when not asked */
	char *templates;      /* BASE/lib/python3.11/venv/scripts; NULL when it can not be trusted or found */
	char **tags;          /* wheel tags it accepts, best first; empty when not asked */
	size_t n_tags;
	char *markers;        /* PEP 508 environment as JSON; NULL when not asked */
	bool ensurepip;       /* it has the module and its bundled wheels */
	char **wheels;        /* these: absolute paths of pip and, where ensurepip has it, setuptools */
	size_t n_wheels;
	uint64_t binary_size; /* of the executable when asked, and its mtime: facts are stale when they differ */
	int64_t binary_mtime_ns;
};

/* Asks `python`: a path (of an executable, or of an environment's directory), a name in PATH, a version like "3.12",
 * "3.12.1", "3.13t" or "pypy3.10" (the first that fits of what interpreter_list() finds), or NULL for the default,
 * python3 in PATH. Where the store has its facts and its binary is unchanged, nothing is started; else they are
 * recorded. -ENOENT: not found; -ENOEXEC with the reason: it does not run, or is older than 3.8. A virtual
 * environment's python stands for its base. */
int interpreter_find(struct store *s, const char *python, struct interpreter **ret, struct diag *diag);
/* The same of one executable by its path. One that is not registered is only noted. */
int interpreter_ask(struct store *s, const char *path, bool registers, struct interpreter **ret,
	struct diag *diag);

/* in the order in which they are looked into */
enum interpreter_source {
	PYTHON_FROM_PATH,
	PYTHON_FROM_PYENV,
	PYTHON_FROM_UV,
	PYTHON_FROM_SYSTEM, /* /usr/bin, /usr/local/bin */
	PYTHON_FROM_CONDA,
	PYTHON_N_SOURCES
};
struct interpreter_listed {
	struct interpreter *py; /* NULL: it can not be used */
	char *path;             /* the executable */
	char *fault;            /* why it can not be used, else NULL */
	enum interpreter_source source; /* PATH where nothing else is known of it */
	bool in_path;
};
struct interpreter_list {
	struct interpreter_listed *list;
	size_t n, cap;
};
/* The Pythons of this machine, each binary once, newest first, PyPy's behind, last what can not be used. Facts that
 * the store does not have are asked for and noted there, but a Python that was only listed is not registered:
 * nothing is compiled for it. Such as are older than 3.8 by their name are left out. */
int interpreter_list(struct store *s, struct interpreter_list *ret, struct diag *diag);
void interpreter_list_free(struct interpreter_list *l);

/* What an environment's pyvenv.cfg says: facts from the store (NULL: none) for the executable it was made with, else for
 * (home, version), else what can be read from the file system without starting anything: version key, link
 * targets, lib/pythonX.Y of the home's prefix; nothing is read through a mount of our own, nor in a home that neither
 * root nor this user owns. Never fails for a base that is gone: what is unknown stays NULL, but version, lib, home and
 * executable never. -EINVAL if no version can be had at all, or home is a file (fatal for CPython >= 3.11). */
int interpreter_for_cfg(struct store *s, const struct cfg *cfg, struct interpreter **ret, struct diag *diag);

/* What became of the Python that an environment was made with, without starting any but one that was registered and
 * whose binary changed. `env` is what a person calls it; where the state is not BASE_SAME, diag tells what happened and
 * how to mend it. Errors of interpreter_for_cfg(). */
enum base_state {
	BASE_SAME,
	BASE_UPDATED, /* another patch version: the environment works */
	BASE_OTHER,   /* another minor version in its place */
	BASE_GONE     /* not there, or it does not run */
};
int interpreter_base(struct store *s, const struct cfg *cfg, const char *env, enum base_state *ret,
	struct diag *diag);

/* life cycle; shared and immutable once it was handed out */
struct interpreter *interpreter_new(void); /* NULL: out of memory */
struct interpreter *interpreter_ref(struct interpreter *py);
void interpreter_unref(struct interpreter *py); /* NULL is allowed */

/* notes of kind "pythons" (registered: bytecode is made for them) and "python-facts"; the same facts may be there under two keys, and of one Python under several names */
int interpreter_parse(const char *text, size_t n, struct interpreter **ret, struct diag *diag); /* -EPROTO */
int interpreter_format(const struct interpreter *py, struct str *out);
int interpreter_record(struct store *s, const struct interpreter *py);
/* The same under the executable alone, and not registered: what was only seen. */
int interpreter_note(struct store *s, const struct interpreter *py);
int interpreter_noted(struct store *s, const char *executable, struct interpreter **ret);
/* -ENOENT: none, or its binary is another one now. */
int interpreter_recorded(struct store *s, const char *executable, struct interpreter **ret);
/* Whether it was registered, as whatever it is now. */
bool interpreter_was_recorded(struct store *s, const char *executable);
int interpreter_recorded_home(
	struct store *s, const char *home, int major, int minor, struct interpreter **ret);
/* Forgets the templates unless root or this user owns their directory and not everybody may write to it. */
void interpreter_check_templates(struct interpreter *py);

#endif
