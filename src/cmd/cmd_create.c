/* SPDX-License-Identifier: MIT */
#include "cmd/cmd.h"

#include "base/cleanup.h"
#include "base/mounts.h"
#include "cmd/cfg_text.h"
#include "cmd/env_cfg.h"
#include "cmd/seed.h"

#include <getopt.h>
#include <string.h>

struct base {
	struct interpreter *py;
	struct lock *lock; /* NULL: nothing is in it */
	struct digest id;
};

static int find_base(struct cmd_context *ctx, const char *python, bool without_pip,
	struct base *ret, struct diag *diag)
{
	int r = interpreter_find(ctx->store, python, &ret->py, diag);

	if (r == 0 && !without_pip)
		r = seed_lock(ctx, ret->py, &ret->id, &ret->lock, diag);
	return r;
}

static void tell(const struct base *base, const struct env_path *p)
{
	if (p->link)
		printf("%s -> ", p->link);
	printf("%s: Python %s", p->path, base->py->version);
	for (size_t i = 0; base->lock && i < base->lock->n; i++)
		printf(", %s %s", base->lock->lines[i].name, base->lock->lines[i].version);
	putchar('\n');
}

static int create(struct cmd_context *ctx, const char *env, const struct base *base,
	const struct cfg_options *options, char **ret_root, struct diag *diag)
{
	auto_str struct str text = {0};
	struct env_path p = {0};
	int r = env_new(ctx, env, &p, diag);

	if (r < 0)
		return r;
	r = cfg_text(base->py, p.path, options, base->lock ? &base->id : NULL, &text, diag);
	if (r == 0)
		r = env_new_done(&p, text.p, text.len, diag);
	if (r < 0)
		env_new_undo(&p);
	else
		tell(base, &p);
	if (r == 0) {
		free(*ret_root);
		*ret_root = steal_ptr(p.root);
	}
	env_path_free(&p);
	return r;
}

static int is_mount(void *root, const char *path)
{
	return strcmp(root, path) == 0;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	static const struct option long_options[] = {
		{"python", required_argument, NULL, 'p'},
		{"without-pip", no_argument, NULL, 'w'},
		{"prompt", required_argument, NULL, 'P'},
		{"system-site-packages", no_argument, NULL, 's'},
		{NULL, 0, NULL, 0},
	};
	struct cfg_options options = {0};
	auto_free char *root = NULL;
	struct base base = {0};
	const char *python = NULL;
	struct diag diag = {0};
	int c, r, code = 0;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "p:", long_options, NULL)) != -1) {
		switch (c) {
		case 'p':
			python = optarg;
			break;
		case 'w':
			options.without_pip = true;
			break;
		case 'P':
			options.prompt = optarg;
			break;
		case 's':
			options.system_site = true;
			break;
		default:
			return cmd_usage(&cmd_create, "%s is no option, or lacks its value",
				argv[optind - 1]);
		}
	}
	if (optind == argc)
		return cmd_usage(&cmd_create, "the name or path of an environment is wanted");
	if (!cmd_store(ctx))
		return 1;
	r = find_base(ctx, python, options.without_pip, &base, &diag);
	if (r < 0)
		code = cmd_fail("%s", diag_text(&diag, r));
	for (int i = optind; r == 0 && i < argc; i++) {
		int err = create(ctx, argv[i], &base, &options, &root, &diag);

		if (err < 0)
			code = cmd_fail("%s", diag_text(&diag, err));
		diag = (struct diag){0};
	}
	/* What bin/python would do in it works only where the view is. */
	if (root && isatty(STDERR_FILENO) && mounts_each(is_mount, root) == 0)
		fprintf(stderr, "venvfs: %s is not mounted; `venvfs mount` shows what is in it\n",
			root);
	interpreter_unref(base.py);
	lock_free(base.lock);
	return code;
}

const struct cmd cmd_create = {
	.name = "create",
	.usage = "create ENV... [--python X] [--without-pip] [--prompt TEXT] "
		 "[--system-site-packages]",
	.summary = "make environments",
	.help = "ENV is a name in the root, or a path. A path outside of every root (as .venv) "
		"becomes a "
		"symlink\n"
		"to an environment in the root that is named after its project.\n\n"
		"  -p, --python X          the base: a version (3.12), a name in PATH, or a path;\n"
		"                          default: python3 in PATH\n"
		"  --without-pip           with nothing in it\n"
		"  --prompt TEXT           what activate scripts show; \".\" is this directory's "
		"name\n"
		"  --system-site-packages  the base's own distributions are seen too\n\n"
		"example: venvfs create web --python 3.12\n",
	.run = run,
};
