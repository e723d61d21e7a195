/* SPDX-License-Identifier: MIT
 *
 * A new environment is a directory, pyvenv.cfg, and, with --copies, files of its own in bin/. One
 * that is there already gets another pyvenv.cfg in one step: first what it shall be, then what is
 * private is put away, so that killed at any point it is the old one or the new one, with files of
 * the old one left at worst, and the same command ends the work. What is no environment of ours is
 * never touched without --clear.
 */
#include "cmd/creation.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cmd/compile.h"
#include "cmd/env_cfg.h"
#include "cmd/env_python.h"
#include "cmd/env_reset.h"
#include "cmd/harvest.h"
#include "cmd/private.h"
#include "cmd/seed.h"
#include "cmd/sync.h"
#include "py/scheme.h"
#include "view/generate.h"
#include "view/whiteout.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

void creation_free(struct creation *c)
{
	interpreter_unref(c->py);
	lock_free(c->lock);
	c->py = NULL;
	c->lock = NULL;
}

/* what is in it */

/* *ret NULL: nothing. */
static int seeds_for(struct cmd_context *ctx, const struct creation *c, struct interpreter *py,
	struct digest *ret_id, struct lock **ret, struct diag *diag)
{
	static char *const core[] = {(char *)"pip", (char *)"setuptools"};
	bool newest = c->options.upgrade_deps;

	*ret = NULL;
	if (c->n_seeds)
		return seed_named(ctx, py, c->seeds, c->n_seeds, newest, ret_id, ret, diag);
	if (c->options.without_pip)
		return 0;
	if (newest)
		return seed_named(ctx, py, core, py->minor < 12 ? 2 : 1, true, ret_id, ret, diag);
	return seed_lock(ctx, py, ret_id, ret, diag);
}

/* The lock becomes what the file says, and what of it is an installer. 1: told already. */
static int take_file(struct cmd_context *ctx, const struct creation *c, struct interpreter *py,
	struct lock **lock, struct digest *id, struct diag *diag)
{
	struct synced new = {0};
	int r = sync_lock(ctx,
		&(struct sync_request){.py = py, .file = c->from, .kept = *lock, .asker = ASK_BEST},
		&new, diag);

	if (r != 0)
		return r;
	lock_free(*lock);
	*lock = new.lock;
	*id = new.id;
	if (!new.known)
		compile_added(ctx, py, new.lock->lines, new.lock->n, COMPILE_LATER);
	return 0;
}

static int find_base(struct cmd_context *ctx, struct creation *c, struct diag *diag)
{
	int r;

	if (c->py)
		return 0;
	r = interpreter_find(ctx->store, c->python, &c->py, diag);
	if (r == 0)
		r = seeds_for(ctx, c, c->py, &c->id, &c->lock, diag);
	if (r == 0 && c->from)
		r = take_file(ctx, c, c->py, &c->lock, &c->id, diag);
	c->failed = r != 0;
	if (c->failed)
		creation_free(c);
	return r;
}

struct seeding {
	struct lock *seeds;
	int r;
};

static void leave_private(void *arg, const char *name, bool uninstalled)
{
	struct seeding *s = arg;

	if (!uninstalled)
		lock_remove(s->seeds, name);
}

/* As ensurepip --upgrade: what is there and not older stays. */
static int add_seeds(const struct env_path *p, const struct interpreter *py, struct lock *lock,
	const struct lock *seeds, bool *ret_changed, struct diag *diag)
{
	struct seeding s = {.seeds = lock_copy(seeds)};
	auto_close int upper = cmd_open_upper(p, diag);
	auto_str struct str site = {0};
	int r = !s.seeds ? -ENOMEM : upper < 0 ? upper : scheme_dir(py, TREE_SITE, "", &site);

	if (r == 0)
		private_dists(upper, site.p, leave_private, &s);
	for (size_t i = 0; r == 0 && i < s.seeds->n; i++) {
		const struct lock_line *l = &s.seeds->lines[i], *old = lock_find(lock, l->name);

		if (old && strverscmp(old->version, l->version) >= 0)
			continue;
		r = lock_set(lock, l);
		*ret_changed = true;
	}
	lock_free(s.seeds);
	return r;
}

/* An environment as it is and as it is to be. */
struct again {
	struct env_path path;
	struct env_cfg cfg;
	struct interpreter *py;
	struct lock *old; /* NULL: none */
	struct lock *lock;
	struct digest id;
	bool none; /* "venvfs-lock = none" */
};

static void again_free(struct again *a)
{
	env_cfg_free(&a->cfg);
	interpreter_unref(a->py);
	lock_free(a->old);
	lock_free(a->lock);
}

static int find_python(
	struct cmd_context *ctx, const struct creation *c, struct again *a, struct diag *diag)
{
	struct interpreter *was = NULL;
	int r;

	if (!c->python) {
		struct diag why = {{0}};

		r = env_cfg_interpreter(ctx->store, &a->cfg, &a->py, &why);
		return r < 0 ? diag_set(diag, r,
				       "%s: %s; `venvfs upgrade` moves it to another Python, "
				       "--python with --clear makes it anew",
				       a->path.path, diag_text(&why, r))
			     : 0;
	}
	r = interpreter_find(ctx->store, c->python, &a->py, diag);
	if (r < 0 || c->options.clear || !a->old || a->old->n == 0)
		return r;
	r = interpreter_for_cfg(ctx->store, &a->cfg.cfg, &was, diag);
	if (r == 0 && strcmp(was->lib, a->py->lib) != 0)
		r = diag_set(diag, -EINVAL,
			"%s has distributions for Python %s, not for %s; `venvfs upgrade` moves it "
			"there, --clear makes it anew",
			a->path.path, was->version, a->py->version);
	interpreter_unref(was);
	return r;
}

/* 1: told already. */
static int find_lock(
	struct cmd_context *ctx, const struct creation *c, struct again *a, struct diag *diag)
{
	struct lock *seeds = NULL;
	struct digest id = {0};
	bool changed = false;
	int r = seeds_for(ctx, c, a->py, &id, &seeds, diag);

	a->id = a->cfg.cfg.lock;
	a->none = a->cfg.cfg.lock_kind == CFG_LOCK_NONE;
	a->lock = a->old && !c->options.clear ? lock_copy(a->old) : lock_new();
	if (r == 0 && !a->lock)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && c->from && i < a->lock->n;)
		if (seed_is(a->lock->lines[i].name))
			i++;
		else
			r = lock_remove(a->lock, a->lock->lines[i].name);
	if (r == 0 && seeds && c->options.clear) {
		lock_free(a->lock);
		a->lock = steal_ptr(seeds);
		changed = true;
	} else if (r == 0 && seeds) {
		r = add_seeds(&a->path, a->py, a->lock, seeds, &changed, diag);
	}
	lock_free(seeds);
	if (r == 0 && c->from) {
		r = take_file(ctx, c, a->py, &a->lock, &a->id, diag);
		a->none = false;
	} else if (r == 0 && (changed || c->options.clear)) {
		a->none = a->lock->n == 0;
		if (!a->none)
			r = store_lock_put(ctx->store, a->lock, &a->id, diag);
	}
	return r;
}

/* what is private in it */

/* Through a mount the name is unlinked as anybody would; without one nothing shows it that could
 * be. */
static int hide_ignore(const struct env_path *p, struct diag *diag)
{
	auto_close int dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	char mark[NAME_MAX + 1];
	int r = dir < 0 ? -errno : 0;

	if (r == 0 && own_view_is_mounted(p->root)) {
		if (unlinkat(dir, ".gitignore", 0) < 0 && errno != ENOENT)
			r = -errno;
	} else if (r == 0) {
		r = whiteout_name(".gitignore", mark);
		if (r == 0)
			fd = openat(dir, mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (r == 0 && fd < 0)
			r = -errno;
		if (r == 0)
			r = io_fsync_dir_at(dir, ".");
	}
	return r < 0 ? diag_errno(diag, r, "%s/.gitignore", p->path) : 0;
}

/* What venv writes anew is as generated again, and what it makes where it is missing is back. */
static int write_anew(
	struct cmd_context *ctx, const struct creation *c, const struct again *a, struct diag *diag)
{
	enum { N_DIRS = 4, MAX = 64 };
	struct env_reset_path paths[MAX] = {
		{"bin", true}, {"include", true}, {"lib", true}, {"lib64", true}};
	struct python_link *links = NULL;
	struct str names[MAX] = {{0}};
	size_t n = N_DIRS, n_links = 0, n_templates = 0;
	char **templates = NULL;
	int r = scheme_python_links(a->py, &links, &n_links);

	for (size_t i = 0; r == 0 && i < n_links && n < MAX; i++, n++) {
		r = str_addf(&names[n], "bin/%s", links[i].name);
		paths[n] = (struct env_reset_path){names[n].p, true};
	}
	if (r == 0 && !c->options.upgrade)
		r = generate_templates(a->py, &templates, &n_templates);
	for (size_t i = 0; r == 0 && i < n_templates && n < MAX; i++, n++) {
		r = str_addf(&names[n], "bin/%s", templates[i]);
		paths[n] = (struct env_reset_path){names[n].p, false};
	}
	if (scheme_has_gitignore(a->py) && !c->options.without_ignore && n < MAX)
		paths[n++] = (struct env_reset_path){".gitignore", false};
	if (r == 0)
		r = env_reset(ctx, &a->path, paths, n, diag);
	for (size_t i = 0; i < MAX; i++)
		str_free(&names[i]);
	for (size_t i = 0; i < n_templates; i++)
		free(templates[i]);
	free(templates);
	python_links_free(links, n_links);
	return r;
}

/* `own`: bin/python* were files of its own before. */
static int finish(struct cmd_context *ctx, const struct creation *c, const struct env_path *p,
	const struct interpreter *py, bool own, struct diag *diag)
{
	if (own && c->symlinks)
		return env_python_link(ctx, p, py, diag);
	return own || c->options.copies ? env_python_copy(p, py, diag) : 0;
}

/* A person is told. */
static void tell(const struct env_path *p, const struct interpreter *py, const struct lock *lock)
{
	if (p->link)
		printf("%s -> ", p->link);
	printf("%s: Python %s", p->path, py->version);
	for (size_t i = 0; lock && i < lock->n; i++)
		printf(", %s %s", lock->lines[i].name, lock->lines[i].version);
	putchar('\n');
}

static const char *asked_for(const struct env_path *p)
{
	return p->link ? p->link : p->path;
}

static int again(
	struct cmd_context *ctx, const struct creation *c, struct env_path *path, struct diag *diag)
{
	struct again a = {.path = *path, .cfg = {.dir = -1}};
	auto_str struct str text = {0};
	bool own = false;
	int r;

	if (!c->options.clear)
		(void)harvest_first(ctx, path, NULL); /* else it counts as private */
	r = env_cfg_open(path, &a.cfg, diag);
	if (r == 0 && a.cfg.cfg.lock_kind == CFG_LOCK_DIGEST) {
		r = store_lock_get(ctx->store, &a.cfg.cfg.lock, &a.old, diag);
		if (r < 0 && c->options.clear)
			r = 0;
		else if (r == -ENOENT)
			diag_set(diag, r,
				"%s: its lock is not in the store any more; `venvfs undo` goes "
				"back "
				"to an earlier one, --clear makes it anew",
				path->path);
	}
	if (r == 0)
		r = find_python(ctx, c, &a, diag);
	if (r == 0)
		r = find_lock(ctx, c, &a, diag);
	if (r == 0)
		r = cfg_text(
			a.py, asked_for(path), &c->options, a.none ? NULL : &a.id, &text, diag);
	if (r == 0) {
		own = !c->options.clear && env_python_is_own(path, a.py);
		r = env_cfg_rewrite(&a.cfg, path, &text, a.none ? NULL : &a.id, diag);
	}
	if (r == 0 && c->options.clear)
		r = env_reset(ctx, path, &(struct env_reset_path){"", false}, 1, diag);
	else if (r == 0)
		r = write_anew(ctx, c, &a, diag);
	if (r == 0)
		r = finish(ctx, c, path, a.py, own, diag);
	if (r == 0 && c->options.clear && c->options.without_ignore && scheme_has_gitignore(a.py))
		r = hide_ignore(path, diag);
	if (r == 0)
		tell(path, a.py, a.lock);
	again_free(&a);
	return r;
}

static int anew(struct cmd_context *ctx, struct creation *c, const char *env,
	struct env_path *ret_path, struct diag *diag)
{
	auto_str struct str text = {0};
	struct env_path p = {0};
	int r = find_base(ctx, c, diag);

	if (r == 0)
		r = env_new(ctx, env, &p, diag);
	if (r != 0)
		return r;
	r = cfg_text(c->py, asked_for(&p), &c->options, c->lock ? &c->id : NULL, &text, diag);
	if (r == 0)
		r = env_new_done(&p, text.p, text.len, diag);
	if (r == 0)
		r = finish(ctx, c, &p, c->py, false, diag);
	if (r == 0 && c->options.without_ignore && scheme_has_gitignore(c->py))
		r = hide_ignore(&p, diag);
	if (r < 0) {
		env_new_undo(&p);
		env_path_free(&p);
		return r;
	}
	tell(&p, c->py, c->lock);
	env_path_free(ret_path);
	*ret_path = p;
	return 0;
}

/* what is there and is none of ours */

/* All but pyvenv.cfg: killed, it can be called again. */
static int remove_contents(const char *path, struct diag *diag)
{
	auto_closedir DIR *d = opendir(path);
	struct dirent *e;
	int r = d ? 0 : -errno;

	while (d && r == 0 && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
			strcmp(e->d_name, "pyvenv.cfg") != 0)
			r = io_remove_tree_at(dirfd(d), e->d_name);
	return r < 0 ? diag_errno(diag, r, "can not empty %s", path) : 0;
}

/* In the root: emptied, and given a pyvenv.cfg in place of its own. */
static int over_ordinary(
	struct cmd_context *ctx, struct creation *c, struct env_path *p, struct diag *diag)
{
	auto_close int dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_str struct str text = {0};
	int r = dir < 0 ? diag_errno(diag, -errno, "%s", p->path) : find_base(ctx, c, diag);

	if (r == 0)
		r = cfg_text(
			c->py, asked_for(p), &c->options, c->lock ? &c->id : NULL, &text, diag);
	if (r == 0)
		r = remove_contents(p->path, diag);
	if (r == 0) {
		r = io_publish_at(dir, "pyvenv.cfg", text.p, text.len, 0644);
		if (r < 0)
			diag_errno(diag, r, "can not write %s/pyvenv.cfg", p->path);
	}
	if (r == 0)
		r = finish(ctx, c, p, c->py, false, diag);
	if (r == 0 && c->options.without_ignore && scheme_has_gitignore(c->py))
		r = hide_ignore(p, diag);
	if (r == 0)
		tell(p, c->py, c->lock);
	return r;
}

/* Outside of every root: it makes place for the link, and is removed when that is there. */
static int beside_ordinary(struct cmd_context *ctx, struct creation *c, const char *env,
	struct env_path *p, struct diag *diag)
{
	auto_free char *was = strdup(p->path), *aside = NULL;
	int r = was ? find_base(ctx, c, diag) : -ENOMEM;

	if (r != 0)
		return r;
	if (asprintf(&aside, "%s.old-%ld", was, (long)getpid()) < 0)
		return aside = NULL, -ENOMEM;
	if (rename(was, aside) < 0)
		return diag_errno(diag, -errno, "can not move %s out of the way", was);
	r = anew(ctx, c, env, p, diag);
	if (r != 0) {
		if (rename(aside, was) < 0)
			cmd_fail("what %s was is called %s now", was, aside);
		return r;
	}
	r = io_remove_tree_at(AT_FDCWD, aside);
	return r < 0 ? diag_errno(diag, r, "can not remove %s, which was %s", aside, was) : 0;
}

enum place { PLACE_FREE, PLACE_OURS, PLACE_ORDINARY };

/* PLACE_FREE: env_new() tells what else is there. */
static int look(const struct env_path *p, enum place *ret, struct diag *diag)
{
	auto_close int dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_str struct str text = {0};
	struct cfg cfg = {0};
	int r = dir < 0 ? -errno : io_slurp_at(dir, "pyvenv.cfg", CFG_MAX, &text);

	*ret = PLACE_FREE;
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return r == -ENOTCONN ? diag_set(diag, r,
						"%s: the daemon of this mount is gone; `venvfs "
						"mount` starts it again",
						p->path)
				      : diag_errno(diag, r, "%s/pyvenv.cfg", p->path);
	*ret = PLACE_ORDINARY;
	if (cfg_parse(text.p ? text.p : "", text.len, &cfg, NULL) == 0 &&
		cfg.lock_kind != CFG_LOCK_ABSENT)
		*ret = PLACE_OURS;
	cfg_free(&cfg);
	if (*ret == PLACE_OURS && !p->root)
		return diag_set(diag, -EEXIST,
			"%s is an environment of a root that is not known here; mount that root, "
			"or name it in $VENVFS_ROOT",
			p->path);
	return 0;
}

int creation_make(struct cmd_context *ctx, struct creation *c, const char *env, char **ret_root,
	struct diag *diag)
{
	struct env_path p = {0};
	enum place place;
	int r = cmd_env_path(ctx, env, &p, diag);

	if (r == 0)
		r = look(&p, &place, diag);
	if (r == 0 && place == PLACE_ORDINARY && !c->options.clear)
		r = diag_set(diag, -EEXIST,
			"%s is there already, and is no environment of venvfs; %s, --clear makes "
			"an empty one in its place",
			p.path,
			p.root ? "`venvfs adopt` makes it one"
			       : "remove it or choose another name");
	else if (r == 0 && place == PLACE_ORDINARY)
		r = p.root ? over_ordinary(ctx, c, &p, diag)
			   : beside_ordinary(ctx, c, env, &p, diag);
	else if (r == 0 && place == PLACE_OURS)
		r = again(ctx, c, &p, diag);
	else if (r == 0)
		r = anew(ctx, c, env, &p, diag);
	if (r == 0) {
		free(*ret_root);
		*ret_root = steal_ptr(p.root);
	}
	env_path_free(&p);
	return r;
}
