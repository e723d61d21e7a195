/* SPDX-License-Identifier: MIT
 *
 * Each thing that was ever in somebody's way is one row. What a row needs and what is broken itself
 * is the business of another row: none may fail because of a fault that it is not about.
 */
#include "cmd/doctor.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

static const struct check {
	const char *name;
	void (*run)(struct doctor *d);
} checks[] = {
	{"config", doctor_config},
	{"kernel", doctor_kernel},
	{"fuse-device", doctor_fuse_device},
	{"fusermount", doctor_fusermount},
	{"container", doctor_container},
	{"trial-mount", doctor_trial},
	{"mounts", doctor_mounts},
	{"other-users", doctor_other_users},
	{"allow-other", doctor_allow_other},
	{"store", doctor_own_store},
	{"tiers", doctor_tiers},
	{"apart", doctor_apart},
	{"roots", doctor_roots},
	{"environments", doctor_envs},
	{"variables", doctor_variables},
	{"python", doctor_python},
	{"installers", doctor_installers},
};

void doctor_say(struct doctor *d, enum verdict v, const char *fmt, ...)
{
	struct finding f = {.check = d->check, .verdict = v};
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&f.what, fmt, ap);
	va_end(ap);
	if (n < 0 || array_grow(d->found, d->cap, d->n + 1) < 0) {
		if (n >= 0)
			free(f.what);
		d->out_of_memory = true;
		return;
	}
	d->found[d->n++] = f;
}

void doctor_mend(struct doctor *d, const char *fmt, ...)
{
	struct finding *f = d->n ? &d->found[d->n - 1] : NULL;
	va_list ap;

	if (!f || f->mend)
		return;
	va_start(ap, fmt);
	if (vasprintf(&f->mend, fmt, ap) < 0) {
		f->mend = NULL;
		d->out_of_memory = true;
	}
	va_end(ap);
}

static const char *word(enum verdict v)
{
	return v == VERDICT_OK ? "ok" : v == VERDICT_NOTE ? "note" : "bad";
}

static void print_text(const struct doctor *d)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct finding *f = &d->found[i];

		printf("%-4s  %-12s  %s\n", word(f->verdict), f->check, f->what);
		if (f->mend)
			printf("%20s-> %s\n", "", f->mend);
	}
}

static int print_json(const struct doctor *d)
{
	auto_str struct str out = {0};
	int r = str_add(&out, "[");

	for (size_t i = 0; r == 0 && i < d->n; i++) {
		const struct finding *f = &d->found[i];

		r = str_addf(&out,
			"%s{\"check\": \"%s\", \"verdict\": \"%s\", \"what\": ", i ? ",\n " : "",
			f->check, word(f->verdict));
		if (r == 0)
			r = json_add_string(&out, f->what);
		if (r == 0)
			r = str_add(&out, ", \"mend\": ");
		if (r == 0)
			r = json_add_string(&out, f->mend);
		if (r == 0)
			r = str_add(&out, "}");
	}
	if (r == 0)
		r = str_add(&out, "]\n");
	if (r == 0)
		fputs(out.p, stdout);
	return r;
}

/* A new directory below `dir`: a trial tells of the place in which a root would be. */
static char *new_place(const char *dir)
{
	char *path;

	if (!dir || asprintf(&path, "%s/.venvfs-doctor-XXXXXX", dir) < 0)
		return NULL;
	if (mkdtemp(path))
		return path;
	free(path);
	return NULL;
}

static void find_place(struct doctor *d)
{
	const char *tmp = getenv("TMPDIR");
	auto_free char *parent = d->root ? strdup(d->root) : NULL;
	char *slash = parent ? strrchr(parent, '/') : NULL;

	if (slash) {
		*slash = '\0';
		/* Below a mount it would be private files, or no place for a mount at all. */
		d->place = new_place(parent);
	}
	if (!d->place)
		d->place = new_place(tmp && *tmp == '/' ? tmp : "/tmp");
}

/* With as many of the configured stores below as can be opened. */
static void open_store(struct doctor *d)
{
	const struct config *c = &d->ctx->config;
	auto_free char **below = calloc(c->n_tiers + 1, sizeof *below);
	auto_free char *own = NULL;
	size_t n = 0;

	if (!d->place || !below || asprintf(&own, "%s/store", d->place) < 0) {
		own = NULL;
		return;
	}
	for (size_t i = 0; i <= c->n_tiers; i++) {
		char *path = i ? c->tiers[i - 1] : c->store;
		struct store *try;

		if (!path || store_open(NULL, &path, 1, &try, NULL) < 0)
			continue;
		store_free(try);
		below[n++] = path;
	}
	if (store_open(own, below, n, &d->store, NULL) < 0)
		d->store = NULL;
}

static void examine(struct doctor *d)
{
	const char *root = getenv("VENVFS_ROOT");

	if (d->ctx->config.root || (root && *root))
		(void)cmd_root(d->ctx, &d->root, NULL);
	find_place(d);
	open_store(d);
	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
		d->check = checks[i].name;
		checks[i].run(d);
	}
}

static void doctor_free(struct doctor *d)
{
	store_free(d->store);
	if (d->place)
		(void)io_remove_tree_at(AT_FDCWD, d->place);
	free(d->place);
	free(d->root);
	for (size_t i = 0; i < d->n; i++) {
		free(d->found[i].what);
		free(d->found[i].mend);
	}
	free(d->found);
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	struct doctor d = {.ctx = ctx};
	bool json = false, bad = false;
	const struct cmd_option options[] = {{"json", .flag = &json}, {0}};
	int first = cmd_options(&cmd_doctor, options, argc, argv), r = 0;

	if (first < 0)
		return -first;
	if (first < argc)
		return cmd_usage(&cmd_doctor, "no arguments are taken");
	examine(&d);
	for (size_t i = 0; i < d.n; i++)
		bad = bad || d.found[i].verdict == VERDICT_BAD;
	if (json)
		r = print_json(&d);
	else
		print_text(&d);
	if (d.out_of_memory)
		r = -ENOMEM;
	doctor_free(&d);
	return r < 0 ? cmd_fail("%s", strerror(-r)) : bad;
}

const struct cmd cmd_doctor = {
	.name = "doctor",
	.usage = "doctor [--json]",
	.summary = "what is wrong here, and how to mend it",
	.help = "Looks at the machine, the store, the roots and their environments; a line for each, and below one that\n"
		"is bad what mends it. It changes nothing. Mounting is tried in a directory of its own beside the root.\n"
		"Ends with 1 if anything is bad; a note is nothing bad.\n\n"
		"  --json   a list of {\"check\", \"verdict\": \"ok\", \"note\" or \"bad\", \"what\", \"mend\"}\n\n"
		"example: venvfs doctor\n",
	.any_config = true,
	.run = run,
};
