/* SPDX-License-Identifier: MIT
 *
 * The environment is written out beside its upper directory, with the path it has, and the two
 * change places by one rename; the old one is removed after that. Killed before the rename it is
 * what it was, after it an ordinary one, and what is left beside it is swept by the next eject in
 * that directory.
 */
#include "cmd/cmd.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cmd/env_cfg.h"
#include "cmd/own_view.h"
#include "view/listing.h"
#include "view/materialize.h"
#include "view/whiteout.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>

struct eject {
	struct env_path path;
	struct env_cfg cfg;
	int upper, parent; /* upper directories: the environment's, and the one around it */
	struct own_view own;
	int64_t since;
};

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* What ejects that were killed have left. */
static void sweep(int parent)
{
	struct listing l = {0};

	if (listing_read(parent, &l) == 0)
		for (size_t i = 0; i < l.n; i++) {
			int pid, n = 0;

			if (name_temporary(l.p[i]) &&
				sscanf(l.p[i], ".venvfs-tmp.%d.eject%n", &pid, &n) == 1 && n &&
				!l.p[i][n] && pid > 0 &&
				(pid == getpid() || (kill(pid, 0) < 0 && errno == ESRCH)))
				io_remove_tree_at(parent, l.p[i]);
		}
	listing_free(&l);
}

static int open_parent(struct eject *k, struct diag *diag)
{
	struct env_path up = {.root = k->path.root};
	auto_free char *dir = NULL;
	size_t n = (size_t)(path_base(k->path.path) - k->path.path);

	dir = strndup(k->path.path, n > 1 ? n - 1 : n);
	if (!dir)
		return -ENOMEM;
	up.path = dir;
	k->parent = cmd_open_upper(&up, diag);
	return k->parent < 0 ? k->parent : 0;
}

static int open_eject(struct cmd_context *ctx, const char *env, struct eject *k, struct diag *diag)
{
	int r = cmd_env_path(ctx, env, &k->path, diag);

	if (r == 0)
		r = env_cfg_open(&k->path, &k->cfg, diag);
	if (r == 0 && !k->path.root)
		r = diag_set(diag, -EINVAL, "%s lies in no root", k->path.path);
	if (r == 0)
		r = k->upper = cmd_open_upper(&k->path, diag);
	if (r >= 0)
		r = open_parent(k, diag);
	if (r >= 0 && !own_view_is_mounted(k->path.root))
		r = own_view_open(ctx, k->path.root, &k->own, diag);
	if (r < 0)
		return r;
	sweep(k->parent);
	if (k->cfg.cfg.lock_kind == CFG_LOCK_ABSENT)
		return diag_set(
			diag, -EEXIST, "%s is an ordinary environment already", k->path.path);
	return 0;
}

static int explain(const struct eject *k, int r, struct diag *diag)
{
	if (r == -ETXTBSY)
		return diag_set(diag, r,
			"%s was changed while it was written out; it is as it was, try again",
			k->path.path);
	if (r == -EBUSY)
		return diag_set(diag, r,
			"%s holds another environment, or its lock can not be shown", k->path.path);
	if (r == -EINVAL)
		return diag_set(diag, r,
			"%s: the file system below can not exchange two directories; use `venvfs "
			"materialize`",
			k->path.path);
	return diag_errno(diag, r, "%s can not be ejected", k->path.path);
}

static int exchange(struct eject *k, const char *with, struct diag *diag)
{
	const char *env = k->path.path + strlen(k->path.root);
	auto_str struct str value = {0};
	char yes[8];
	int r;

	env += strspn(env, "/");
	if (k->own.view) {
		r = view_replace(k->own.view, env, with, INT64_MAX);
	} else {
		r = str_addf(&value, "%lld %s %s", (long long)k->since, with, env);
		if (r == 0 &&
			setxattr(k->path.root, "user.venvfs.replace", value.p, value.len, 0) < 0)
			r = -errno;
		if (r == 0) /* setxattr(2) holds a lock of the kernel's that news may wait for */
			(void)!getxattr(k->path.root, "user.venvfs.settled", yes, sizeof yes);
	}
	return r < 0 ? explain(k, r, diag) : 0;
}

static int write_out(struct cmd_context *ctx, struct eject *k, const char *tmp, struct diag *diag)
{
	auto_close int out = -1;
	int r;

	if (mkdirat(k->parent, tmp, 0755) < 0)
		return diag_errno(diag, -errno, "%s can not be written out", k->path.path);
	out = openat(k->parent, tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0)
		return diag_errno(diag, -errno, "%s can not be written out", k->path.path);
	r = materialize_into(ctx->store, k->upper, out, k->path.path, diag);
	if (r == 0 && syncfs(out) < 0)
		r = diag_errno(diag, -errno, "%s can not be written out", k->path.path);
	return r;
}

static int eject(struct cmd_context *ctx, const char *env, struct diag *diag)
{
	struct eject k = {.cfg = {.dir = -1}, .upper = -1, .parent = -1, .own = {.lock = -1}};
	char tmp[64];
	int r = open_eject(ctx, env, &k, diag);

	snprintf(tmp, sizeof tmp, ".venvfs-tmp.%d.eject", (int)getpid());
	if (r == 0) {
		k.since = now();
		r = write_out(ctx, &k, tmp, diag);
		if (r == 0)
			r = exchange(&k, tmp, diag);
		io_remove_tree_at(k.parent, tmp); /* what it was, or what it was to be */
	}
	if (r == 0)
		printf("%s is an ordinary environment\n", k.path.path);
	if (k.own.view)
		own_view_close(&k.own);
	cleanup_close(&k.upper);
	cleanup_close(&k.parent);
	env_cfg_free(&k.cfg);
	env_path_free(&k.path);
	return r;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	int first = cmd_options(&cmd_eject, NULL, argc, argv), failed = 0;

	if (first < 0)
		return -first;
	if (first >= argc)
		return cmd_usage(&cmd_eject, "the name or path of an environment is wanted");
	if (!cmd_store(ctx))
		return 1;
	for (int i = first; i < argc; i++) {
		struct diag diag = {0};
		int r = eject(ctx, argv[i], &diag);

		if (r < 0)
			failed = cmd_fail("%s", diag_text(&diag, r));
	}
	return failed;
}

const struct cmd cmd_eject = {
	.name = "eject",
	.usage = "eject ENV...",
	.summary = "make an environment an ordinary one, where it lies",
	.help = "All of its files are written there, by reflink where the file system can, and its pyvenv.cfg loses the\n"
		"venvfs-lock line: it needs neither the mount nor the store afterwards. Its earlier locks are\n"
		"forgotten. `venvfs adopt` is the way back.\n\n"
		"example: venvfs eject web\n",
	.run = run,
};
