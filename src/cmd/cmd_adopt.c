/* SPDX-License-Identifier: MIT
 *
 * The line in pyvenv.cfg that makes an ordinary environment one of ours; then it is harvested like
 * any other. Killed in between it is an environment of ours with much that is private.
 */
#include "cmd/cmd.h"

#include "cmd/env_cfg.h"
#include "cmd/harvest.h"

#include <errno.h>
#include <stdio.h>

static int adopt(struct cmd_context *ctx, const char *env, struct diag *diag)
{
	struct env_path p = {0};
	struct env_cfg cfg = {.dir = -1};
	struct harvest h = {0};
	int r = cmd_env_path(ctx, env, &p, diag);

	if (r == 0)
		r = env_cfg_open(&p, &cfg, diag);
	if (r == 0 && !p.root)
		r = diag_set(diag, -EINVAL,
			"%s lies outside of every root; move it into one, or mount its directory",
			p.path);
	if (r == 0 && cfg.cfg.lock_kind != CFG_LOCK_ABSENT)
		r = diag_set(diag, -EEXIST, "%s is one of ours already", p.path);
	if (r == 0)
		r = cmd_note_root(ctx, p.root, diag);
	if (r == 0)
		r = env_cfg_switch(&cfg, &p, NULL, diag);
	if (r == 0)
		r = harvest_env(ctx, &p, &h, diag);
	if (r == 0) {
		printf("%s is adopted\n", p.path);
		harvest_print(&p, &h);
	}
	harvest_free(&h);
	env_cfg_free(&cfg);
	env_path_free(&p);
	return r;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	int first = cmd_options(&cmd_adopt, NULL, argc, argv), failed = 0;

	if (first < 0)
		return -first;
	if (first == argc)
		return cmd_usage(&cmd_adopt, "which environment?");
	for (int i = first; i < argc; i++) {
		struct diag diag = {0};
		int r = adopt(ctx, argv[i], &diag);

		if (r < 0)
			failed = cmd_fail("%s", diag_text(&diag, r));
	}
	return failed;
}

const struct cmd cmd_adopt = {
	.name = "adopt",
	.usage = "adopt ENV...",
	.summary = "make an ordinary environment that lies in a root one of ours",
	.help = "An environment that another tool made there before works as it is, and is left alone. Adopted, what\n"
		"is installed in it moves into the store, and what every environment has anyhow goes. `venvfs eject`\n"
		"is the way back.\n\n"
		"example: venvfs adopt ~/envs/old\n",
	.run = run,
};
