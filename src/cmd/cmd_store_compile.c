/* SPDX-License-Identifier: MIT */
#include "cmd/cmd_store.h"

#include "base/cleanup.h"
#include "cmd/compile.h"

#include <getopt.h>

static const struct cmd self = {
	.name = "store compile",
	.usage = "store compile [--python X]... [--jobs N] [--background] [NAME...]",
};

static int parse_jobs(const char *text, unsigned *ret)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '1' || *text > '9' || *end || n > 10000)
		return -EINVAL;
	*ret = (unsigned)n;
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

static int find_python(struct cmd_context *ctx, const char *name, struct compile_request *request,
	struct diag *diag)
{
	struct interpreter **more;
	int r;

	more = realloc(request->pythons, (request->n_pythons + 1) * sizeof *more);
	if (!more)
		return -ENOMEM;
	request->pythons = more;
	r = interpreter_find(cmd_store(ctx), name, &more[request->n_pythons], diag);
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
	static const struct option options[] = {
		{"python", required_argument, NULL, 'p'},
		{"jobs", required_argument, NULL, 'j'},
		{"background", no_argument, NULL, 'b'},
		{NULL, 0, NULL, 0},
	};
	struct compile_request request = {0};
	struct diag diag = {0};
	int c, r = 0;

	if (!cmd_store(ctx))
		return 1;
	optind = 0;
	opterr = 0;
	while (r == 0 && (c = getopt_long(argc, argv, "p:j:", options, NULL)) != -1) {
		if (c == 'p') {
			int err = find_python(ctx, optarg, &request, &diag);

			if (err < 0)
				r = cmd_fail("%s", diag_text(&diag, err));
		} else if (c == 'j' && parse_jobs(optarg, &request.jobs) < 0) {
			r = cmd_usage(&self, "--jobs %s: a number of processes is wanted", optarg);
		} else if (c == 'b') {
			request.background = true;
		} else if (c == '?' || c == ':') {
			r = cmd_usage(
				&self, "%s is no option, or lacks its value", argv[optind - 1]);
		}
	}
	request.names = argv + optind;
	request.n_names = (size_t)(argc - optind);
	if (r == 0)
		r = run(ctx, &request);
	while (request.n_pythons)
		interpreter_unref(request.pythons[--request.n_pythons]);
	free(request.pythons);
	return r;
}
