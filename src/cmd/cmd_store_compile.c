/* SPDX-License-Identifier: MIT */
#include "cmd/cmd_store.h"

#include "base/cleanup.h"
#include "cmd/compile.h"

static const struct cmd self = {
	.name = "store compile",
	.usage = "store compile [--python X]... [--jobs N] [--background] [NAME...]",
};

struct order {
	struct cmd_context *ctx;
	struct compile_request request;
};

static int parse_jobs(void *arg, const char *text, struct diag *diag)
{
	unsigned *jobs = arg;
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '1' || *text > '9' || *end || n > 10000)
		return diag_set(diag, -EINVAL, "\"%s\" is no number of processes", text);
	*jobs = (unsigned)n;
	return 0;
}

static void report(const struct compile_totals *t)
{
	if (t->n_dists == 0 && t->n_failed == 0)
		puts("all bytecode is there");
	if (t->n_dists)
		printf("%zu distribution%s compiled, %zu file%s", t->n_dists, plural(t->n_dists),
			t->n_files, plural(t->n_files));
	if (t->n_dists && t->n_uncompiled)
		printf(" (%zu sources do not compile and have none)", t->n_uncompiled);
	if (t->n_dists)
		putchar('\n');
}

static int find_python(void *arg, const char *name, struct diag *diag)
{
	struct order *o = arg;
	struct compile_request *request = &o->request;
	struct store *store = cmd_store(o->ctx);
	struct interpreter **more;
	int r;

	if (!store)
		return diag_set(diag, -EIO, "there is no store");
	more = realloc(request->pythons, (request->n_pythons + 1) * sizeof *more);
	if (!more)
		return -ENOMEM;
	request->pythons = more;
	r = interpreter_find(store, name, &more[request->n_pythons], diag);
	if (r == 0)
		request->n_pythons++;
	return r;
}

static int run(struct cmd_context *ctx, struct compile_request *request)
{
	struct compile_totals totals = {0};
	struct diag diag = {0};
	int r = compile_run(ctx, request, &totals, &diag);

	if (r < 0)
		return cmd_fail("%s", diag_text(&diag, r));
	report(&totals);
	return totals.n_failed ? 1 : 0;
}

int cmd_store_compile(struct cmd_context *ctx, int argc, char **argv)
{
	struct order o = {.ctx = ctx};
	const struct cmd_option options[] = {
		{"python", 'p', .take = find_python, .arg = &o},
		{"jobs", 'j', .take = parse_jobs, .arg = &o.request.jobs},
		{"background", .flag = &o.request.background},
		{0},
	};
	int first = cmd_options(&self, options, argc, argv), r = -first;

	if (first >= 0) {
		o.request.names = argv + first;
		o.request.n_names = (size_t)(argc - first);
		r = cmd_store(ctx) ? run(ctx, &o.request) : 1;
	}
	while (o.request.n_pythons)
		interpreter_unref(o.request.pythons[--o.request.n_pythons]);
	free(o.request.pythons);
	return r;
}
