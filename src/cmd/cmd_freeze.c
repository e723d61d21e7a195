/* SPDX-License-Identifier: MIT
 *
 * The lock as a file that other tools and machines read. A requirements.txt needs nobody; for a
 * pylock.toml the package index is asked where the very files are that the environment was made of.
 */
#include "cmd/cmd.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"
#include "cmd/env_lock.h"
#include "cmd/private.h"
#include "cmd/resolve.h"
#include "cmd/seed.h"

#include <errno.h>
#include <string.h>

enum format { REQUIREMENTS, PYLOCK };

struct freeze {
	struct env_lock e;
	bool all;    /* installers as well */
	bool hashed; /* of every distribution of an index the wheel is known */
	struct sync sync;
};

static bool is_in(const struct freeze *f, const struct lock_line *l)
{
	return f->all || !seed_is(l->name);
}

static int add_pin(const struct freeze *f, const struct lock_line *l, struct str *out)
{
	char hex[DIGEST_HEX + 1];
	int r = str_addf(out, "%s==%s", l->name, l->version);

	if (r == 0 && f->hashed) {
		digest_format(&l->wheel, hex);
		r = str_addf(out, " --hash=sha256:%s", hex);
	}
	return r == 0 ? str_add(out, "\n") : r;
}

static int pins(const struct freeze *f, struct str *out)
{
	const struct lock *lock = f->e.lock;
	int r = 0;

	for (size_t i = 0; r == 0 && lock && i < lock->n; i++)
		if (is_in(f, &lock->lines[i]) && !lock->lines[i].has_origin)
			r = add_pin(f, &lock->lines[i], out);
	return r;
}

/* pip takes a file with hashes for every line or for none. */
static void see_hashes(struct freeze *f)
{
	const struct lock *lock = f->e.lock;

	f->hashed = true;
	for (size_t i = 0; lock && i < lock->n; i++) {
		const struct lock_line *l = &lock->lines[i];

		if (!is_in(f, l) || l->has_origin || l->wheel_name)
			continue;
		f->hashed = false;
		fprintf(stderr,
			"venvfs: which file %s %s came from is not known, so there are no hashes\n",
			l->name, l->version);
	}
}

static int requirements(struct freeze *f)
{
	auto_str struct str out = {0};
	const struct lock *lock = f->e.lock;
	int r = 0;

	for (size_t i = 0; lock && i < lock->n; i++)
		if (is_in(f, &lock->lines[i]) && lock->lines[i].has_origin)
			r = cmd_fail("%s %s came from a URL or a path, which is no pin; `--format "
				     "pylock` can hold it",
				lock->lines[i].name, lock->lines[i].version);
	if (r == 0) {
		see_hashes(f);
		r = pins(f, &out);
	}
	if (r == 0 && out.p)
		fputs(out.p, stdout);
	return r;
}

static const struct want *find_want(const struct wants *wants, const char *name)
{
	for (size_t i = 0; i < wants->n; i++)
		if (strcmp(wants->list[i].name, name) == 0)
			return &wants->list[i];
	return NULL;
}

static int add_member(struct str *out, const char *key, const char *text)
{
	int r = str_addf(out, ", \"%s\": ", key);

	return r == 0 ? json_add_string(out, text) : r;
}

static int add_place(const struct want *w, struct str *out)
{
	char hex[DIGEST_HEX + 1] = "";
	int r = add_member(out, "kind", w->kind == WANT_WHEEL ? "wheel" : "sdist");

	if (w->has_digest)
		digest_format(&w->digest, hex);
	if (r == 0)
		r = add_member(out, "file", w->file);
	if (r == 0)
		r = add_member(out, "sha256", hex);
	if (r == 0)
		r = add_member(out, "url", w->url);
	if (r == 0)
		r = add_member(out, "path", w->path);
	return r == 0 ? str_addf(out, ", \"size\": %llu", (unsigned long long)w->size) : r;
}

/* 1: told. */
static int add_row(struct freeze *f, const struct lock_line *l, struct str *out)
{
	const struct want *w = l->has_origin ? NULL : find_want(&f->sync.wants, l->name);
	auto_str struct str origin = {0};
	int r;

	if (!l->has_origin && (!w || (w->kind != WANT_WHEEL && w->kind != WANT_SDIST)))
		return cmd_fail("%s %s: the package index does not have it", l->name, l->version);
	if (w && l->wheel_name &&
		!(w->kind == WANT_WHEEL && w->has_digest && digest_equal(&w->digest, &l->wheel)))
		return cmd_fail("%s %s: the package index offers %s, and it was made from another "
				"file, %s",
			l->name, l->version, w->file, l->wheel_name);
	if (l->has_origin) {
		r = store_blob_get(f->sync.ctx->store, &l->origin, &origin);
		if (r < 0)
			return r;
	}
	r = str_add(out, out->len ? ",\n{\"name\": " : "[{\"name\": ");
	if (r == 0)
		r = json_add_string(out, l->name);
	if (r == 0)
		r = add_member(out, "version", l->version);
	if (r == 0)
		r = add_member(out, "origin", l->has_origin ? origin.p : NULL);
	if (r == 0)
		r = add_member(out, "installer", l->installer);
	if (r == 0)
		r = str_addf(out, ", \"requested\": %s", l->requested ? "true" : "false");
	if (r == 0 && w)
		r = add_place(w, out);
	return r == 0 ? str_add(out, "}") : r;
}

/* Where the files are. 1: told. */
static int locate(struct freeze *f, struct diag *diag)
{
	struct resolve_request q = {.py = f->e.py, .no_deps = true, .asker = f->sync.asker};
	auto_free char *file = NULL;
	int r;

	see_hashes(f);
	r = pins(f, &q.lines);
	if (r == 0 && q.lines.len)
		r = resolve(&q, &f->sync.work, &file, diag);
	if (r == 0 && file)
		r = chooser_lock(
			&f->sync.chooser, file, NULL, &f->sync.wants, &f->sync.faults, diag);
	resolve_free(&q);
	return r;
}

static int pylock(struct freeze *f, struct diag *diag)
{
	auto_str struct str rows = {0}, text = {0};
	auto_free char *file = NULL;
	int r = locate(f, diag), told = r > 0;

	for (size_t i = 0; r == 0 && f->e.lock && i < f->e.lock->n; i++) {
		if (!is_in(f, &f->e.lock->lines[i]))
			continue;
		r = add_row(f, &f->e.lock->lines[i], &rows);
		told |= r > 0;
		r = r < 0 ? r : 0;
	}
	if (r == 0 && !told)
		r = str_add(&rows, rows.len ? "]\n" : "[]\n");
	if (r == 0 && !told)
		r = workdir_make(&f->sync.work, diag);
	if (r == 0 && !told)
		r = io_publish_at(f->sync.work.fd, "freeze.json", rows.p, rows.len, 0600);
	if (r == 0 && !told && asprintf(&file, "%s/freeze.json", f->sync.work.path) < 0) {
		file = NULL;
		r = -ENOMEM;
	}
	if (r == 0 && !told)
		r = chooser_freeze(&f->sync.chooser, file, &text, &f->sync.faults, diag);
	told |= sync_tell_faults(&f->sync) > 0;
	if (told)
		return 1;
	if (r == 0)
		fputs(text.p, stdout);
	return r;
}

static int freeze(struct cmd_context *ctx, const char *env, enum format format, bool all,
	enum index_asker asker, struct diag *diag)
{
	struct freeze f = {.all = all};
	int r = env_lock_open(ctx, env, true, &f.e, diag);

	if (r < 0)
		return r;
	if (f.e.cfg.cfg.lock_kind == CFG_LOCK_ABSENT) {
		r = diag_set(diag, -EINVAL,
			"%s is an ordinary environment, which has no lock to be written; "
			"`venvfs adopt` gives it one",
			f.e.path.path);
		env_lock_free(&f.e);
		return r;
	}
	sync_begin(&f.sync, ctx, f.e.py, asker);
	r = format == PYLOCK ? pylock(&f, diag) : requirements(&f);
	sync_end(&f.sync);
	if (r == 0)
		private_note_left_out(&f.e.path, f.e.py, f.e.lock);
	env_lock_free(&f.e);
	return r;
}

static int parse_format(void *arg, const char *name, struct diag *diag)
{
	enum format *format = arg;

	if (strcmp(name, "pylock") == 0)
		*format = PYLOCK;
	else if (strcmp(name, "requirements") == 0)
		*format = REQUIREMENTS;
	else
		return diag_set(diag, -EINVAL, "\"%s\" is neither requirements nor pylock", name);
	return 0;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	enum format format = REQUIREMENTS;
	enum index_asker asker = ASK_BEST;
	bool all = false;
	const struct cmd_option options[] = {
		{"format", .take = parse_format, .arg = &format},
		{"all", .flag = &all},
		{"ask", .take = index_asker_parse, .arg = &asker},
		{0},
	};
	int first = cmd_options(&cmd_freeze, options, argc, argv), r;
	struct diag diag = {0};

	if (first < 0)
		return -first;
	if (argc - first != 1)
		return cmd_usage(&cmd_freeze, "an environment is wanted");
	if (!cmd_store(ctx))
		return 1;
	r = freeze(ctx, argv[first], format, all, asker, &diag);
	return r < 0 ? cmd_fail("%s", diag_text(&diag, r)) : r;
}

const struct cmd cmd_freeze = {
	.name = "freeze",
	.usage = "freeze ENV [--format requirements|pylock] [--all] [--ask pip|uv]",
	.summary = "write what an environment has as a lock file",
	.help = "On standard output, as `venvfs sync` reads it. requirements (the default) has a pin a line, with the\n"
		"hash of the wheel it was made from; pylock (PEP 751) also says where the files are, for which the\n"
		"package index is asked, and holds what came from a URL or a repository.\n\n"
		"  --all         pip, setuptools, wheel and uv as well\n"
		"  --ask pip|uv  as for sync\n\n"
		"example: venvfs freeze web --format pylock > pylock.toml\n",
	.run = run,
};
