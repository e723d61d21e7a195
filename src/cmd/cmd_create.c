/* SPDX-License-Identifier: MIT */
#include "cmd/cmd.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/mounts.h"
#include "cmd/creation.h"

#include <ctype.h>
#include <string.h>

static int is_mount(void *root, const char *path)
{
	return strcmp(root, path) == 0;
}

struct seed_names {
	char **p;
	size_t n, cap;
};

/* "pip wheel", "pip,wheel", "pip>=24,<25": a comma in front of a comparison is part of it. */
static int add_seeds(void *arg, const char *list, struct diag *diag)
{
	struct seed_names *names = arg;

	(void)diag;
	while (*list) {
		const char *end;

		list += strspn(list, ", \t\n");
		for (end = list; *end && !isspace((unsigned char)*end); end++)
			if (*end == ',' && !strchr("<>=!~", end[1]))
				break;
		if (end == list)
			continue;
		if (array_grow(names->p, names->cap, names->n + 1) < 0)
			return -ENOMEM;
		names->p[names->n] = strndup(list, (size_t)(end - list));
		if (!names->p[names->n])
			return -ENOMEM;
		names->n++;
		list = end;
	}
	return 0;
}

static bool has_pip(const struct seed_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		if (strncasecmp(names->p[i], "pip", 3) == 0 &&
			(!names->p[i][3] || strchr("=<>!~[", names->p[i][3])))
			return true;
	return false;
}

/* The index of the first operand; negative: the exit code is -r, and a person was told. */
static int parse(int argc, char **argv, struct creation *k, struct seed_names *seeds)
{
	struct cfg_options *o = &k->options;
	const struct cmd_option options[] = {
		{"python", 'p', .text = &k->python},
		{"prompt", .text = &o->prompt},
		{"system-site-packages", .flag = &o->system_site},
		{"symlinks", .flag = &k->symlinks},
		{"copies", .flag = &o->copies},
		{"clear", .flag = &o->clear},
		{"upgrade", .flag = &o->upgrade},
		{"upgrade-deps", .flag = &o->upgrade_deps},
		{"without-pip", .flag = &o->without_pip},
		{"without-scm-ignore-files", .flag = &o->without_ignore},
		{"seed", .take = add_seeds, .arg = seeds},
		{"from", .text = &k->from},
		{0},
	};
	int first = cmd_options(&cmd_create, options, argc, argv);

	if (first < 0)
		return first;
	if (first == argc)
		return -cmd_usage(&cmd_create, "the name or path of an environment is wanted");
	if (k->symlinks && o->copies)
		return -cmd_usage(&cmd_create, "--symlinks and --copies exclude each other");
	if (o->without_pip && seeds->n)
		return -cmd_usage(&cmd_create, "--without-pip and --seed exclude each other");
	if (o->without_pip && o->upgrade_deps)
		return -cmd_usage(
			&cmd_create, "--without-pip and --upgrade-deps exclude each other");
	if (o->upgrade && o->clear) /* venv's exit code */
		return -cmd_fail("--upgrade and --clear exclude each other: one keeps what is "
				 "there, the other removes it");
	return first;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	struct seed_names seeds = {0};
	auto_free char *root = NULL;
	struct creation k = {0};
	int first = parse(argc, argv, &k, &seeds), code = first < 0 ? -first : 0;
	bool wrong;

	k.seeds = seeds.p;
	k.n_seeds = seeds.n;
	if (seeds.n && !has_pip(&seeds))
		k.options.without_pip = true;
	if (code == 0 && !cmd_store(ctx))
		code = 1;
	wrong = code != 0;
	for (int i = first; !wrong && !k.failed && i < argc; i++) {
		struct diag diag = {0};
		int r = creation_make(ctx, &k, argv[i], &root, &diag);

		if (r < 0)
			cmd_fail("%s", diag_text(&diag, r));
		if (r != 0)
			code = 1;
	}
	/* What bin/python would do in it works only where the view is. */
	if (root && isatty(STDERR_FILENO) && mounts_each(is_mount, root) == 0)
		fprintf(stderr, "venvfs: %s is not mounted; `venvfs mount` shows what is in it\n",
			root);
	creation_free(&k);
	for (size_t i = 0; i < seeds.n; i++)
		free(seeds.p[i]);
	free(seeds.p);
	return code;
}

const struct cmd cmd_create = {
	.name = "create",
	.usage = "create ENV... [--python X] [--seed NAME]... [--from FILE] [OPTION OF VENV]...",
	.summary = "make environments, or make them again",
	.help = "ENV is a name in the root, or a path. A path outside of every root (as .venv) becomes a symlink to an\n"
		"environment in the root that is named after its project. One that is there already keeps its packages and\n"
		"its Python and is written anew otherwise, as python -m venv does.\n\n"
		"  -p, --python X          the base: a version (3.12), a name in PATH, or a path;\n"
		"                          default: python3 in PATH, or what ENV has\n"
		"  --seed NAME             begin with this in place of pip; more of them, or a list\n"
		"                          (\"pip setuptools wheel\"); from the base's own wheels, else from the index\n"
		"  --from FILE             with what a pylock.toml or a pinned requirements.txt says, as by venvfs sync\n\n"
		"as of python -m venv, for every Python:\n"
		"  --system-site-packages  the base's own distributions are seen too\n"
		"  --symlinks              bin/python* are links to the base (default)\n"
		"  --copies                they are files of the environment's own, and stay as they are when the base is\n"
		"                          upgraded; --upgrade puts the new ones there\n"
		"  --clear                 empty it first: packages and private files go (`venvfs undo` brings packages back)\n"
		"  --upgrade               for a base that was upgraded in place; activate scripts stay as they are\n"
		"  --without-pip           with nothing in it\n"
		"  --prompt TEXT           what activate scripts show; \".\" is this directory's name\n"
		"  --upgrade-deps          with the index's newest pip (and setuptools before Python 3.12)\n"
		"  --without-scm-ignore-files  without the .gitignore that Python 3.13 and newer write\n\n"
		"example: venvfs create web --python 3.12\n"
		"         venvfs create .venv --from pylock.toml\n"
		"         venvfs create old new --copies --seed \"pip setuptools wheel\"\n",
	.run = run,
};
