/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/json.h"
#include "cmd/cmd_store.h"
#include "py/name.h"

#include <string.h>

static const struct cmd self = {.name = "store ls", .usage = "store ls [--json] [NAME]..."};

enum { ADDRESS_SHOWN = 12 };

static bool is_asked_for(const struct found *f, char **names, int n_names)
{
	for (int i = 0; i < n_names; i++) {
		auto_str struct str normal = {0};

		if (name_normalize(names[i], strlen(names[i]), &normal) == 0 &&
			strcmp(f->name, normal.p) == 0)
			return true;
	}
	return n_names == 0;
}

static void print_row(struct cmd_context *ctx, const struct found *f, bool same)
{
	char hex[DIGEST_HEX + 1];

	if (same) { /* one more wheel with the same in it */
		printf("%*s%s\n", 28 + 15 + ADDRESS_SHOWN + 2, "",
			f->wheel_name ? f->wheel_name : "");
		return;
	}
	digest_format(&f->address, hex);
	printf("%-27s %-14s %.*s  %s%s%s\n", f->name, f->version, ADDRESS_SHOWN, hex,
		f->wheel_name ? f->wheel_name : "-", f->tier ? "  in " : "",
		f->tier ? store_path(ctx->store, f->tier) : "");
}

static int add_json(struct cmd_context *ctx, const struct found *f, struct str *out)
{
	char address[DIGEST_HEX + 1], wheel[DIGEST_HEX + 1];
	int r = str_add(out, out->len > 1 ? ",\n {\"name\": " : "{\"name\": ");

	digest_format(&f->address, address);
	digest_format(&f->wheel, wheel);
	if (r == 0)
		r = json_add_string(out, f->name);
	if (r == 0)
		r = str_add(out, ", \"version\": ");
	if (r == 0)
		r = json_add_string(out, f->version);
	if (r == 0)
		r = str_addf(out, ", \"address\": \"sha256:%s\", \"wheel\": ", address);
	if (r == 0)
		r = json_add_string(out, f->wheel_name);
	if (r == 0 && f->wheel_name)
		r = str_addf(out, ", \"wheel_digest\": \"sha256:%s\"", wheel);
	if (r == 0)
		r = str_add(out, ", \"store\": ");
	if (r == 0)
		r = json_add_string(out, store_path(ctx->store, f->tier));
	return r < 0 ? r : str_add(out, "}");
}

int cmd_store_ls(struct cmd_context *ctx, int argc, char **argv)
{
	auto_str struct str out = {0};
	struct found *f = NULL;
	bool json = false;
	const struct cmd_option options[] = {{"json", .flag = &json}, {0}};
	size_t n = 0, last = SIZE_MAX;
	int first = cmd_options(&self, options, argc, argv), r;

	if (first < 0)
		return -first;
	if (!cmd_store(ctx))
		return 1;
	r = store_find(ctx->store, NULL, NULL, &f, &n);
	if (r == 0 && json)
		r = str_add(&out, "[");
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (!is_asked_for(&f[i], argv + first, argc - first))
			continue;
		if (json)
			r = add_json(ctx, &f[i], &out);
		else
			print_row(ctx, &f[i],
				last != SIZE_MAX && digest_equal(&f[last].address, &f[i].address));
		last = i;
	}
	if (r == 0 && json)
		r = str_add(&out, "]");
	if (r == 0 && json)
		puts(out.p);
	found_free(f, n);
	if (r < 0)
		return cmd_fail("the store can not be listed: %s", strerror(-r));
	if (last == SIZE_MAX && argc > first)
		return cmd_fail("%s: nothing of that name is in the store; see `venvfs store ls`",
			argv[first]);
	return 0;
}
