/* SPDX-License-Identifier: MIT
 *
 * What an environment costs: its private files, which are its own alone, and what it holds of the
 * store, most of which others hold too. All by the blocks that the file system gave.
 */
#include "cmd/cmd.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/disk.h"
#include "base/json.h"
#include "cmd/env_cfg.h"
#include "cmd/holdings.h"

#include <string.h>

struct row {
	char *name; /* as it was asked for, else its path from the root */
	char *path;
	const struct holding *held; /* NULL: an ordinary environment outside of every root */
	uint64_t private;
};

struct table {
	struct holdings holdings;
	struct row *rows;
	size_t n, cap;
	uint64_t private;
	struct holdings_sum sum;
};

static void table_free(struct table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->rows[i].name);
		free(t->rows[i].path);
	}
	free(t->rows);
	holdings_free(&t->holdings);
}

static int add_row(struct table *t, const char *name, const struct env_path *p, struct diag *diag)
{
	struct holding *held = p->root ? holdings_find(&t->holdings, p->path) : NULL;
	auto_close int upper = cmd_open_upper(p, diag);
	struct row row = {.held = held};
	int r = upper < 0 ? upper : disk_usage_at(upper, ".", &row.private);

	if (r < 0)
		return upper < 0 ? r : diag_errno(diag, r, "%s: its private files", p->path);
	if (array_grow(t->rows, t->cap, t->n + 1) < 0)
		return -ENOMEM;
	row.name = strdup(name);
	row.path = strdup(p->path);
	if (!row.name || !row.path) {
		free(row.name);
		free(row.path);
		return -ENOMEM;
	}
	if (held)
		held->chosen = true;
	t->private += row.private;
	t->rows[t->n++] = row;
	return 0;
}

/* Named ones; each root that one lies in is known from then on. */
static int add_named(struct cmd_context *ctx, struct table *t, char **names, struct diag *diag)
{
	int r = 0;

	for (; r == 0 && *names; names++) {
		struct env_path p = {0};
		struct env_cfg cfg = {.dir = -1};
		bool again = false;

		r = cmd_env_path(ctx, *names, &p, diag);
		if (r == 0)
			r = env_cfg_open(&p, &cfg, diag);
		if (r == -EINVAL && cfg.dir < 0 && p.path)
			r = 0; /* what is wrong in it is not the question here */
		if (r == 0 && p.root && !t->holdings.n)
			r = holdings_read(ctx, p.root, &t->holdings, diag);
		for (size_t i = 0; r == 0 && i < t->n; i++)
			again = again || strcmp(t->rows[i].path, p.path) == 0;
		if (r == 0 && !again)
			r = add_row(t, *names, &p, diag);
		env_cfg_free(&cfg);
		env_path_free(&p);
	}
	return r;
}

static int add_all(struct cmd_context *ctx, struct table *t, struct diag *diag)
{
	auto_free char *root = NULL;
	int r = cmd_root(ctx, &root, diag);

	if (r == 0)
		r = holdings_read(ctx, root, &t->holdings, diag);
	for (size_t i = 0; r == 0 && i < t->holdings.n; i++) {
		const struct holding *h = &t->holdings.envs[i];
		const struct env_path p = {.root = h->root, .path = h->path};

		if (strcmp(h->root, root) == 0)
			r = add_row(t, h->path + strlen(root) + 1, &p, diag);
		if (r == -ENOENT)
			r = 0; /* it went meanwhile */
	}
	return r;
}

static uint64_t row_freed(const struct row *row)
{
	return row->private + (row->held ? row->held->unique : 0);
}

/* text */

static const char *human(uint64_t bytes, char ret[16])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double x = (double)bytes;
	size_t unit = 0;

	while (x >= 1023.95 && unit + 1 < sizeof units / sizeof *units) {
		x /= 1024;
		unit++;
	}
	snprintf(ret, 16, unit ? "%.1f %s" : "%.0f %s", x, units[unit]);
	return ret;
}

static void print_row(int width, const char *name, const uint64_t numbers[5])
{
	char text[5][16];

	for (int i = 0; i < 5; i++)
		human(numbers[i], text[i]);
	printf("%-*s  %10s  %10s  %10s  %10s  %10s\n", width, name, text[0], text[1], text[2],
		text[3], text[4]);
}

static void print_table(const struct table *t)
{
	int width = (int)strlen("total");
	char text[4][16];

	for (size_t i = 0; i < t->n; i++) {
		int n = (int)strnlen(t->rows[i].name, 60);

		width = n > width ? n : width;
	}
	if (t->n)
		printf("%-*s  %10s  %10s  %10s  %10s  %10s\n", width, "", "private", "unique",
			"shared", "if removed", "as files");
	for (size_t i = 0; i < t->n; i++) {
		static const struct holding nothing;
		const struct row *row = &t->rows[i];
		const struct holding *h = row->held ? row->held : &nothing;
		const uint64_t numbers[] = {
			row->private, h->unique, h->shared, row_freed(row), row->private + h->size};

		print_row(width, row->name, numbers);
	}
	if (t->n > 1) {
		const uint64_t numbers[] = {t->private, t->sum.freed, t->sum.disk - t->sum.freed,
			t->private + t->sum.freed, t->private + t->sum.size};

		print_row(width, "total", numbers);
	}
	printf("%zu environment%s: %s private, %s in the store, %s of that bytecode; as ordinary "
	       "directories %s\n",
		t->n, plural(t->n), human(t->private, text[0]), human(t->sum.disk, text[1]),
		human(t->sum.derived, text[2]), human(t->private + t->sum.size, text[3]));
}

/* JSON */

static int add_number(struct str *out, const char *key, uint64_t n)
{
	return str_addf(out, ", \"%s\": %llu", key, (unsigned long long)n);
}

static int add_env_json(struct str *out, const struct row *row)
{
	static const struct holding nothing;
	const struct holding *h = row->held ? row->held : &nothing;
	int r = str_add(out, "{\"env\": ");

	if (r == 0)
		r = json_add_string(out, row->path);
	if (r == 0)
		r = str_add(out, ", \"root\": ");
	if (r == 0)
		r = json_add_string(out, h->root);
	if (r == 0)
		r = add_number(out, "private", row->private);
	if (r == 0)
		r = add_number(out, "unique", h->unique);
	if (r == 0)
		r = add_number(out, "shared", h->shared);
	if (r == 0)
		r = add_number(out, "bytecode", h->derived);
	if (r == 0)
		r = add_number(out, "freed", row_freed(row));
	if (r == 0)
		r = add_number(out, "size", h->size);
	if (r == 0)
		r = add_number(out, "distributions", h->n_dists);
	if (r == 0)
		r = add_number(out, "missing", h->n_missing);
	return r < 0 ? r : str_add(out, "}");
}

static int print_json(const struct table *t)
{
	auto_str struct str out = {0};
	int r = str_add(&out, "{\"environments\": [");

	for (size_t i = 0; r == 0 && i < t->n; i++) {
		r = str_add(&out, i ? ",\n " : "\n ");
		if (r == 0)
			r = add_env_json(&out, &t->rows[i]);
	}
	if (r == 0)
		r = str_addf(
			&out, "\n], \"total\": {\"private\": %llu", (unsigned long long)t->private);
	if (r == 0)
		r = add_number(&out, "store", t->sum.disk);
	if (r == 0)
		r = add_number(&out, "bytecode", t->sum.derived);
	if (r == 0)
		r = add_number(&out, "freed", t->private + t->sum.freed);
	if (r == 0)
		r = add_number(&out, "size", t->sum.size);
	if (r == 0)
		r = str_add(&out, "}, \"unseen\": [");
	for (size_t i = 0; r == 0 && i < t->holdings.n_unseen; i++) {
		r = str_add(&out, i ? ", " : "");
		if (r == 0)
			r = json_add_string(&out, t->holdings.unseen[i]);
	}
	if (r == 0)
		r = str_add(&out, "]}\n");
	if (r == 0)
		fputs(out.p, stdout);
	return r;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	struct table t = {0};
	struct diag diag = {0};
	bool json = false;
	const struct cmd_option options[] = {{"json", .flag = &json}, {0}};
	int first = cmd_options(&cmd_du, options, argc, argv), r;

	if (first < 0)
		return -first;
	if (!cmd_store(ctx))
		return 1;
	r = first < argc ? add_named(ctx, &t, argv + first, &diag) : add_all(ctx, &t, &diag);
	if (r == 0) {
		t.sum = holdings_sum(&t.holdings);
		if (json)
			r = print_json(&t);
		else
			print_table(&t);
	}
	for (size_t i = 0; r == 0 && !json && i < t.holdings.n_unseen; i++)
		cmd_fail("%s: what it has of the store is not known, and may be unique here",
			t.holdings.unseen[i]);
	table_free(&t);
	return r < 0 ? cmd_fail("%s", diag_text(&diag, r)) : 0;
}

const struct cmd cmd_du = {
	.name = "du",
	.usage = "du [ENV...] [--json]",
	.summary = "what environments take on the disk, and what removing them would free",
	.help = "Without ENV all of the root are told.\n\n"
		"  private     its own files, as `du -s` of the environment tells them\n"
		"  unique      in the store, for this environment and its earlier locks alone\n"
		"  shared      in the store, for other environments of any root too, or in a\n"
		"              read-only store\n"
		"  if removed  private and unique; the store's part stays there until it is cleaned\n"
		"  as files    what an ordinary directory with the same distributions would take\n\n"
		"  --json      in bytes\n\n"
		"examples: venvfs du\n"
		"          venvfs du web --json\n",
	.run = run,
};
