/* SPDX-License-Identifier: MIT
 *
 * A lock file that was synced before, for this interpreter, has an answer in the store: the lock it
 * means. Then nothing is read but names, and the environment is switched. Installers that the
 * environment has (pip and its kin) stay unless the file names them, as with pip-sync and uv.
 */
#include "cmd/sync.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cmd/answer.h"
#include "cmd/compile.h"
#include "cmd/env_cfg.h"
#include "cmd/lock_diff.h"
#include "cmd/private.h"
#include "cmd/seed.h"

#include <fcntl.h>
#include <getopt.h>
#include <string.h>

enum { FILE_MAX = 64 * 1024 * 1024 };

struct target {
	struct env_path path;
	struct env_cfg cfg;
	struct lock *old;  /* NULL: it has none */
	struct lock *kept; /* lines that stay unless the file names them */
	struct lock *new;
	struct digest id; /* of new */
	bool known;	  /* the answer was there */
};

static int open_target(
	struct cmd_context *ctx, const char *env, struct target *t, struct diag *diag)
{
	int r = cmd_env_path(ctx, env, &t->path, diag);

	if (r == 0)
		r = env_cfg_open(&t->path, &t->cfg, diag);
	if (r == 0 && !t->path.root)
		r = diag_set(diag, -EINVAL,
			"%s lies in no root, so that nothing would show what is put into it; "
			"`venvfs create` makes one that does",
			t->path.path);
	if (r < 0)
		return r;
	t->kept = lock_new();
	if (!t->kept)
		return -ENOMEM;
	if (t->cfg.cfg.lock_kind != CFG_LOCK_DIGEST)
		return 0;
	r = store_lock_get(ctx->store, &t->cfg.cfg.lock, &t->old, diag);
	if (r == -ENOENT) /* what it had can not be told any more; the file tells what it shall have
			   */
		return 0;
	for (size_t i = 0; r == 0 && i < t->old->n; i++) {
		const struct lock_line *l = &t->old->lines[i];

		if (seed_is(l->name) &&
			store_has_dist(ctx->store, l->name, l->version, &l->address) == 0)
			r = lock_set(t->kept, l);
	}
	return r;
}

static int question(const struct sync *s, const struct target *t, struct str *out)
{
	char hex[DIGEST_HEX + 1];
	struct digest id;
	int r = digest_buf(s->text.p ? s->text.p : "", s->text.len, &id);

	if (r < 0)
		return r;
	digest_format(&id, hex);
	r = str_addf(
		out, "sync %s %s\n", str_ends(s->file, ".toml") ? "pylock" : "requirements", hex);
	return r == 0 ? lock_format(t->kept, out) : r;
}

/* All that fails is told, so that a person need not find it one by one. */
static size_t tell_faults(const struct sync *s)
{
	size_t n = 0;

	for (char *p = s->faults.p; p && *p; p += strcspn(p, "\n"), p += *p == '\n') {
		cmd_fail("%.*s", (int)strcspn(p, "\n"), p);
		n++;
	}
	for (size_t i = 0; i < s->wants.n; i++) {
		const struct want *w = &s->wants.list[i];
		char name[300];

		if (w->found)
			continue;
		sync_name(w, name, sizeof name);
		cmd_fail("%s: %s", name, w->fault.text[0] ? w->fault.text : "it can not be had");
		n++;
	}
	return n;
}

static int make_lock(struct sync *s, struct target *t, struct diag *diag)
{
	int r = 0;

	t->new = lock_copy(t->kept);
	if (!t->new)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < s->wants.n; i++) {
		struct want *w = &s->wants.list[i];

		if (w->origin) {
			r = store_blob_put(
				s->ctx->store, w->origin, strlen(w->origin), &w->line.origin);
			w->line.has_origin = r == 0;
		}
		if (r == 0)
			r = lock_set(t->new, &w->line);
	}
	return r < 0 ? diag_errno(diag, r, "can not write the lock into the store") : 0;
}

/* 1: faults are told already. */
static int work_out(struct sync *s, struct target *t, const char *asked, struct diag *diag)
{
	bool missing = false;
	int r = sync_read(s, diag);

	if (r == 0)
		r = sync_find(s, diag);
	if (r == 0)
		r = index_locate(s, diag);
	/* A pin can turn out to be a file that the store has. */
	if (r == 0)
		r = sync_find(s, diag);
	if (r == 0)
		r = sync_get(s, diag);
	for (size_t i = 0; i < s->wants.n; i++)
		missing |= !s->wants.list[i].found;
	if (r == -EINVAL && s->faults.len) {
		/* what was not tried is no fault */
		wants_free(&s->wants);
		missing = true;
		r = 0;
	}
	if (r < 0)
		return r;
	if (missing)
		return tell_faults(s) > 0;
	r = make_lock(s, t, diag);
	if (r == 0)
		r = answer_put(s->ctx->store, asked, s->py, t->new, s->wants.lasts, &t->id, diag);
	return r;
}

static bool is_same(const struct target *t)
{
	const struct cfg *cfg = &t->cfg.cfg;

	if (t->new->n == 0 && cfg->lock_kind == CFG_LOCK_NONE)
		return true;
	return cfg->lock_kind == CFG_LOCK_DIGEST && digest_equal(&cfg->lock, &t->id);
}

static void report(const struct target *t)
{
	struct lock_diff d = lock_diff_print(t->old, t->new);

	printf("%s: %zu distribution%s", t->path.path, t->new->n, plural(t->new->n));
	if (!d.n_added && !d.n_removed && !d.n_changed)
		printf(", as before");
	if (d.n_added)
		printf(", %zu added", d.n_added);
	if (d.n_removed)
		printf(", %zu removed", d.n_removed);
	if (d.n_changed)
		printf(", %zu changed", d.n_changed);
	putchar('\n');
}

static int sync_env(
	struct sync *s, const char *env, enum compile_when when, bool *told, struct diag *diag)
{
	struct target t = {.cfg = {.dir = -1}};
	auto_str struct str asked = {0};
	int r = open_target(s->ctx, env, &t, diag);

	if (r == 0) {
		r = io_slurp_at(AT_FDCWD, s->file, FILE_MAX, &s->text);
		if (r < 0)
			diag_errno(diag, r, "%s", s->file);
	}
	if (r == 0)
		r = env_cfg_interpreter(s->ctx->store, &t.cfg, &s->py, diag);
	if (r == 0)
		r = question(s, &t, &asked);
	if (r == 0) {
		s->chooser.py = s->py;
		r = answer_get(s->ctx->store, asked.p, s->py, &t.id, &t.new);
		t.known = r == 0;
		if (r == -ENOENT)
			r = work_out(s, &t, asked.p, diag);
	}
	if (r > 0) {
		*told = true;
		cmd_fail("%s stays as it was", t.path.path);
	}
	if (r == 0 && !is_same(&t))
		r = env_cfg_switch(&t.cfg, &t.path, &t.id, diag);
	if (r == 0) {
		report(&t);
		private_note(&t.path, s->py, t.new);
	}
	if (r == 0 && (!t.known || when == COMPILE_NOW)) {
		fflush(stdout);
		compile_added(s->ctx, s->py, t.new->lines, t.new->n, when);
	}
	lock_free(t.old);
	lock_free(t.kept);
	lock_free(t.new);
	env_cfg_free(&t.cfg);
	env_path_free(&t.path);
	return r;
}

static int sync_run(struct cmd_context *ctx, const char *env, const char *file,
	enum compile_when when, enum index_asker asker)
{
	struct sync s = {.ctx = ctx, .file = file, .asker = asker, .work = {.fd = -1}};
	struct diag diag = {0};
	bool told = false;
	int r;

	s.chooser = (struct chooser){
		.store = ctx->store, .work = &s.work, .fetch = index_fetch_library, .arg = &s};
	r = sync_env(&s, env, when, &told, &diag);
	chooser_free(&s.chooser);
	workdir_free(&s.work);
	wants_free(&s.wants);
	str_free(&s.text);
	str_free(&s.options);
	str_free(&s.faults);
	interpreter_unref(s.py);
	if (r < 0)
		return cmd_fail("%s", diag_text(&diag, r));
	return told;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	static const struct option options[] = {
		{"compile", no_argument, NULL, 'c'},
		{"no-compile", no_argument, NULL, 'n'},
		{"ask", required_argument, NULL, 'a'},
		{NULL, 0, NULL, 0},
	};
	enum compile_when when = COMPILE_LATER;
	enum index_asker asker = ASK_BEST;
	int c;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'c')
			when = COMPILE_NOW;
		else if (c == 'n')
			when = COMPILE_NEVER;
		else if (c == 'a' && strcmp(optarg, "pip") == 0)
			asker = ASK_PIP;
		else if (c == 'a' && strcmp(optarg, "uv") == 0)
			asker = ASK_UV;
		else
			return cmd_usage(
				&cmd_sync, "%s is no option, or lacks its value", argv[optind - 1]);
	}
	if (argc - optind != 2)
		return cmd_usage(&cmd_sync, "an environment and a lock file are wanted");
	if (!cmd_store(ctx))
		return 1;
	return sync_run(ctx, argv[optind], argv[optind + 1], when, asker);
}

const struct cmd cmd_sync = {
	.name = "sync",
	.usage = "sync ENV FILE [--compile | --no-compile] [--ask pip|uv]",
	.summary = "make an environment have exactly what a lock file says",
	.help = "FILE is a pylock.toml (PEP 751), or a requirements.txt whose every line is "
		"pinned, with hashes or "
		"without.\n"
		"What the store does not have is downloaded; a source is built with pip. "
		"Everything is there "
		"before the\n"
		"environment is switched, in one step; if anything fails it stays as it was. pip, "
		"setuptools, "
		"wheel and uv\n"
		"stay in it unless FILE names them.\n\n"
		"  --compile      wait for bytecode (default: it is made in the background)\n"
		"  --no-compile   make none\n"
		"  --ask pip|uv   who is asked for what FILE tells no address of; default: uv "
		"where there is one,\n"
		"                 but pip where only pip's configuration names an index\n\n"
		"example: venvfs sync web pylock.toml\n",
	.run = run,
};
