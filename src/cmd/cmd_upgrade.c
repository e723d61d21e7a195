/* SPDX-License-Identifier: MIT
 *
 * What the new Python can use stays as it is, byte for byte; for the rest another wheel of the same
 * name and version is wanted. All is in the store before pyvenv.cfg is replaced, once.
 */
#include "cmd/cmd.h"

#include "base/cleanup.h"
#include "cmd/env_lock.h"
#include "cmd/lock_diff.h"
#include "cmd/private.h"
#include "cmd/seed.h"
#include "cmd/want.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct move {
	struct env_lock env; /* its `py`: as pyvenv.cfg tells */
	struct interpreter *to;
	struct lock *kept;
	struct str pins;  /* of what needs another wheel */
	size_t n_missing; /* told already */
};

static int open_env(struct cmd_context *ctx, const char *env, struct move *m, struct diag *diag)
{
	struct env_lock *e = &m->env;
	int r = env_lock_read(ctx, env, true, e, diag);

	if (r < 0)
		return r;
	if (e->cfg.cfg.lock_kind == CFG_LOCK_ABSENT)
		return diag_set(diag, -EINVAL,
			"%s is an ordinary environment, which has no lock to be moved by; "
			"`venvfs adopt` gives it one",
			e->path.path);
	if (e->cfg.cfg.lock_kind == CFG_LOCK_DIGEST && !e->lock)
		return diag_set(diag, -ENOENT,
			"%s: its lock is not in the store, so that nothing tells what is to be "
			"moved; `venvfs undo` goes back to one that is",
			e->path.path);
	if (!e->lock && !(e->lock = lock_new()))
		return -ENOMEM;
	return interpreter_for_cfg(ctx->store, &e->cfg.cfg, &e->py, diag);
}

/* The one asked for; else the one it has, as that is now; else another of its minor version. */
static int choose(struct cmd_context *ctx, const char *python, struct move *m, struct diag *diag)
{
	const struct interpreter *from = m->env.py;
	auto_free char *like = NULL;
	int r;

	if (python) {
		r = interpreter_find(ctx->store, python, &m->to, diag);
	} else if (access(from->executable, X_OK) == 0) {
		r = interpreter_find(ctx->store, from->executable, &m->to, diag);
	} else {
		if (asprintf(&like, "%s%d.%d%s", strcmp(from->implementation, "pypy") ? "" : "pypy",
			    from->major, from->minor, strchr(from->abiflags, 't') ? "t" : "") < 0)
			return like = NULL, -ENOMEM;
		r = interpreter_find(ctx->store, like, &m->to, diag);
	}
	if (r == 0 && !m->to->n_tags)
		r = diag_set(diag, -ENOEXEC,
			"%s has no pip, so that it can not be told which wheels it accepts",
			m->to->executable);
	return r;
}

static bool can_use(struct store *s, const struct interpreter *py, const struct lock_line *l)
{
	struct dist *d = NULL;
	bool fits;

	if (store_dist(s, l->name, l->version, &l->address, &d, NULL) < 0)
		return false;
	fits = d->manifest->n_tags == 0;
	for (size_t i = 0; i < d->manifest->n_tags && !fits; i++)
		fits = want_tag_rank(py, d->manifest->tags[i]) >= 0;
	dist_unref(d);
	return fits;
}

static int sort_out(struct cmd_context *ctx, struct move *m)
{
	int r = 0;

	m->kept = lock_new();
	if (!m->kept)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < m->env.lock->n; i++) {
		const struct lock_line *l = &m->env.lock->lines[i];

		if (can_use(ctx->store, m->to, l)) {
			r = lock_set(m->kept, l);
		} else if (l->has_origin) {
			cmd_fail("%s %s: it was installed from an address of its own for another "
				 "Python; remove it, and install it again afterwards",
				l->name, l->version);
			m->n_missing++;
		} else {
			r = str_addf(&m->pins, "%s==%s\n", l->name, l->version);
		}
	}
	return r;
}

/* An old pip need not run in a newer Python: as with `venv --upgrade`, its own is put there. */
static int renew_pip(struct cmd_context *ctx, struct move *m)
{
	const struct lock_line *has = lock_find(m->kept, "pip"), *own;
	struct lock *seed = NULL;
	struct digest id;
	int r = 0;

	if (!has || (m->env.py->major == m->to->major && m->env.py->minor == m->to->minor) ||
		seed_lock(ctx, m->to, &id, &seed, NULL) < 0)
		return 0;
	own = lock_find(seed, "pip");
	if (own && strverscmp(own->version, has->version) > 0)
		r = lock_set(m->kept, own);
	lock_free(seed);
	return r;
}

/* Another wheel is no other wish. */
static void keep_marks(const struct lock *old, struct lock *new)
{
	for (size_t i = 0; i < new->n; i++) {
		const struct lock_line *was = lock_find(old, new->lines[i].name);

		if (was && !digest_equal(&was->address, &new->lines[i].address))
			new->lines[i].requested = was->requested;
	}
}

static void tell_private(const struct move *m)
{
	auto_close int upper = cmd_open_upper(&m->env.path, NULL);
	struct stat st;

	if (upper < 0)
		return;
	if (strcmp(m->env.py->lib, m->to->lib) != 0 &&
		fstatat(upper, m->env.py->lib, &st, AT_SYMLINK_NOFOLLOW) == 0)
		cmd_fail("%s/%s has private files, which stay there; Python %d.%d does not look "
			 "into it",
			m->env.path.path, m->env.py->lib, m->to->major, m->to->minor);
	if (fstatat(upper, "bin/python", &st, AT_SYMLINK_NOFOLLOW) == 0)
		cmd_fail("%s/bin/python is a file of its own and stays what it is; `venvfs reset "
			 "%s bin/python` gives it the new Python's",
			m->env.path.path, m->env.path.path);
	private_note(&m->env.path, m->to, m->kept);
}

/* 1: told already. */
static int upgrade(struct cmd_context *ctx, const char *env, const char *python,
	enum index_asker asker, enum compile_when when, struct move *m, struct diag *diag)
{
	struct synced new = {0};
	int r = open_env(ctx, env, m, diag);

	if (r == 0)
		r = choose(ctx, python, m, diag);
	if (r == 0)
		r = sort_out(ctx, m);
	if (r == 0)
		r = renew_pip(ctx, m);
	if (r == 0)
		r = sync_lock(ctx,
			&(struct sync_request){.py = m->to,
				.file = "the lock",
				.text = m->pins.p ? m->pins.p : "",
				.kept = m->kept,
				.asker = asker},
			&new, diag);
	if (r >= 0 && m->n_missing)
		r = 1;
	if (r == 0)
		keep_marks(m->env.lock, new.lock);
	if (r == 0 && new.lock->n)
		r = store_lock_put(ctx->store, new.lock, &new.id, diag);
	if (r == 0)
		r = env_cfg_rebase(
			&m->env.cfg, &m->env.path, m->to, new.lock->n ? &new.id : NULL, diag);
	if (r > 0)
		cmd_fail("%s stays as it was", m->env.path.path);
	if (r == 0) {
		lock_diff_print(m->env.lock, new.lock);
		printf("%s: Python %s -> %s, %zu distribution%s\n", m->env.path.path,
			m->env.cfg.cfg.version ? m->env.cfg.cfg.version : "?", m->to->version,
			new.lock->n, plural(new.lock->n));
		tell_private(m);
		fflush(stdout);
		compile_added(ctx, m->to, new.lock->lines, new.lock->n, when);
	}
	lock_free(new.lock);
	return r;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	enum index_asker asker = ASK_BEST;
	bool now = false, never = false;
	const char *python = NULL;
	const struct cmd_option options[] = {
		{"python", 'p', .text = &python},
		{"compile", .flag = &now},
		{"no-compile", .flag = &never},
		{"ask", .take = index_asker_parse, .arg = &asker},
		{0},
	};
	int first = cmd_options(&cmd_upgrade, options, argc, argv), r;
	struct move m = {.env = {.cfg = {.dir = -1}}};
	struct diag diag = {0};

	if (first < 0)
		return -first;
	if (argc - first != 1)
		return cmd_usage(&cmd_upgrade, "one environment is wanted");
	if (!cmd_store(ctx))
		return 1;
	r = upgrade(ctx, argv[first], python, asker, compile_asked(now, never), &m, &diag);
	interpreter_unref(m.to);
	lock_free(m.kept);
	str_free(&m.pins);
	env_lock_free(&m.env);
	if (r < 0)
		return cmd_fail("%s", diag_text(&diag, r));
	return r;
}

const struct cmd cmd_upgrade = {
	.name = "upgrade",
	.usage = "upgrade ENV [--python X] [--compile | --no-compile] [--ask pip|uv]",
	.summary = "move an environment to another Python",
	.help = "Everything in its lock stays at its version; where the new Python needs another wheel, that is taken\n"
		"from the store or downloaded. If anything can not be had, all of it is named and the environment\n"
		"stays as it was. Only pip becomes that of the new Python where it is newer. Private files stay where\n"
		"they are. `venvfs undo` takes back what is installed, not the Python: upgrade to the old one again.\n\n"
		"  -p, --python X   a version, a name in PATH or a path; default: the Python it has, as that is now,\n"
		"                   or where that is gone another of the same minor version\n"
		"  --compile        wait for bytecode (default: it is made in the background)\n"
		"  --no-compile     make none\n"
		"  --ask pip|uv     who is asked for wheels that the store does not have\n\n"
		"example: venvfs upgrade web --python 3.13\n",
	.run = run,
};
