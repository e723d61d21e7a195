/* SPDX-License-Identifier: MIT
 *
 * What the requirements were resolved to is kept as an answer in the store, so that the same
 * command starts at once the next time, with no network and no Python but the one that is run.
 */
#include "cmd/cmd.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cmd/answer.h"
#include "cmd/compile.h"
#include "cmd/resolve.h"
#include "cmd/throwaway.h"

#include <errno.h>
#include <string.h>

enum { SCRIPT_MAX = 16 * 1024 * 1024 };

struct order {
	struct resolve_request q;
	const char *python, *from;
	bool anew;	  /* ask again for what is known */
	struct str block; /* the TOML that a script has about itself */
};

/* The comment block "# /// script" of PEP 723 without its marks. -EINVAL: there are two. */
static int read_block(const char *text, struct str *ret)
{
	static const char begin[] = "# /// script\n", end[] = "# ///\n";
	bool in = false, seen = false;
	struct str block = {0};
	int r = 0;

	for (const char *p = text, *next; r == 0 && p && *p; p = next) {
		size_t n = strcspn(p, "\n") + 1;
		size_t len = n - (n > 1 && p[n - 2] == '\r');

		next = p[n - 1] ? p + n : p + n - 1;
		if (!in) {
			if (len - 1 != sizeof begin - 2 || strncmp(p, begin, sizeof begin - 2) != 0)
				continue;
			if (seen)
				r = -EINVAL;
			in = true;
		} else if (len - 1 == sizeof end - 2 && strncmp(p, end, sizeof end - 2) == 0) {
			in = false;
			seen = true;
			str_free(ret);
			*ret = block;
			block = (struct str){0};
		} else if (p[0] != '#' || (len > 2 && p[1] != ' ')) {
			in = false; /* it was never closed, and is a comment */
			str_truncate(&block, 0);
		} else {
			r = str_add_mem(&block, len > 2 ? p + 2 : "", len > 2 ? len - 3 : 0);
			if (r == 0)
				r = str_add(&block, "\n");
		}
	}
	str_free(&block);
	return r;
}

/* Whether it is a Python script that is to be run, and what it says about itself. */
static int read_script(const char *path, struct order *o, bool *ret, struct diag *diag)
{
	auto_str struct str text = {0};
	int r;

	*ret = str_ends(path, ".py") && access(path, R_OK) == 0;
	if (!*ret)
		return 0;
	r = io_slurp_path(path, SCRIPT_MAX, &text);
	if (r == 0)
		r = read_block(text.p, &o->block);
	if (r == -EINVAL)
		return diag_set(diag, r, "%s: more than one block \"# /// script\"", path);
	return r < 0 ? diag_errno(diag, r, "%s", path) : 0;
}

/* 1: told. */
static int add_block(struct order *o, struct sync *s, struct diag *diag)
{
	auto_free char *file = NULL;
	int r;

	if (!o->block.p)
		return 0;
	r = workdir_make(&s->work, diag);
	if (r == 0)
		r = io_publish_at(s->work.fd, "script.toml", o->block.p, o->block.len, 0600);
	if (r == 0 && asprintf(&file, "%s/script.toml", s->work.path) < 0)
		return file = NULL, -ENOMEM;
	if (r == 0)
		r = chooser_script(&s->chooser, file, &o->q.lines, &s->faults, diag);
	return sync_tell_faults(s) ? 1 : r;
}

static int question(const struct order *o, const struct synced *from, struct str *out)
{
	char hex[DIGEST_HEX + 1] = "";
	int r;

	if (from->lock)
		digest_format(&from->id, hex);
	r = str_addf(out, "run %s\n%s", hex, o->q.lines.p ? o->q.lines.p : "");
	return r == 0 && o->block.p ? str_addf(out, "script\n%s", o->block.p) : r;
}

/* 1: told. */
static int work_out(struct cmd_context *ctx, struct order *o, const struct synced *from,
	struct synced *ret, struct diag *diag)
{
	auto_free char *file = NULL;
	struct sync s;
	int r;

	sync_begin(&s, ctx, o->q.py, o->q.asker);
	r = add_block(o, &s, diag);
	o->q.prefer = from->lock;
	if (r == 0 && o->q.lines.len)
		r = resolve(&o->q, &s.work, &file, diag);
	if (r == 0)
		r = sync_lock(ctx,
			&(struct sync_request){.py = o->q.py,
				.file = file ? file : "what is run",
				.text = file ? NULL : "",
				.kept = from->lock,
				.asker = o->q.asker},
			ret, diag);
	sync_end(&s);
	return r;
}

/* The lock of the environment. 1: told. */
static int find_lock(
	struct cmd_context *ctx, struct order *o, struct synced *ret, struct diag *diag)
{
	auto_str struct str asked = {0};
	struct synced from = {0};
	int r = 0;

	if (o->from)
		r = sync_lock(ctx,
			&(struct sync_request){.py = o->q.py, .file = o->from, .asker = o->q.asker},
			&from, diag);
	if (r == 0 && !o->q.lines.len && !o->block.p) {
		*ret = from;
		return 0;
	}
	if (r == 0)
		r = question(o, &from, &asked);
	if (r == 0) {
		r = o->anew ? -ENOENT
			    : answer_get(ctx->store, asked.p, o->q.py, &ret->id, &ret->lock);
		ret->known = r == 0;
		if (r == -ENOENT) {
			r = work_out(ctx, o, &from, ret, diag);
			if (r == 0)
				r = answer_put(ctx->store, asked.p, o->q.py, ret->lock, ret->lasts,
					&ret->id, diag);
		}
	}
	lock_free(from.lock);
	return r;
}

static int run_it(
	struct cmd_context *ctx, struct order *o, char **argv, int *ret_status, struct diag *diag)
{
	struct synced lock = {0};
	bool script;
	int r = read_script(argv[0], o, &script, diag);

	if (r == 0)
		r = interpreter_find(ctx->store, o->python, &o->q.py, diag);
	if (r == 0)
		r = find_lock(ctx, o, &lock, diag);
	if (r == 0 && lock.lock && !lock.known)
		compile_added(ctx, o->q.py, lock.lock->lines, lock.lock->n, COMPILE_LATER);
	if (r == 0) {
		static char python[] = "python";

		/* its name was in front, behind the options, where there is room for one more */
		if (script)
			*--argv = python;
		r = throwaway_run(
			ctx, o->q.py, lock.lock ? &lock.id : NULL, argv, ret_status, diag);
	}
	lock_free(lock.lock);
	return r;
}

static int add_with(void *arg, const char *requirement, struct diag *diag)
{
	return resolve_add(arg, requirement, diag);
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	struct order o = {.q = {.asker = ASK_BEST}};
	const struct cmd_option options[] = {
		{"python", 'p', .text = &o.python},
		{"with", 'w', .take = add_with, .arg = &o.q},
		{"from", .text = &o.from},
		{"upgrade", 'U', .flag = &o.anew},
		{"ask", .take = index_asker_parse, .arg = &o.q.asker},
		{0},
	};
	int first = cmd_options_before(&cmd_run, options, argc, argv), r = 0, status = 1;
	struct diag diag = {0};

	if (first < 0)
		r = -first;
	else if (first == argc)
		r = cmd_usage(&cmd_run, "a command is wanted");
	else if (!cmd_store(ctx))
		r = 1;
	else
		r = run_it(ctx, &o, argv + first, &status, &diag);
	interpreter_unref(o.q.py);
	resolve_free(&o.q);
	str_free(&o.block);
	return r < 0 ? cmd_fail("%s", diag_text(&diag, r)) : r > 0 ? r : status;
}

static const char *const valued[] = {"-p", "--python", "-w", "--with", "--from", "--ask", NULL};

const struct cmd cmd_run = {
	.name = "run",
	.valued = valued,
	.usage = "run [--python X] [--with REQUIREMENT]... [--from FILE] [-U] [--ask pip|uv] [--] "
		 "COMMAND [ARGUMENT]...",
	.summary = "run a command in an environment of its own, which is gone afterwards",
	.help = "COMMAND is looked for in the environment first. A script NAME.py is run by its python, with what it\n"
		"says it needs (PEP 723). The root must be mounted. The exit status is the command's.\n\n"
		"  -p, --python X          as for create\n"
		"  -w, --with REQUIREMENT  what is in it, with what that needs; may be repeated. It is resolved once and\n"
		"                          then stays at these versions\n"
		"  --from FILE             what a pylock.toml or a requirements.txt with pins says is in it\n"
		"  -U, --upgrade           resolve again\n"
		"  --ask pip|uv            as for sync\n\n"
		"example: venvfs run --with httpx -- python -c 'import httpx'\n",
	.run = run,
};
