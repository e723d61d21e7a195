/* SPDX-License-Identifier: MIT */
#include "cmd/cmd.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "cmd/env_facts.h"
#include "cmd/envs.h"

#include <string.h>

struct row {
	char *name;
	struct env_facts facts;
};

struct listing {
	struct store *store;
	const char *root;
	struct row *rows;
	size_t n, cap;
	struct diag *diag;
};

static void listing_free(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->rows[i].name);
		env_facts_free(&l->rows[i].facts);
	}
	free(l->rows);
}

static int add(void *arg, const char *name)
{
	struct listing *l = arg;
	struct row row = {0};
	auto_free char *path = NULL;
	struct env_path p = {0};
	int r = array_grow(l->rows, l->cap, l->n + 1);

	if (r < 0)
		return r;
	if (asprintf(&path, "%s/%s", l->root, name) < 0)
		return path = NULL, -ENOMEM;
	p.path = path;
	r = env_facts_read(l->store, &p, &row.facts, l->diag);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	/* A thousand of them shall not need a thousand descriptors. */
	cleanup_close(&row.facts.cfg.dir);
	row.facts.cfg.dir = -1;
	row.name = strdup(name);
	if (!row.name) {
		env_facts_free(&row.facts);
		return -ENOMEM;
	}
	l->rows[l->n++] = row;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static int print_json(const struct listing *l)
{
	auto_str struct str out = {0};
	int r = str_add(&out, "{\"root\": ");

	if (r == 0)
		r = json_add_string(&out, l->root);
	if (r == 0)
		r = str_add(&out, ", \"environments\": [");
	for (size_t i = 0; r == 0 && i < l->n; i++) {
		const struct row *row = &l->rows[i];

		r = str_add(&out, i ? ",\n {\"name\": " : "\n {\"name\": ");
		if (r == 0)
			r = json_add_string(&out, row->name);
		if (r == 0)
			r = str_add(&out, ", \"python\": ");
		if (r == 0)
			r = json_add_string(&out, row->facts.cfg.cfg.version);
		if (r == 0)
			r = str_addf(&out, ", \"distributions\": %zu, \"state\": \"%s\"",
				row->facts.lock ? row->facts.lock->n : 0,
				env_facts_state(&row->facts));
		if (r == 0)
			r = str_add(&out, ", \"fault\": ");
		if (r == 0)
			r = json_add_string(&out, row->facts.fault);
		if (r == 0)
			r = str_add(&out, "}");
	}
	if (r == 0)
		r = str_add(&out, "\n]}\n");
	if (r == 0)
		fputs(out.p, stdout);
	return r;
}

static void print_table(const struct listing *l)
{
	int width = 0;

	for (size_t i = 0; i < l->n; i++) {
		int n = (int)strnlen(l->rows[i].name, 60);

		width = n > width ? n : width;
	}
	for (size_t i = 0; i < l->n; i++) {
		const struct env_facts *f = &l->rows[i].facts;

		printf("%-*s  %-8s %5zu  %s%s%s\n", width, l->rows[i].name,
			f->cfg.cfg.version ? f->cfg.cfg.version : "?", f->lock ? f->lock->n : 0,
			env_facts_state(f), f->fault ? ": " : "", f->fault ? f->fault : "");
	}
}

static int list(struct cmd_context *ctx, const char *dir, bool json)
{
	struct diag diag = {0};
	struct listing l = {.store = ctx->store, .diag = &diag};
	auto_free char *root = NULL;
	int r = 0;

	if (dir) {
		root = realpath(dir, NULL);
		r = root ? 0 : diag_errno(&diag, -errno, "%s", dir);
	} else {
		r = cmd_root(ctx, &root, &diag);
	}
	if (r == 0) {
		l.root = root;
		r = envs_each(root, add, &l, &diag);
		if (r == -ENOENT && !dir)
			r = 0; /* not made yet */
	}
	if (l.n)
		qsort(l.rows, l.n, sizeof *l.rows, by_name);
	if (r == 0 && json)
		r = print_json(&l);
	else if (r == 0)
		print_table(&l);
	listing_free(&l);
	return r < 0 ? cmd_fail("%s", diag_text(&diag, r)) : 0;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	bool json = false;
	const struct cmd_option options[] = {{"json", .flag = &json}, {0}};
	int first = cmd_options(&cmd_ls, options, argc, argv);

	if (first < 0)
		return -first;
	if (argc - first > 1)
		return cmd_usage(&cmd_ls, "one directory at most is wanted");
	if (!cmd_store(ctx))
		return 1;
	return list(ctx, argv[first], json);
}

const struct cmd cmd_ls = {
	.name = "ls",
	.usage = "ls [DIR] [--json]",
	.summary = "list the environments of a root",
	.help = "Shows name, Python, number of distributions and state of each environment in DIR (default: the\n"
		"root). \"ordinary\" is one without a lock: all that is in it is its own files.\n\n"
		"example: venvfs ls --json\n",
	.run = run,
};
