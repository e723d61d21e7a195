/* SPDX-License-Identifier: MIT
 *
 * The lock is shared by naming it; what is copied are private files alone. They are put behind the
 * mount, where whiteouts can be written, while the new directory is no environment yet: its
 * pyvenv.cfg, written through the mount at last, makes the daemon look at it.
 */
#include "cmd/cmd.h"

#include "base/cleanup.h"
#include "cmd/env_cfg.h"
#include "cmd/harvest.h"
#include "cmd/private.h"

#include <string.h>

static int copy_private(
	const struct env_path *a, const struct env_path *b, size_t *n, struct diag *diag)
{
	auto_close int from = cmd_open_upper(a, diag), to = -1;

	if (from < 0)
		return from;
	to = cmd_open_upper(b, diag);
	return to < 0 ? to : private_copy(from, to, n, diag);
}

static int clone(struct cmd_context *ctx, const char *from, const char *to, struct diag *diag)
{
	struct env_path a = {0}, b = {0};
	struct env_cfg cfg = {.dir = -1};
	size_t n = 0;
	int r = cmd_env_path(ctx, from, &a, diag);

	if (r == 0)
		(void)harvest_first(ctx, &a, NULL); /* else it is copied as a private file */
	if (r == 0)
		r = env_cfg_open(&a, &cfg, diag);
	if (r == 0 && cfg.cfg.lock_kind == CFG_LOCK_ABSENT && !a.root)
		r = diag_set(diag, -EINVAL,
			"%s is an ordinary environment outside of every root, whose scripts name "
			"its path; it can not be cloned",
			a.path);
	if (r == 0)
		r = env_new(ctx, to, &b, diag);
	if (r == 0) {
		r = copy_private(&a, &b, &n, diag);
		if (r == 0)
			r = env_new_done(&b, cfg.text.p, cfg.text.len, diag);
		if (r < 0)
			env_new_undo(&b);
	}
	if (r == 0) {
		if (b.link)
			printf("%s -> ", b.link);
		printf("%s: a clone of %s", b.path, a.path);
		if (n)
			printf(", %zu private files and directories", n);
		putchar('\n');
	}
	env_cfg_free(&cfg);
	env_path_free(&a);
	env_path_free(&b);
	return r;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	struct diag diag = {0};
	int first = cmd_options(&cmd_clone, NULL, argc, argv), r;

	if (first < 0)
		return -first;
	if (argc - first != 2)
		return cmd_usage(&cmd_clone, "an environment and the name of its clone are wanted");
	r = clone(ctx, argv[first], argv[first + 1], &diag);
	return r < 0 ? cmd_fail("%s", diag_text(&diag, r)) : 0;
}

const struct cmd cmd_clone = {
	.name = "clone",
	.usage = "clone ENV NEW",
	.summary = "make an environment that has what another one has",
	.help = "NEW gets the same Python, the same distributions, and a copy of the private files of ENV (by reflink\n"
		"where the file system can). Neither sees what is changed in the other afterwards.\n\n"
		"example: venvfs clone web web-next\n",
	.run = run,
};
