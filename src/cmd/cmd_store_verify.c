/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/json.h"
#include "cmd/cmd_store.h"

static const struct cmd self = {.name = "store verify", .usage = "store verify [--json]"};

static void print_fault(void *arg, const char *what)
{
	(void)arg;
	puts(what);
}

static void keep_fault(void *arg, const char *what)
{
	struct str *out = arg;

	/* short of memory, n_bad still counts it */
	if (str_add(out, out->len ? ", " : "") == 0)
		json_add_string(out, what);
}

int cmd_store_verify(struct cmd_context *ctx, int argc, char **argv)
{
	auto_str struct str faults = {0};
	struct verify_stats stats;
	struct diag diag = {0};
	bool json = false;
	const struct cmd_option options[] = {{"json", .flag = &json}, {0}};
	int first = cmd_options(&self, options, argc, argv), r;

	if (first < 0)
		return -first;
	if (first < argc)
		return cmd_usage(&self, "it takes no %s", argv[first]);
	if (!cmd_store(ctx))
		return 1;
	r = store_verify(ctx->store, json ? keep_fault : print_fault, &faults, &stats, &diag);
	if (r < 0)
		return cmd_fail("%s", diag_text(&diag, r));
	if (json)
		printf("{\"distributions\": %zu, \"files\": %zu, \"blobs\": %zu, \"locks\": %zu, "
		       "\"bytes\": %llu, \"bad\": %zu, \"faults\": [%s]}\n",
			stats.n_dists, stats.n_files, stats.n_blobs, stats.n_locks,
			(unsigned long long)stats.bytes, stats.n_bad, faults.p ? faults.p : "");
	else
		printf("%zu distribution%s, %zu file%s, %.1f MB read, %zu fault%s\n", stats.n_dists,
			plural(stats.n_dists), stats.n_files, plural(stats.n_files),
			(double)stats.bytes / 1e6, stats.n_bad, plural(stats.n_bad));
	if (stats.n_bad && !json)
		fputs("Adding the wheel of a damaged distribution again mends it.\n", stderr);
	return stats.n_bad ? 1 : 0;
}
