/* SPDX-License-Identifier: MIT
 *
 * What the subcommands share: the table's row, the process's configuration and store,
 * what ENV means, and how a person is told. Exit codes: 0, 1 failure, 2 usage.
 */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "base/diag.h"
#include "base/str.h"
#include "store/config.h"
#include "store/store.h"

struct cmd_context {
	struct config config; /* where it can not be read: what the command line says, and NULLs */
	const char *config_fault; /* why not; NULL for every command but a cmd.any_config */
	struct store *store; /* opened by the first cmd_store() */
};

struct cmd {
	const char *name;
	const char *usage;   /* behind "venvfs ": "create ENV... [--python X]" */
	const char *summary; /* one line, for the list of commands */
	const char *help;    /* options and an example, for --help */
	bool any_config;     /* it runs also where the configuration can not be read */
	const char *const *valued; /* it runs a command, whose arguments are not ours: those of its options that
				    * have a value in the next argument, to NULL; else NULL */
	int (*run)(struct cmd_context *ctx, int argc, char **argv); /* argv[0] is the name; returns the exit code */
};

extern const struct cmd cmd_create, cmd_add, cmd_remove, cmd_freeze, cmd_run, cmd_sync, cmd_ls, cmd_show, cmd_clone, cmd_rm, cmd_materialize, cmd_harvest,
	cmd_adopt, cmd_diff, cmd_undo, cmd_reset, cmd_eject;
extern const struct cmd cmd_doctor, cmd_du;
extern const struct cmd cmd_python, cmd_upgrade;

/* a person is told, on stderr: "venvfs: TEXT"; both return the exit code to give */
int cmd_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));                          /* 1 */
int cmd_usage(const struct cmd *cmd, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* 2 */

/* A row of the table of a command's options, which ends with a row without a name. One of `flag`, `text` and
 * `take` says where it goes; with the latter two it wants a value. */
struct cmd_option {
	const char *name;  /* "python": --python */
	char letter;	   /* 'p': also -p; 0: none */
	bool *flag;	   /* set to true */
	const char **text; /* the value as it stands in argv; the last one counts */
	int (*take)(void *arg, const char *value, struct diag *diag); /* -EINVAL: no such value, by diag; -errno */
	void *arg;
};
/* Reads the options wherever they stand before "--", and moves the operands behind them: the index of the first.
 * Negative: a person was told, and the command ends with the exit code -r. `options` NULL: it has none. */
int cmd_options(const struct cmd *cmd, const struct cmd_option *options, int argc, char **argv);
/* The same up to the first operand: what follows is another program's. */
int cmd_options_before(const struct cmd *cmd, const struct cmd_option *options, int argc, char **argv);

/* "1 wheel", "2 wheels" */
static inline const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* The store of the configuration, opened once; NULL after telling why not. Borrowed. */
struct store *cmd_store(struct cmd_context *ctx);

/* Bytecode of what a harvest added to the store, by a detached process of its own, where the
 * configuration does not say no: it takes the place of what was compiled into one environment. */
struct harvest;
void cmd_compile_harvested(struct cmd_context *ctx, const struct harvest *h);

/* The root for bare names, absolute: the one the current directory is in, else $VENVFS_ROOT, else the
 * configured one. It need not exist. */
int cmd_root(struct cmd_context *ctx, char **ret, struct diag *diag);
/* A root and a store may not lie in one another: -EINVAL, naming both. */
int cmd_root_apart(struct cmd_context *ctx, const char *root, struct diag *diag);
/* Tells the store that environments of `root` use it: before one of them names anything there. NULL: no
 * root. */
int cmd_note_root(struct cmd_context *ctx, const char *root, struct diag *diag);

/* ENV: a path (it has a slash, or begins with "."), or a bare name in the default root (the root the current directory
 * is in, else $VENVFS_ROOT, else the configured one, else ~/envs). */
struct env_path {
	char *root; /* absolute path of the root it lies in; NULL: outside of every root (an ordinary directory, or not there yet) */
	char *path; /* absolute path of the environment's directory, links resolved where it exists */
	char *link; /* a path outside of a root that is, or is to become, a symlink to `path`; else NULL */
	char *alias; /* the symlink within a root that leads to `path`, or nowhere and is `path`, where ENV is one; else NULL */
};
int cmd_env_path(struct cmd_context *ctx, const char *env, struct env_path *ret, struct diag *diag);
void env_path_free(struct env_path *p);
/* A descriptor of the environment's upper directory: behind the mount where the root is mounted (the daemon tells
 * it in the extended attribute user.venvfs.upper of the root), else the directory itself. -errno */
int cmd_open_upper(const struct env_path *p, struct diag *diag);

#endif
