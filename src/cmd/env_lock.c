/* SPDX-License-Identifier: MIT */
#include "cmd/env_lock.h"

#include "cmd/harvest.h"
#include "cmd/lock_diff.h"
#include "cmd/private.h"

#include <errno.h>
#include <stdio.h>

/* Where it can not be had, what became of the base tells why, and the way out. */
static int read_interpreter(struct store *s, struct env_lock *e, struct diag *diag)
{
	enum base_state base;
	struct diag why = {{0}};
	int r = env_cfg_interpreter(s, &e->cfg, &e->py, diag);

	if (r < 0 && r != -ENOMEM &&
		interpreter_base(s, &e->cfg.cfg, e->path.path, &base, &why) == 0 &&
		(base == BASE_GONE || base == BASE_OTHER))
		diag_set(diag, r, "%s: %s", e->path.path, why.text);
	return r;
}

static int read_env(struct cmd_context *ctx, const char *env, bool harvest, struct env_lock *e,
	struct diag *diag)
{
	int r = cmd_env_path(ctx, env, &e->path, diag);

	if (r == 0 && harvest)
		r = harvest_first(ctx, &e->path, diag);
	if (r == 0)
		r = env_cfg_open(&e->path, &e->cfg, diag);
	if (r == 0 && !e->path.root)
		r = diag_set(diag, -EINVAL,
			"%s lies in no root, so that nothing would show what is put into it; "
			"`venvfs create` makes one that does",
			e->path.path);
	if (r == 0 && e->cfg.cfg.lock_kind == CFG_LOCK_DIGEST) {
		r = store_lock_get(ctx->store, &e->cfg.cfg.lock, &e->lock, diag);
		if (r == -ENOENT) /* what it had can not be told any more */
			r = 0;
	}
	return r;
}

int env_lock_read(struct cmd_context *ctx, const char *env, bool harvest, struct env_lock *ret,
	struct diag *diag)
{
	int r;

	*ret = (struct env_lock){.cfg = {.dir = -1}};
	r = read_env(ctx, env, harvest, ret, diag);
	if (r < 0)
		env_lock_free(ret);
	return r;
}

int env_lock_open(struct cmd_context *ctx, const char *env, bool harvest, struct env_lock *ret,
	struct diag *diag)
{
	int r = env_lock_read(ctx, env, harvest, ret, diag);

	if (r < 0)
		return r;
	r = read_interpreter(ctx->store, ret, diag);
	if (r < 0)
		env_lock_free(ret);
	return r;
}

void env_lock_free(struct env_lock *e)
{
	interpreter_unref(e->py);
	lock_free(e->lock);
	env_cfg_free(&e->cfg);
	env_path_free(&e->path);
	*e = (struct env_lock){.cfg = {.dir = -1}};
}

static bool has(const struct env_lock *e, const struct synced *new)
{
	const struct cfg *cfg = &e->cfg.cfg;

	if (new->lock->n == 0 && cfg->lock_kind == CFG_LOCK_NONE)
		return true;
	return cfg->lock_kind == CFG_LOCK_DIGEST && digest_equal(&cfg->lock, &new->id);
}

static void report(const struct env_lock *e, const struct lock *new)
{
	struct lock_diff d = lock_diff_print(e->lock, new);

	printf("%s: %zu distribution%s", e->path.path, new->n, plural(new->n));
	if (!d.n_added && !d.n_removed && !d.n_changed)
		printf(", as before");
	if (d.n_added)
		printf(", %zu added", d.n_added);
	if (d.n_removed)
		printf(", %zu removed", d.n_removed);
	if (d.n_changed)
		printf(", %zu changed", d.n_changed);
	putchar('\n');
}

int env_lock_switch(struct cmd_context *ctx, struct env_lock *e, const struct synced *new,
	enum compile_when when, struct diag *diag)
{
	int r = cmd_note_root(ctx, e->path.root, diag);

	if (r == 0 && !has(e, new))
		r = env_cfg_switch(&e->cfg, &e->path, &new->id, diag);
	if (r < 0)
		return r;
	report(e, new->lock);
	private_note(&e->path, e->py, new->lock);
	if (!new->known || when == COMPILE_NOW) {
		fflush(stdout);
		compile_added(ctx, e->py, new->lock->lines, new->lock->n, when);
	}
	return 0;
}
