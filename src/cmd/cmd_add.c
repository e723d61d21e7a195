/* SPDX-License-Identifier: MIT
 *
 * As `pip install` in the environment would have it: what is there stays at its version where the
 * new requirements allow it, and what only they need is not marked as asked for.
 */
#include "cmd/cmd.h"

#include "base/cleanup.h"
#include "cmd/env_lock.h"
#include "cmd/resolve.h"

#include <errno.h>
#include <string.h>

static bool named(const char *names, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = names; p && *p; p += strcspn(p, "\n") + 1)
		if (strncmp(p, name, n) == 0 && p[n] == '\n')
			return true;
	return false;
}

/* What has its version already is not taken anew: it may have been built here, or from other files.
 */
static int settle(const struct lock *old, const char *names, struct lock *new)
{
	for (size_t i = 0; i < new->n; i++) {
		struct lock_line *l = &new->lines[i];
		const struct lock_line *was = old ? lock_find(old, l->name) : NULL;

		if (was && !l->has_origin && strcmp(was->version, l->version) == 0) {
			if (lock_set(new, was) < 0)
				return -ENOMEM;
			if (named(names, new->lines[i].name))
				new->lines[i].requested = true;
		} else if (!l->has_origin) {
			l->requested = named(names, l->name) || (was && was->requested);
		}
	}
	return 0;
}

static int prefer(const struct lock *old, const char *anew, struct lock **ret)
{
	struct lock *l = old ? lock_copy(old) : lock_new();

	for (size_t i = l ? l->n : 0; i-- > 0;)
		if (named(anew, l->lines[i].name))
			lock_remove(l, l->lines[i].name);
	*ret = l;
	return l ? 0 : -ENOMEM;
}

/* 1: told already. */
static int add(struct cmd_context *ctx, const char *env, struct resolve_request *q, bool upgrade,
	enum compile_when when, struct diag *diag)
{
	struct workdir work = {.fd = -1};
	auto_free char *file = NULL;
	auto_str struct str names = {0};
	struct lock *preferred = NULL;
	struct synced new = {0};
	struct env_lock e;
	int r = env_lock_open(ctx, env, true, &e, diag);

	if (r < 0)
		return r;
	q->py = e.py;
	r = resolve_names(q, &names, diag);
	if (r == 0)
		r = prefer(e.lock, upgrade ? names.p : NULL, &preferred);
	q->prefer = preferred;
	if (r == 0)
		r = resolve(q, &work, &file, diag);
	if (r == 0)
		r = sync_lock(ctx,
			&(struct sync_request){
				.py = e.py, .file = file, .kept = e.lock, .asker = q->asker},
			&new, diag);
	if (r == 0)
		r = settle(e.lock, names.p ? names.p : "", new.lock);
	if (r == 0)
		r = store_lock_put(ctx->store, new.lock, &new.id, diag);
	if (r == 0)
		r = env_lock_switch(ctx, &e, &new, when, diag);
	if (r > 0)
		cmd_fail("%s stays as it was", e.path.path);
	lock_free(preferred);
	lock_free(new.lock);
	env_lock_free(&e);
	workdir_free(&work);
	return r;
}

static int add_file(void *arg, const char *path, struct diag *diag)
{
	struct resolve_request *q = arg;
	char *real = realpath(path, NULL);
	char **more;

	if (!real)
		return diag_errno(diag, -errno, "%s", path);
	more = realloc(q->files, (q->n_files + 1) * sizeof *more);
	if (!more) {
		free(real);
		return -ENOMEM;
	}
	q->files = more;
	q->files[q->n_files++] = real;
	return 0;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	struct resolve_request q = {.asker = ASK_BEST};
	bool upgrade = false, now = false, never = false;
	const struct cmd_option options[] = {
		{"requirement", 'r', .take = add_file, .arg = &q},
		{"upgrade", 'U', .flag = &upgrade},
		{"no-deps", .flag = &q.no_deps},
		{"compile", .flag = &now},
		{"no-compile", .flag = &never},
		{"ask", .take = index_asker_parse, .arg = &q.asker},
		{0},
	};
	int first = cmd_options(&cmd_add, options, argc, argv), r = 0;
	struct diag diag = {0};

	if (first < 0)
		r = -first;
	else if (first == argc || (first + 1 == argc && !q.n_files))
		r = cmd_usage(&cmd_add, "an environment and a requirement are wanted");
	for (int i = first + 1; r == 0 && i < argc; i++)
		r = resolve_add(&q, argv[i], &diag);
	if (r == 0 && !cmd_store(ctx))
		r = 1;
	else if (r == 0)
		r = add(ctx, argv[first], &q, upgrade, compile_asked(now, never), &diag);
	resolve_free(&q);
	return r < 0 ? cmd_fail("%s", diag_text(&diag, r)) : r;
}

const struct cmd cmd_add = {
	.name = "add",
	.usage = "add ENV REQUIREMENT... [-r FILE]... [-U] [--no-deps] [--compile | --no-compile] "
		 "[--ask pip|uv]",
	.summary = "put distributions into an environment, with what they need",
	.help = "A REQUIREMENT is what pip and uv take: \"requests\", \"django>=5,<6\", \"x @ https://...\", a path of a\n"
		"wheel or of a source tree. uv resolves them where there is one, else pip; what they say reaches you\n"
		"unchanged. What the environment has keeps its version where it can.\n\n"
		"  -r, --requirement FILE  a requirements.txt; may be repeated\n"
		"  -U, --upgrade           the newest of what is named\n"
		"  --no-deps               what is named, and nothing else\n"
		"  --compile, --no-compile, --ask pip|uv   as for sync\n\n"
		"example: venvfs add web 'django>=5' gunicorn\n",
	.run = run,
};
