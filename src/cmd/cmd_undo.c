/* SPDX-License-Identifier: MIT
 *
 * One step back in the list of locks that an environment had (view/generations.h), or forth again.
 * Only the lock moves; private files stay, and where they hide what came back a line says so.
 */
#include "cmd/cmd.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "cmd/env_cfg.h"
#include "cmd/harvest.h"
#include "cmd/lock_diff.h"
#include "cmd/private.h"
#include "view/generations.h"

#include <string.h>
#include <time.h>

struct history {
	struct env_path path;
	struct env_cfg cfg;
	int upper;
	struct generation now;
	struct generations all;
};

static int open_history(
	struct cmd_context *ctx, const char *env, bool look, struct history *h, struct diag *diag)
{
	int r = cmd_env_path(ctx, env, &h->path, diag);

	if (r == 0 && !look)
		r = harvest_first(ctx, &h->path, diag);
	if (r == 0)
		r = env_cfg_open(&h->path, &h->cfg, diag);
	if (r == 0 && !generation_of_cfg(&h->cfg.cfg, &h->now))
		r = diag_set(diag, -EINVAL, "%s is an ordinary environment: it has no lock",
			h->path.path);
	if (r == 0)
		r = h->upper = cmd_open_upper(&h->path, diag);
	if (r < 0)
		return r;
	r = generations_read(h->upper, &h->now, &h->all);
	return r < 0 ? diag_errno(diag, r, "%s: its .venvfs/generations", h->path.path) : 0;
}

static void history_free(struct history *h)
{
	generations_free(&h->all);
	cleanup_close(&h->upper);
	env_cfg_free(&h->cfg);
	env_path_free(&h->path);
}

static void format_lock(const struct generation *g, char ret[7 + DIGEST_HEX + 1])
{
	strcpy(ret, g->none ? "none" : "sha256:");
	if (!g->none)
		digest_format(&g->lock, ret + 7);
}

static int get_lock(
	struct store *s, const struct generation *g, struct lock **ret, struct diag *diag)
{
	if (!g->none)
		return store_lock_get(s, &g->lock, ret, diag);
	*ret = lock_new();
	return *ret ? 0 : -ENOMEM;
}

/* The lock to go to, if all of it is there. */
static int get_whole(struct store *s, const struct history *h, const struct generation *to,
	struct lock **ret, struct diag *diag)
{
	char name[7 + DIGEST_HEX + 1];
	struct lock *lock = NULL;
	struct diag why = {0};
	int r = get_lock(s, to, &lock, &why);

	format_lock(to, name);
	if (r < 0)
		return diag_set(diag, r,
			"%s can not go back to %s, which the store has no more: %s; `venvfs sync` "
			"makes a new one",
			h->path.path, name, diag_text(&why, r));
	for (size_t i = 0; r == 0 && i < lock->n; i++) {
		const struct lock_line *l = &lock->lines[i];

		if (store_has_dist(s, l->name, l->version, &l->address) < 0)
			r = diag_set(diag, -ENOENT,
				"%s can not go back to %s: the store has %s %s of it no more; "
				"`venvfs store add` its wheel, or `venvfs sync`",
				h->path.path, name, l->name, l->version);
	}
	if (r < 0)
		lock_free(lock);
	else
		*ret = lock;
	return r;
}

static void tell_hidden(struct store *s, struct history *h, const struct lock *lock)
{
	struct interpreter *py = NULL;

	if (interpreter_for_cfg(s, &h->cfg.cfg, &py, NULL) == 0)
		private_note(&h->path, py, lock);
	interpreter_unref(py);
}

static int go(struct cmd_context *ctx, struct history *h, bool redo, struct diag *diag)
{
	const struct generation *from = redo ? h->all.undone : h->all.past, *to;
	size_t n = redo ? h->all.n_undone : h->all.n_past;
	struct lock *old = NULL, *new = NULL;
	struct lock_diff d;
	int r;

	if (!n)
		return diag_set(diag, -ENOENT,
			redo ? "%s: nothing was undone" : "%s: it never had another lock",
			h->path.path);
	to = &from[n - 1];
	r = get_whole(ctx->store, h, to, &new, diag);
	if (r < 0)
		return r;
	r = redo ? generations_redo(h->upper, to) : generations_undo(h->upper, to);
	if (r < 0)
		diag_errno(diag, r, "%s: its .venvfs/generations", h->path.path);
	else
		r = env_cfg_switch(&h->cfg, &h->path, to->none ? NULL : &to->lock, diag);
	if (r == 0) {
		(void)get_lock(ctx->store, &h->now, &old, NULL); /* else all is new */
		d = lock_diff_print(old, new);
		printf("%s: %zu distribution%s, %zu added, %zu removed, %zu changed\n",
			h->path.path, new->n, plural(new->n), d.n_added, d.n_removed, d.n_changed);
		tell_hidden(ctx->store, h, new);
	}
	lock_free(old);
	lock_free(new);
	return r;
}

/* --list */

struct row {
	const struct generation *g;
	const char *mark;
	int steps; /* undos to it; negative: redos */
};

static void print_time(const struct generation *g, bool now, char ret[32])
{
	time_t t = (time_t)g->time;
	struct tm tm;

	if (!g->time)
		strcpy(ret, now ? "now" : "at first");
	else if (!localtime_r(&t, &tm) || !strftime(ret, 32, "until %Y-%m-%d %H:%M:%S", &tm))
		strcpy(ret, "before");
}

static int print_row(struct store *s, const struct row *row, const struct generation *before)
{
	struct lock *lock = NULL, *older = NULL;
	char name[7 + DIGEST_HEX + 1], when[32];
	int r = get_lock(s, row->g, &lock, NULL);

	format_lock(row->g, name);
	print_time(row->g, row->steps == 0, when);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		printf("%s %s  %.19s  (not in the store any more)\n", row->mark, when, name);
		return 0;
	}
	printf("%s %s  %.19s  %zu distribution%s\n", row->mark, when, name, lock->n,
		plural(lock->n));
	if (before && get_lock(s, before, &older, NULL) == 0)
		lock_diff_print(older, lock);
	lock_free(lock);
	lock_free(older);
	return 0;
}

static int add_row(struct str *out, struct store *s, const struct row *row)
{
	char name[7 + DIGEST_HEX + 1];
	struct lock *lock = NULL;
	int r = get_lock(s, row->g, &lock, NULL);

	if (r == -ENOMEM)
		return r;
	format_lock(row->g, name);
	r = str_addf(out, "{\"lock\": \"%s\", \"steps\": %d, \"left\": ", name, row->steps);
	if (r == 0)
		r = row->g->time ? str_addf(out, "%lld", (long long)row->g->time)
				 : str_add(out, "null");
	if (r == 0)
		r = str_add(out, lock ? ", \"distributions\": [" : ", \"distributions\": null");
	for (size_t i = 0; r == 0 && lock && i < lock->n; i++) {
		r = str_add(out, i ? ", {\"name\": " : "{\"name\": ");
		if (r == 0)
			r = json_add_string(out, lock->lines[i].name);
		if (r == 0)
			r = str_add(out, ", \"version\": ");
		if (r == 0)
			r = json_add_string(out, lock->lines[i].version);
		if (r == 0)
			r = str_add(out, "}");
	}
	if (r == 0)
		r = str_add(out, lock ? "]}" : "}");
	lock_free(lock);
	return r;
}

static int list(struct store *s, const struct history *h, bool json)
{
	size_t past = h->all.n_past, undone = h->all.n_undone, n = 0;
	struct row *rows = calloc(past + undone + 1, sizeof *rows);
	auto_str struct str out = {0};
	int r = rows ? 0 : -ENOMEM;

	if (rows) { /* the newest first */
		for (size_t i = 0; i < undone; i++)
			rows[n++] = (struct row){&h->all.undone[i], " ", (int)i - (int)undone};
		rows[n++] = (struct row){&h->now, "*", 0};
		for (size_t i = past; i > 0; i--)
			rows[n++] = (struct row){&h->all.past[i - 1], " ", (int)(past - i) + 1};
	}
	if (r == 0 && json)
		r = str_add(&out, "[");
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (json) {
			r = str_add(&out, i ? ",\n " : "");
			if (r == 0)
				r = add_row(&out, s, &rows[i]);
		} else {
			r = print_row(s, &rows[i], i + 1 < n ? rows[i + 1].g : NULL);
		}
	}
	if (r == 0 && json) {
		r = str_add(&out, "]");
		if (r == 0)
			puts(out.p);
	}
	free(rows);
	return r;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	struct history h = {.upper = -1, .cfg = {.dir = -1}};
	bool json = false, listing = false, redo = false;
	const struct cmd_option options[] = {
		{"json", .flag = &json},
		{"list", .flag = &listing},
		{"redo", .flag = &redo},
		{0},
	};
	int first = cmd_options(&cmd_undo, options, argc, argv), r;
	struct diag diag = {0};

	if (first < 0)
		return -first;
	if (argc - first != 1)
		return cmd_usage(&cmd_undo, "the name or path of one environment is wanted");
	if (json && !listing)
		return cmd_usage(&cmd_undo, "--json goes with --list");
	if (redo && listing)
		return cmd_usage(&cmd_undo, "--list changes nothing, --redo does");
	if (!cmd_store(ctx))
		return 1;
	r = open_history(ctx, argv[first], listing, &h, &diag);
	if (r == 0)
		r = listing ? list(ctx->store, &h, json) : go(ctx, &h, redo, &diag);
	history_free(&h);
	return r < 0 ? cmd_fail("%s", diag_text(&diag, r)) : 0;
}

const struct cmd cmd_undo = {
	.name = "undo",
	.usage = "undo ENV [--redo | --list [--json]]",
	.summary = "take the last change of what is installed back",
	.help = "The environment gets the lock that it had before; once more, the one before that. Private files\n"
		"stay as they are.\n\n"
		"  --redo  takes the last undo back, until something else changes the lock\n"
		"  --list  the locks that it had, the newest first, and what each brought; \"*\" is the present one\n\n"
		"example: venvfs sync web new.txt && venvfs undo web\n",
	.run = run,
};
