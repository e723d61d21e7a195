/* SPDX-License-Identifier: MIT */
#include "cmd/cmd.h"

#include "base/json.h"
#include "cmd/harvest.h"

#include <errno.h>
#include <stdio.h>

static void add_list(
	struct str *out, const struct harvest *h, enum harvest_what what, const char *key)
{
	size_t n = 0;

	str_addf(out, ", \"%s\": [", key);
	for (size_t i = 0; i < h->n; i++) {
		const struct harvest_item *x = &h->items[i];
		char hex[DIGEST_HEX + 1];

		if (x->what != what)
			continue;
		str_add(out, n++ ? ", {\"name\": " : "{\"name\": ");
		json_add_string(out, x->name);
		if (what == HARVEST_KEPT) {
			str_add(out, ", \"why\": ");
			json_add_string(out, x->why);
		} else {
			str_add(out, ", \"version\": ");
			json_add_string(out, x->version);
			digest_format(&x->address, hex);
			str_addf(out, ", \"address\": \"sha256:%s\"", hex);
		}
		str_add(out, "}");
	}
	str_add(out, "]");
}

static int print_json(const struct env_path *p, const struct harvest *h)
{
	auto_str struct str out = {0};

	str_add(&out, "{\"env\": ");
	json_add_string(&out, p->path);
	add_list(&out, h, HARVEST_ADDED, "added");
	add_list(&out, h, HARVEST_REMOVED, "removed");
	add_list(&out, h, HARVEST_KEPT, "kept");
	if (str_addf(&out, ", \"dropped_files\": %zu}", h->n_dropped) < 0)
		return -ENOMEM;
	puts(out.p);
	return 0;
}

static int harvest_one(struct cmd_context *ctx, const char *env, bool json, struct diag *diag)
{
	struct env_path p = {0};
	struct harvest h = {0};
	int r = cmd_env_path(ctx, env, &p, diag);

	if (r == 0)
		r = harvest_env(ctx, &p, &h, diag);
	if (r == 0 && json)
		r = print_json(&p, &h);
	else if (r == 0)
		harvest_print(&p, &h);
	harvest_free(&h);
	env_path_free(&p);
	return r;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	bool json = false;
	const struct cmd_option options[] = {{"json", .flag = &json}, {0}};
	int first = cmd_options(&cmd_harvest, options, argc, argv), failed = 0;

	if (first < 0)
		return -first;
	if (first == argc)
		return cmd_usage(&cmd_harvest, "which environment?");
	for (int i = first; i < argc; i++) {
		struct diag diag = {0};
		int r = harvest_one(ctx, argv[i], json, &diag);

		if (r < 0)
			failed = cmd_fail("%s", diag_text(&diag, r));
	}
	return failed;
}

const struct cmd cmd_harvest = {
	.name = "harvest",
	.usage = "harvest ENV... [--json]",
	.summary = "move what pip and other installers put into an environment into the store",
	.help = "A mounted root does it by itself when an environment was left alone for a while (venvfs.conf:\n"
		"[mount] harvest). Whole distributions alone are moved: every file that RECORD lists is there, with\n"
		"the bytes it says. What stays private is told, with the reason.\n\n"
		"example: pip install requests && venvfs harvest demo\n",
	.run = run,
};
