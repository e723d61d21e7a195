/* SPDX-License-Identifier: MIT
 *
 * Installers that the environment has (pip and its kin) stay unless the file names them, as with
 * pip-sync and uv.
 */
#include "cmd/sync.h"

#include "cmd/env_lock.h"
#include "cmd/seed.h"

#include <errno.h>
#include <string.h>

/* Lines that stay unless the file names them. */
static int installers(struct store *s, const struct lock *old, struct lock *kept)
{
	int r = 0;

	for (size_t i = 0; r == 0 && old && i < old->n; i++) {
		const struct lock_line *l = &old->lines[i];

		if (seed_is(l->name) && store_has_dist(s, l->name, l->version, &l->address) == 0)
			r = lock_set(kept, l);
	}
	return r;
}

/* What stays as it was installed by whom it was, for the reason that it was. */
static int keep_words(
	struct store *s, const struct lock *old, struct synced *new, struct diag *diag)
{
	bool changed = false;
	int r = 0;

	for (size_t i = 0; r == 0 && old && i < old->n; i++) {
		const struct lock_line *l = &old->lines[i];
		const struct lock_line *n = lock_find(new->lock, l->name);

		if (!n || strcmp(n->version, l->version) != 0 ||
			!digest_equal(&n->address, &l->address) || n->has_origin != l->has_origin ||
			(n->has_origin && !digest_equal(&n->origin, &l->origin)))
			continue;
		r = lock_set(new->lock, l);
		changed = true;
	}
	return r == 0 && changed ? store_lock_put(s, new->lock, &new->id, diag) : r;
}

/* 1: told already. */
/* What is installed there goes into the lock first, so that it is among what the file does not name. A
 * program that writes into its environment all the time is no reason to refuse. */
static int open_env(struct cmd_context *ctx, const char *env, struct env_lock *e, struct diag *diag)
{
	int r = env_lock_open(ctx, env, true, e, diag);

	if (r != -EAGAIN)
		return r;
	cmd_fail("%s is being changed at this moment: what an installer puts there stays, whatever the "
		 "file says",
		env);
	return env_lock_open(ctx, env, false, e, diag);
}

static int sync_env(struct cmd_context *ctx, const char *env, const char *file,
	enum compile_when when, enum index_asker asker, struct diag *diag)
{
	struct lock *kept = lock_new();
	struct synced new = {0};
	struct env_lock e;
	int r = kept ? open_env(ctx, env, &e, diag) : -ENOMEM;

	if (r == 0) {
		r = installers(ctx->store, e.lock, kept);
		if (r == 0)
			r = sync_lock(ctx,
				&(struct sync_request){
					.py = e.py, .file = file, .kept = kept, .asker = asker},
				&new, diag);
		if (r > 0)
			cmd_fail("%s stays as it was", e.path.path);
		if (r == 0)
			r = keep_words(ctx->store, e.lock, &new, diag);
		if (r == 0)
			r = env_lock_switch(ctx, &e, &new, when, diag);
		env_lock_free(&e);
	}
	lock_free(kept);
	lock_free(new.lock);
	return r;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	enum index_asker asker = ASK_BEST;
	bool now = false, never = false;
	const struct cmd_option options[] = {
		{"compile", .flag = &now},
		{"no-compile", .flag = &never},
		{"ask", .take = index_asker_parse, .arg = &asker},
		{0},
	};
	int first = cmd_options(&cmd_sync, options, argc, argv), r;
	struct diag diag = {0};

	if (first < 0)
		return -first;
	if (argc - first != 2)
		return cmd_usage(&cmd_sync, "an environment and a lock file are wanted");
	if (!cmd_store(ctx))
		return 1;
	r = sync_env(ctx, argv[first], argv[first + 1], compile_asked(now, never), asker, &diag);
	return r < 0 ? cmd_fail("%s", diag_text(&diag, r)) : r;
}

const struct cmd cmd_sync = {
	.name = "sync",
	.usage = "sync ENV FILE [--compile | --no-compile] [--ask pip|uv]",
	.summary = "make an environment have exactly what a lock file says",
	.help = "FILE is a pylock.toml (PEP 751), or a requirements.txt whose every line is pinned, with hashes or without.\n"
		"What the store does not have is downloaded; a source is built with pip. Everything is there before the\n"
		"environment is switched, in one step; if anything fails it stays as it was. pip, setuptools, wheel and uv\n"
		"stay in it unless FILE names them.\n\n"
		"  --compile      wait for bytecode (default: it is made in the background)\n"
		"  --no-compile   make none\n"
		"  --ask pip|uv   who is asked for what FILE tells no address of; default: uv where there is one,\n"
		"                 but pip where only pip's configuration names an index\n\n"
		"example: venvfs sync web pylock.toml\n",
	.run = run,
};
