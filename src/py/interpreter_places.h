/* SPDX-License-Identifier: MIT
 *
 * Where Pythons lie on a machine, by name and place alone: nothing is started. Both what lists them
 * and what finds one by version look here.
 */
#ifndef PY_INTERPRETER_PLACES_H
#define PY_INTERPRETER_PLACES_H

#include "py/interpreter.h"

/* What a person asks for, or what a name tells: "3.12", "3.13.0t", "pypy3.10", "python3". */
struct python_spec {
	bool pypy;
	bool free_threaded;
	int n; /* how many parts of the version are told: 0 to 3 */
	int version[3];
};

/* Reads one at the beginning of `text`: how many bytes it takes, 0 where there is none. */
size_t python_spec_parse(const char *text, struct python_spec *ret);
/* Whether `told` may be what is wanted, as far as it tells. */
bool python_spec_may_fit(const struct python_spec *told, const struct python_spec *want);
/* Whether an interpreter is what is wanted. */
bool python_spec_fits(const struct interpreter *py, const struct python_spec *want);

struct place {
	char *path;
	char *real; /* all links resolved: one binary is one place, under its first name */
	enum interpreter_source source;
	bool in_path;
	struct python_spec told;
};

struct places {
	struct place *list;
	size_t n, cap;
};

/* Adds what a source has, in the order of preference: PATH in its own order, else newest first.
 * What is there already from PATH gets the source that installed it. 0 or -ENOMEM: what can not be
 * read is left out. */
int places_add(struct places *to, enum interpreter_source source);
void places_free(struct places *l);

/* A program of that name in PATH, absolute; -ENOENT. */
int place_in_path(const char *name, char **ret);
char *place_pyenv_root(void); /* NULL: out of memory */
/* What a shim of pyenv would run. *ret is NULL where `path` is none, or its rule is not plain (then
 * it is to be asked itself). -ENOENT: it is one, and no version in force has that program. */
int place_of_shim(const char *path, char **ret);

bool place_is_program(const char *path);
/* NULL: out of memory */
char *place_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
