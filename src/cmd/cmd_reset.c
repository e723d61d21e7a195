/* SPDX-License-Identifier: MIT
 *
 * What goes is told first, from the same comparison as `venvfs diff`; then the daemon, or a view of
 * our own, takes it out of the way at once, and here it is removed, which may take its time. Killed
 * before that, the next reset removes it.
 */
#include "cmd/cmd.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cmd/env_cfg.h"
#include "cmd/env_reset.h"
#include "view/changes.h"
#include "view/materialize.h"

#include <fcntl.h>
#include <string.h>

struct reset {
	struct env_path path;
	struct env_cfg cfg;
	struct lower *lower;
	int upper;
	struct own_view own; /* view NULL: the root is mounted */
	bool yes;
};

/* The path below the environment, from it: it may be given absolute too. "" for the environment. */
static int below(const struct reset *k, const char *given, struct str *ret, struct diag *diag)
{
	size_t n = strlen(k->path.path);
	const char *p = given, *part;
	size_t len;
	int r = 0;

	if (*p == '/' && strncmp(p, k->path.path, n) == 0 && (p[n] == '/' || !p[n]))
		p += n;
	else if (*p == '/')
		return diag_set(diag, -EINVAL, "%s does not lie in %s", given, k->path.path);
	while (r == 0 && (part = path_next(&p, &len))) {
		if (len == 2 && memcmp(part, "..", 2) == 0)
			return diag_set(diag, -EINVAL, "%s: give the path without \"..\"", given);
		if (len != 1 || *part != '.')
			r = str_addf(ret, "%s%.*s", ret->len ? "/" : "", (int)len, part);
	}
	return r == 0 && !ret->p ? str_add(ret, "") : r;
}

static bool covers(const char *path, const char *of)
{
	size_t n = strlen(path);

	return !n || (strncmp(of, path, n) == 0 && (of[n] == '/' || !of[n]));
}

static const char *word(enum change_kind kind)
{
	return kind == CHANGE_ADDED ? "removed" : kind == CHANGE_DELETED ? "back" : "as it was";
}

/* Prints those below `path`, and counts them. */
static int tell(struct reset *k, const char *path, FILE *out, size_t *ret_n, struct diag *diag)
{
	struct changes c = {0};
	int r = changes_read(k->lower, k->upper, &c);

	*ret_n = 0;
	if (r < 0)
		diag_errno(diag, r, "%s", k->path.path);
	for (size_t i = 0; r == 0 && i < c.n; i++) {
		if (!covers(path, c.p[i].path))
			continue;
		++*ret_n;
		if (out)
			fprintf(out, "%s: %s\n", word(c.p[i].kind), c.p[i].path);
	}
	changes_free(&c);
	return r;
}

static bool agreed(const struct reset *k, size_t n)
{
	char answer[16];

	if (k->yes || !isatty(STDIN_FILENO))
		return true;
	fprintf(stderr, "%s: forget %s? [y/N] ", k->path.path, n == 1 ? "this" : "these");
	return fgets(answer, sizeof answer, stdin) && (*answer == 'y' || *answer == 'Y');
}

static int reset_path(struct reset *k, const char *given, struct diag *diag)
{
	auto_str struct str path = {0};
	size_t n, left;
	int r = below(k, given, &path, diag);

	if (r == 0 && !k->yes && isatty(STDIN_FILENO)) {
		r = tell(k, path.p, stderr, &n, diag);
		if (r == 0 && n && !agreed(k, n))
			return 0;
	}
	if (r == 0)
		r = tell(k, path.p, stdout, &n, diag);
	if (r == 0 && n == 0)
		printf("%s%s%s: as the lock has it\n", k->path.path, *path.p ? "/" : "", path.p);
	if (r == 0)
		r = env_reset_in(&k->own, &k->path, path.p, diag);
	if (r == 0)
		r = tell(k, path.p, NULL, &left, diag);
	if (r == 0 && left)
		r = diag_set(diag, -ENOENT,
			"%s: its directory was deleted or replaced in %s; reset that directory",
			path.p, k->path.path);
	return r;
}

static int open_reset(struct cmd_context *ctx, const char *env, struct reset *k, struct diag *diag)
{
	int r = cmd_env_path(ctx, env, &k->path, diag);

	if (r == 0)
		r = env_cfg_open(&k->path, &k->cfg, diag);
	if (r == 0 && k->cfg.cfg.lock_kind == CFG_LOCK_ABSENT)
		r = diag_set(diag, -EINVAL,
			"%s is an ordinary environment: it has no lock to go back to",
			k->path.path);
	if (r == 0 && !k->path.root)
		r = diag_set(diag, -EINVAL, "%s lies in no root", k->path.path);
	if (r == 0)
		r = materialize_lower(ctx->store, &k->cfg.cfg, &k->lower, diag);
	if (r == 0)
		r = k->upper = cmd_open_upper(&k->path, diag);
	if (r >= 0 && !own_view_is_mounted(k->path.root))
		r = own_view_open(ctx, k->path.root, &k->own, diag);
	return r < 0 ? r : 0;
}

static void reset_free(struct reset *k)
{
	if (k->upper >= 0)
		io_remove_tree_at(k->upper, RESET_TRASH);
	if (k->own.view)
		own_view_close(&k->own);
	cleanup_close(&k->upper);
	lower_unref(k->lower);
	env_cfg_free(&k->cfg);
	env_path_free(&k->path);
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	struct reset k = {.upper = -1, .cfg = {.dir = -1}, .own = {.lock = -1}};
	struct diag diag = {0};
	const struct cmd_option options[] = {{"yes", 'y', .flag = &k.yes}, {0}};
	int first = cmd_options(&cmd_reset, options, argc, argv), r;

	if (first < 0)
		return -first;
	if (argc == first)
		return cmd_usage(&cmd_reset, "the name or path of an environment is wanted");
	if (!cmd_store(ctx))
		return 1;
	r = open_reset(ctx, argv[first], &k, &diag);
	if (r == 0 && first + 1 == argc)
		r = reset_path(&k, "", &diag);
	for (int i = first + 1; r == 0 && i < argc; i++)
		r = reset_path(&k, argv[i], &diag);
	reset_free(&k);
	return r < 0 ? cmd_fail("%s", diag_text(&diag, r)) : 0;
}

const struct cmd cmd_reset = {
	.name = "reset",
	.usage = "reset ENV [PATH...] [--yes]",
	.summary = "forget private changes and deletions, so that the lock shows again",
	.help = "PATH is a file or directory of the environment (default: all but pyvenv.cfg). What is private below it\n"
		"is removed, what was deleted is back. Each is told. On a terminal it asks first, but with -y or --yes;\n"
		"`venvfs diff` only tells.\n\n"
		"example: venvfs reset web lib/python3.11/site-packages/requests\n",
	.run = run,
};
