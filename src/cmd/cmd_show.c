/* SPDX-License-Identifier: MIT */
#include "cmd/cmd.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "cmd/env_facts.h"
#include "view/lower.h"

#include <string.h>

struct shown {
	struct env_path path;
	struct env_facts facts;
	struct str conflicts; /* a line each */
};

/* Two distributions that want one path; only where all of them are there. */
static int find_conflicts(struct store *s, struct shown *e, struct diag *diag)
{
	struct interpreter *py = NULL;
	struct lower *l = NULL;
	int r;

	if (e->facts.fault || !e->facts.lock)
		return 0;
	r = interpreter_for_cfg(s, &e->facts.cfg.cfg, &py, diag);
	if (r == 0)
		r = lower_new(s, e->facts.lock, py, false, &l, diag);
	if (r == 0)
		r = lower_conflicts(l, &e->conflicts);
	if (r < 0 && r != -ENOMEM) {
		e->facts.fault = strdup(diag_text(diag, r));
		r = e->facts.fault ? 0 : -ENOMEM;
	}
	if (l)
		lower_unref(l);
	interpreter_unref(py);
	return r;
}

static void print_line(const struct lock_line *l)
{
	printf("  %s %s%s", l->name, l->version, l->requested ? " requested" : "");
	if (l->installer)
		printf(" installer=%s", l->installer);
	if (l->wheel_name)
		printf(" wheel=%s", l->wheel_name);
	putchar('\n');
}

static void print_text(const struct shown *e)
{
	const struct cfg *cfg = &e->facts.cfg.cfg;
	const struct lock *lock = e->facts.lock;
	char hex[DIGEST_HEX + 1];

	printf("environment    %s\n", e->path.path);
	if (e->path.link)
		printf("link           %s\n", e->path.link);
	printf("state          %s\n", env_facts_state(&e->facts));
	if (e->facts.fault)
		printf("fault          %s\n", e->facts.fault);
	if (e->facts.note)
		printf("note           %s\n", e->facts.note);
	printf("python         %s (%s)\n", cfg->version ? cfg->version : "unknown",
		cfg->home ? cfg->home : "no home");
	if (cfg->prompt)
		printf("prompt         %s\n", cfg->prompt);
	if (cfg->home && cfg->system_site)
		puts("system site    yes");
	if (cfg->lock_kind == CFG_LOCK_DIGEST) {
		digest_format(&cfg->lock, hex);
		printf("lock           sha256:%s\n", hex);
	}
	if (lock) {
		printf("distributions  %zu\n", lock->n);
		for (size_t i = 0; i < lock->n; i++)
			print_line(&lock->lines[i]);
	}
	if (e->conflicts.len) {
		puts("conflicts (of one path in several distributions the last one shows)");
		for (const char *p = e->conflicts.p; p && *p; p += strcspn(p, "\n") + 1)
			printf("  %.*s\n", (int)strcspn(p, "\n"), p);
	}
}

static int add_member(struct str *out, const char *name, const char *value)
{
	int r = str_addf(out, ",\n \"%s\": ", name);

	return r == 0 ? json_add_string(out, value) : r;
}

static int add_digest(struct str *out, const char *name, const struct digest *digest)
{
	char text[7 + DIGEST_HEX + 1] = "sha256:";

	if (digest)
		digest_format(digest, text + 7);
	return add_member(out, name, digest ? text : NULL);
}

static int add_line(struct str *out, const struct lock_line *l)
{
	int r = str_add(out, "{\"name\": ");

	if (r == 0)
		r = json_add_string(out, l->name);
	if (r == 0)
		r = add_member(out, "version", l->version);
	if (r == 0)
		r = add_digest(out, "manifest", &l->address);
	if (r == 0)
		r = str_addf(out, ",\n \"requested\": %s", l->requested ? "true" : "false");
	if (r == 0)
		r = add_member(out, "installer", l->installer);
	if (r == 0)
		r = add_digest(out, "origin", l->has_origin ? &l->origin : NULL);
	if (r == 0)
		r = add_member(out, "wheel", l->wheel_name);
	if (r == 0)
		r = add_digest(out, "wheel_digest", l->wheel_name ? &l->wheel : NULL);
	return r == 0 ? str_add(out, "}") : r;
}

static int print_json(const struct shown *e)
{
	const struct cfg *cfg = &e->facts.cfg.cfg;
	const struct lock *lock = e->facts.lock;
	auto_str struct str out = {0};
	int r = str_addf(&out, "{\"state\": \"%s\"", env_facts_state(&e->facts));

	if (r == 0)
		r = add_member(&out, "path", e->path.path);
	if (r == 0)
		r = add_member(&out, "root", e->path.root);
	if (r == 0)
		r = add_member(&out, "fault", e->facts.fault);
	if (r == 0)
		r = add_member(&out, "note", e->facts.note);
	if (r == 0)
		r = add_member(&out, "python", cfg->version);
	if (r == 0)
		r = add_member(&out, "home", cfg->home);
	if (r == 0)
		r = add_member(&out, "prompt", cfg->prompt);
	if (r == 0)
		r = str_addf(&out, ",\n \"system_site_packages\": %s",
			cfg->home && cfg->system_site ? "true" : "false");
	if (r == 0)
		r = add_digest(&out, "lock", cfg->lock_kind == CFG_LOCK_DIGEST ? &cfg->lock : NULL);
	if (r == 0)
		r = str_add(&out, ",\n \"distributions\": [");
	for (size_t i = 0; r == 0 && lock && i < lock->n; i++) {
		r = str_add(&out, i ? ",\n " : "\n ");
		if (r == 0)
			r = add_line(&out, &lock->lines[i]);
	}
	if (r == 0)
		r = str_add(&out, "],\n \"conflicts\": [");
	for (const char *p = e->conflicts.p; r == 0 && p && *p; p += strcspn(p, "\n") + 1) {
		auto_free char *line = strndup(p, strcspn(p, "\n"));

		r = line ? str_add(&out, p == e->conflicts.p ? "\n " : ",\n ") : -ENOMEM;
		if (r == 0)
			r = json_add_string(&out, line);
	}
	if (r == 0)
		r = str_add(&out, "]}\n");
	if (r == 0)
		fputs(out.p, stdout);
	return r;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	struct shown e = {.facts = {.cfg = {.dir = -1}}};
	struct diag diag = {0};
	bool json = false, broken;
	const struct cmd_option options[] = {{"json", .flag = &json}, {0}};
	int first = cmd_options(&cmd_show, options, argc, argv), r;

	if (first < 0)
		return -first;
	if (argc - first != 1)
		return cmd_usage(&cmd_show, "one environment is wanted");
	if (!cmd_store(ctx))
		return 1;
	r = cmd_env_path(ctx, argv[first], &e.path, &diag);
	if (r == 0)
		r = env_facts_read(ctx->store, &e.path, &e.facts, &diag);
	if (r == 0)
		r = find_conflicts(ctx->store, &e, &diag);
	if (r == 0 && json)
		r = print_json(&e);
	else if (r == 0)
		print_text(&e);
	broken = e.facts.fault != NULL;
	env_path_free(&e.path);
	env_facts_free(&e.facts);
	str_free(&e.conflicts);
	if (r < 0)
		return cmd_fail("%s", diag_text(&diag, r));
	return broken ? 1 : 0;
}

const struct cmd cmd_show = {
	.name = "show",
	.usage = "show ENV [--json]",
	.summary = "tell what an environment is made of",
	.help = "Shows its Python, its lock, every distribution in it, paths that several distributions have with\n"
		"different bytes, and what is wrong with it, if anything is (then the exit code is 1).\n\n"
		"example: venvfs show web\n",
	.run = run,
};
