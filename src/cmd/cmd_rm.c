/* SPDX-License-Identifier: MIT
 *
 * pyvenv.cfg goes first: it dissolves the view, so that what is left to remove are the few private
 * files, however many the environment showed.
 */
#include "cmd/cmd.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* A link that names an environment which is gone already. */
static int remove_dangling(struct cmd_context *ctx, const char *env, struct diag *diag)
{
	struct stat st;

	(void)ctx;
	if (!strchr(env, '/') && env[0] != '.')
		return -ENOENT;
	/* what can not be looked at is not gone: a dead daemon, a directory that may not be searched */
	if (lstat(env, &st) < 0 || !S_ISLNK(st.st_mode) || stat(env, &st) == 0 || errno != ENOENT)
		return -ENOENT;
	if (unlink(env) < 0)
		return diag_errno(diag, -errno, "can not remove the link %s", env);
	return 0;
}

static int check(const struct env_path *p, const char *env, struct diag *diag)
{
	auto_free char *cfg = NULL;
	struct stat st;

	if (asprintf(&cfg, "%s/pyvenv.cfg", p->path) < 0)
		return cfg = NULL, -ENOMEM;
	if (lstat(cfg, &st) < 0 && errno == ENOTCONN)
		return diag_set(diag, -ENOTCONN,
			"%s: the daemon of this mount is gone; `venvfs mount` starts it again",
			env);
	if (lstat(p->path, &st) < 0)
		return diag_errno(diag, -errno, "%s", env);
	if (lstat(cfg, &st) < 0)
		return diag_set(diag, -EINVAL, "%s is no environment (it has no pyvenv.cfg)", env);
	if (!p->root)
		return diag_set(diag, -EINVAL,
			"%s is an ordinary environment outside of every root; `rm -r` removes it",
			env);
	return 0;
}

/* A name within a root, of an environment that has another name there, or of something outside. */
static int remove_alias(const struct env_path *p, struct diag *diag)
{
	if (unlink(p->alias) < 0)
		return diag_errno(diag, -errno, "can not remove the link %s", p->alias);
	if (strcmp(p->alias, p->path) != 0)
		printf("%s was a link; %s stays\n", p->alias, p->path);
	return 0;
}

static int remove_env(struct cmd_context *ctx, const char *env, struct diag *diag)
{
	auto_close int parent = -1;
	struct env_path p = {0};
	auto_free char *dir = NULL;
	int r = remove_dangling(ctx, env, diag);

	if (r != -ENOENT)
		return r;
	r = cmd_env_path(ctx, env, &p, diag);
	if (r < 0)
		return r;
	if (p.alias) {
		r = remove_alias(&p, diag);
		env_path_free(&p);
		return r;
	}
	r = check(&p, env, diag);
	if (r == 0) {
		dir = strndup(p.path, (size_t)(path_base(p.path) - p.path));
		r = dir ? 0 : -ENOMEM;
	}
	if (r == 0) {
		parent = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = parent < 0 ? diag_errno(diag, -errno, "%s", dir) : 0;
	}
	if (r == 0) {
		auto_free char *cfg = NULL;

		if (asprintf(&cfg, "%s/pyvenv.cfg", path_base(p.path)) < 0)
			cfg = NULL, r = -ENOMEM;
		else
			r = io_remove_tree_at(parent, cfg);
		if (r == 0)
			r = io_remove_tree_at(parent, path_base(p.path));
		if (r < 0)
			diag_errno(diag, r, "can not remove all of %s", p.path);
	}
	if (r == 0 && p.link && unlink(p.link) < 0 && errno != ENOENT)
		r = diag_errno(
			diag, -errno, "%s is removed, but not the link %s to it", p.path, p.link);
	env_path_free(&p);
	return r;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	int first = cmd_options(&cmd_rm, NULL, argc, argv), code = 0;

	if (first < 0)
		return -first;
	if (first >= argc)
		return cmd_usage(&cmd_rm, "the name or path of an environment is wanted");
	for (int i = first; i < argc; i++) {
		struct diag diag = {0};
		int r = remove_env(ctx, argv[i], &diag);

		if (r < 0)
			code = cmd_fail("%s", diag_text(&diag, r));
	}
	return code;
}

const struct cmd cmd_rm = {
	.name = "rm",
	.usage = "rm ENV...",
	.summary = "remove environments",
	.help = "Removes each environment with its private files, and the symlink in a project that ENV is, if it is one.\n"
		"Where ENV is a symlink in a root, that alone goes. What is in the store stays there.\n\n"
		"example: venvfs rm web .venv\n",
	.run = run,
};
