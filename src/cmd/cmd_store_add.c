/* SPDX-License-Identifier: MIT
 *
 * All wheels are one batch: they are unpacked on all cores, and one commit makes them durable. So a
 * store that is killed meanwhile has all of them or none.
 */
#include "cmd/cmd_store.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "cmd/compile.h"
#include "cmd/progress.h"
#include "py/wheel.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

CLEANUP_DEFINE(ingest, ingest_free)

static const struct cmd self = {
	.name = "store add",
	.usage = "store add [--compile|--no-compile] [--json] WHEEL...",
};

struct added {
	const char *path;
	struct wheel_name name;
	struct digest address, wheel;
	bool good;
};

struct adding {
	struct added *wheels;
	size_t n, n_done, n_bad;
	uint64_t total;
	_Atomic uint64_t moved;
};

static void show(struct adding *a)
{
	progress_show("adding %zu of %zu wheels, %llu of %llu MB", a->n_done, a->n,
		(unsigned long long)a->moved / 1000000, (unsigned long long)a->total / 1000000);
}

static void moved(void *arg, uint64_t bytes)
{
	struct adding *a = arg;

	a->moved += bytes;
}

static void done(void *arg, const struct wheel_result *result)
{
	struct adding *a = arg;
	struct added *w = result->tag;
	struct diag diag = {0};
	int r = result->err;

	a->n_done++;
	if (r == 0)
		r = wheel_name_parse(path_base(w->path), &w->name, &diag);
	else
		diag = *result->diag;
	if (r < 0) {
		a->n_bad++;
		cmd_fail("%s", diag_text(&diag, r));
	} else {
		w->good = true;
		w->address = result->address;
		w->wheel = result->wheel;
	}
	show(a);
}

static int add_all(struct cmd_context *ctx, struct adding *a, struct diag *diag)
{
	const struct wheel_watch watch = {.moved = moved, .done = done, .arg = a};
	auto_of(ingest) struct ingest *in = NULL;
	struct wheel_pool *pool;
	int r = ingest_begin(ctx->store, &in, diag);

	if (r == 0)
		r = wheel_pool_new(in, 0, &watch, &pool);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < a->n; i++)
		r = wheel_pool_add(pool, a->wheels[i].path, NULL, true, &a->wheels[i]);
	wheel_pool_finish(pool);
	if (r == 0)
		r = ingest_commit(in, diag);
	progress_clear();
	return r;
}

static int compile_all(struct cmd_context *ctx, const struct adding *a, enum compile_when when)
{
	auto_free struct lock_line *lines = calloc(a->n, sizeof *lines);
	size_t n = 0;

	if (!lines)
		return -ENOMEM;
	for (size_t i = 0; i < a->n; i++)
		if (a->wheels[i].good)
			lines[n++] = (struct lock_line){
				.name = a->wheels[i].name.name,
				.version = a->wheels[i].name.version,
				.address = a->wheels[i].address,
			};
	return n ? compile_added(ctx, NULL, lines, n, when) : 0;
}

static int print_json(const struct adding *a)
{
	auto_str struct str out = {0};
	int r = str_add(&out, "[");
	bool first = true;

	for (size_t i = 0; r == 0 && i < a->n; i++) {
		const struct added *w = &a->wheels[i];
		char address[DIGEST_HEX + 1], wheel[DIGEST_HEX + 1];

		if (!w->good)
			continue;
		digest_format(&w->address, address);
		digest_format(&w->wheel, wheel);
		r = str_add(&out, first ? "{\"wheel\": " : ",\n {\"wheel\": ");
		if (r == 0)
			r = json_add_string(&out, path_base(w->path));
		if (r == 0)
			r = str_add(&out, ", \"name\": ");
		if (r == 0)
			r = json_add_string(&out, w->name.name);
		if (r == 0)
			r = str_add(&out, ", \"version\": ");
		if (r == 0)
			r = json_add_string(&out, w->name.version);
		if (r == 0)
			r = str_addf(&out,
				", \"address\": \"sha256:%s\", \"wheel_digest\": \"sha256:%s\"}",
				address, wheel);
		first = false;
	}
	if (r == 0)
		r = str_add(&out, "]");
	if (r == 0)
		puts(out.p);
	return r;
}

static int run(struct cmd_context *ctx, char **paths, size_t n, enum compile_when when, bool json)
{
	struct adding a = {.n = n, .wheels = calloc(n, sizeof *a.wheels)};
	struct diag diag = {0};
	int r = a.wheels ? 0 : -ENOMEM, code;

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct stat st;

		a.wheels[i].path = paths[i];
		if (stat(paths[i], &st) == 0) /* else its turn comes to be named */
			a.total += (uint64_t)st.st_size;
	}
	if (r == 0)
		r = add_all(ctx, &a, &diag);
	if (r == 0 && json)
		r = print_json(&a);
	else if (r == 0 && a.n_bad < n)
		printf("%zu wheel%s in the store\n", n - a.n_bad, plural(n - a.n_bad));
	if (r == 0)
		compile_all(ctx, &a, when); /* what fails was told, and is no fault of the wheels */
	code = r < 0 ? cmd_fail("%s", diag_text(&diag, r)) : a.n_bad ? 1 : 0;
	for (size_t i = 0; a.wheels && i < n; i++)
		wheel_name_free(&a.wheels[i].name);
	free(a.wheels);
	return code;
}

int cmd_store_add(struct cmd_context *ctx, int argc, char **argv)
{
	bool now = false, never = false, json = false;
	const struct cmd_option options[] = {
		{"compile", .flag = &now},
		{"no-compile", .flag = &never},
		{"json", .flag = &json},
		{0},
	};
	int first = cmd_options(&self, options, argc, argv);

	if (first < 0)
		return -first;
	if (first == argc)
		return cmd_usage(&self, "which wheels?");
	if (!cmd_store(ctx))
		return 1;
	return run(ctx, argv + first, (size_t)(argc - first), compile_asked(now, never), json);
}
