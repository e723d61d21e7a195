/* SPDX-License-Identifier: MIT */
#include "cmd/cmd.h"

#include "base/cleanup.h"
#include "cmd/env_lock.h"
#include "py/name.h"

#include <errno.h>
#include <string.h>

static int take_out(const struct env_lock *e, const char *name, struct lock *lock)
{
	auto_str struct str normal = {0};
	int r = name_normalize(name, strlen(name), &normal);

	if (r == 0)
		r = lock_remove(lock, normal.p);
	if (r == -EINVAL || r == -ENOENT) {
		cmd_fail("%s is not in the lock of %s; `venvfs show` lists what is, and what is "
			 "private there its own pip uninstalls",
			name, e->path.path);
		return 1;
	}
	return r;
}

/* 1: told already. */
static int take_all(struct cmd_context *ctx, const char *env, char **names, struct diag *diag)
{
	struct synced new = {.known = true};
	struct env_lock e;
	int r = env_lock_open(ctx, env, true, &e, diag), missing = 0;

	if (r < 0)
		return r;
	new.lock = e.lock ? lock_copy(e.lock) : lock_new();
	r = new.lock ? 0 : -ENOMEM;
	for (; r == 0 && *names; names++) {
		int err = take_out(&e, *names, new.lock);

		r = err < 0 ? err : 0;
		missing |= err > 0;
	}
	if (r == 0 && missing) {
		cmd_fail("%s stays as it was", e.path.path);
		r = 1;
	}
	if (r == 0)
		r = store_lock_put(ctx->store, new.lock, &new.id, diag);
	if (r == 0)
		r = env_lock_switch(ctx, &e, &new, COMPILE_NEVER, diag);
	lock_free(new.lock);
	env_lock_free(&e);
	return r;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	struct diag diag = {0};
	int first = cmd_options(&cmd_remove, NULL, argc, argv), r;

	if (first < 0)
		return -first;
	if (argc - first < 2)
		return cmd_usage(&cmd_remove, "an environment and a name are wanted");
	if (!cmd_store(ctx))
		return 1;
	r = take_all(ctx, argv[first], &argv[first + 1], &diag);
	return r < 0 ? cmd_fail("%s", diag_text(&diag, r)) : r;
}

const struct cmd cmd_remove = {
	.name = "remove",
	.usage = "remove ENV NAME...",
	.summary = "take distributions out of an environment",
	.help = "Each named distribution goes, and no other, as with `pip uninstall`; if one is not there all stay.\n"
		"`venvfs undo` brings them back.\n\n"
		"example: venvfs remove web gunicorn\n",
	.run = run,
};
