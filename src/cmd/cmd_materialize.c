/* SPDX-License-Identifier: MIT */
#include "cmd/cmd.h"

#include "base/cleanup.h"
#include "view/materialize.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As os.path.abspath: by the text alone, so that the path written into scripts is the one that was
 * typed. */
static int absolute(const char *path, struct str *ret)
{
	auto_str struct str s = {0};
	const char *part;
	size_t len;

	if (*path != '/') {
		char cwd[PATH_MAX];

		if (!getcwd(cwd, sizeof cwd))
			return -errno;
		if (strcmp(cwd, "/") != 0 && str_add(&s, cwd) < 0)
			return -ENOMEM;
	}
	while ((part = path_next(&path, &len))) {
		if (len == 1 && *part == '.')
			continue;
		if (len == 2 && memcmp(part, "..", 2) == 0) {
			const char *slash = s.len ? strrchr(s.p, '/') : NULL;

			if (slash)
				str_truncate(&s, (size_t)(slash - s.p));
			continue;
		}
		if (str_add(&s, "/") < 0 || str_add_mem(&s, part, len) < 0)
			return -ENOMEM;
	}
	if (!s.len && str_add(&s, "/") < 0)
		return -ENOMEM;
	*ret = s;
	s = (struct str){0};
	return 0;
}

/* Whether `dest`, which need not exist, lies in the directory `env`. Through a mount the two have
 * other numbers than what lies behind it, so this can only be told by path. */
static bool lies_in(const char *dest, const char *env)
{
	auto_free char *top = realpath(env, NULL), *real = realpath(dest, NULL);
	size_t n = top ? strlen(top) : 0;

	if (!real) {
		const char *slash = strrchr(dest, '/');
		auto_free char *parent = strndup(dest, slash == dest ? 1 : (size_t)(slash - dest));

		real = parent ? realpath(parent, NULL) : NULL;
	}
	return top && real && strncmp(real, top, n) == 0 && (real[n] == '/' || !real[n]);
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	struct env_path env = {0};
	auto_str struct str dest = {0};
	auto_close int upper = -1;
	struct diag diag = {0};
	int first = cmd_options(&cmd_materialize, NULL, argc, argv), r;

	if (first < 0)
		return -first;
	if (argc - first != 2 || !*argv[first] || !*argv[first + 1])
		return cmd_usage(&cmd_materialize, "an environment and a directory are wanted");
	if (!cmd_store(ctx))
		return 1;
	r = absolute(argv[first + 1], &dest);
	if (r < 0)
		return cmd_fail("%s: %s", argv[first + 1], strerror(-r));
	r = cmd_env_path(ctx, argv[first], &env, &diag);
	if (r == 0 && lies_in(dest.p, env.path))
		r = diag_set(&diag, -EINVAL,
			"%s lies in the environment itself: give a directory outside of it",
			dest.p);
	if (r == 0) {
		upper = cmd_open_upper(&env, &diag);
		if (upper >= 0 && faccessat(upper, "pyvenv.cfg", F_OK, 0) < 0)
			r = diag_errno(&diag, -errno, "%s is no environment: pyvenv.cfg", env.path);
		else
			r = upper < 0 ? upper : materialize(ctx->store, upper, dest.p, &diag);
	}
	env_path_free(&env);
	return r < 0 ? cmd_fail("%s", diag_text(&diag, r)) : 0;
}

const struct cmd cmd_materialize = {
	.name = "materialize",
	.usage = "materialize ENV DIR",
	.summary = "write an environment out as an ordinary one, with no mount",
	.help = "DIR is made, or is an empty directory. It gets all files of the environment, by reflink where\n"
		"the file system can, with DIR's path in scripts and activate scripts, and needs neither\n"
		"venvfs nor the store afterwards.\n\n"
		"example: venvfs materialize web /srv/web/.venv\n",
	.run = run,
};
