/* SPDX-License-Identifier: MIT
 *
 * A part of the upper, or all of an environment's, that is taken away or replaced while it is in
 * use. On disk it leaves by one rename(2) into .venvfs/trash, from where the caller removes it in
 * his own time. In memory what the kernel knows below is settled anew: directories that still show
 * stay what they are, with other contents, so that whoever works in them stays there; files that
 * were private go on as unlinked ones; and every name that did mean something, or does now, is
 * looked up again.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "view/held.h"
#include "view/listing.h"
#include "view/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* before: descriptors of what loses its name */

static int keep_open(struct view *v, struct inode *i)
{
	struct inode **children;
	size_t n;
	int r = 0;

	if (i->kind != INODE_DIR) {
		inode_lock(i);
		if (i->kind == INODE_UPPER && i->fd < 0) {
			r = upper_handle(v, i);
			if (r >= 0) {
				i->fd = r;
				i->fd_writable = false;
			}
		}
		inode_unlock(i);
		return r == -ENOENT || r >= 0 ? 0 : r;
	}
	r = inode_children(v->inodes, i, &children, &n);
	if (r < 0)
		return r;
	for (size_t k = 0; k < n; k++) {
		if (r == 0)
			r = keep_open(v, children[k]);
		inode_put(v->inodes, children[k]);
	}
	free(children);
	return r;
}

/* after: what the kernel knows */

struct settling {
	struct view *v;
	struct lower *was_of; /* the tree that lower directories were of until now */
	bool incomplete;      /* something points into it still */
};

static void settle_dir(struct settling *s, struct inode *dir, int old, const struct merged *m);

/* It has no name any more, nor has anything in it. */
static void forget(struct settling *s, struct inode *i)
{
	struct view *v = s->v;
	struct inode **children;
	size_t n;

	if (i->kind == INODE_DIR) {
		if (inode_children(v->inodes, i, &children, &n) == 0) {
			for (size_t k = 0; k < n; k++) {
				forget(s, children[k]);
				inode_put(v->inodes, children[k]);
			}
			free(children);
		} else {
			s->incomplete = true;
		}
		i->lower = NULL;
		i->upper = false;
		i->version++;
		events_inval(v->events, i->id);
	} else {
		inode_lock(i);
		i->unlinked = true;
		inode_unlock(i);
	}
	inode_detach(v->inodes, i);
}

/* What it is was made from the lower tree, and is so still. */
static bool is_still(const struct inode *i, const struct merged *m)
{
	if (m->what != NAME_LOWER)
		return false;
	return (i->kind == INODE_GENERATED && m->lower->type == LOWER_GENERATED) ||
	       (i->kind == INODE_LINK && m->lower->type == LOWER_LINK);
}

static bool is_dir(const struct merged *m)
{
	return m->what == NAME_UPPER ? S_ISDIR(m->st.st_mode)
				     : m->what == NAME_LOWER && m->lower->type == LOWER_DIR;
}

/* `i` is a child of `dir`; `old`: the upper directory that `dir` had, or -1. */
static void settle(struct settling *s, struct inode *dir, struct inode *i, int old)
{
	auto_close int below = -1;
	struct merged m;

	if (i->kind == INODE_CFG || i->kind == INODE_DRAFT)
		return;
	if (i->env && i->env->state == ENV_GHOST) /* its tree is another */
		env_end(s->v, i->env);
	if (old >= 0 && i->kind == INODE_DIR)
		below = openat(old, i->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (i->kind == INODE_DIR)
		events_expire(s->v->events, dir->id, i->name);
	else
		events_drop(s->v->events, dir->id, i->name);
	if (merge_lookup(s->v, dir, i->name, &m) < 0)
		m = (struct merged){.what = NAME_NONE};
	if (i->kind == INODE_DIR && is_dir(&m))
		settle_dir(s, i, below, &m);
	else if (!is_still(i, &m))
		forget(s, i);
}

static void expire_lower(
	struct view *v, const struct inode *dir, struct lower *l, struct lower_dir *d)
{
	if (!l || !d || lower_load(l, d) < 0)
		return;
	for (size_t k = 0; k < d->n; k++)
		events_expire(v->events, dir->id, d->entries[k].name);
}

static void expire_upper(struct view *v, const struct inode *dir, int fd)
{
	struct listing l = {0};

	if (fd >= 0 && listing_read(fd, &l) == 0)
		for (size_t k = 0; k < l.n; k++) {
			const char *gone = whiteout_of(l.p[k]);

			if (gone || !name_reserved(l.p[k]))
				events_expire(v->events, dir->id, gone ? gone : l.p[k]);
		}
	listing_free(&l);
}

/* `dir` shows `m` now. */
static void settle_dir(struct settling *s, struct inode *dir, int old, const struct merged *m)
{
	struct view *v = s->v;
	struct env *env = env_of(dir);
	struct inode **children;
	size_t n;

	expire_lower(v, dir, s->was_of, dir->lower);
	expire_upper(v, dir, old);
	dir->upper = m->what == NAME_UPPER;
	dir->lower = m->dir;
	dir->version++;
	if (env)
		expire_lower(v, dir, env->lower, dir->lower);
	if (dir->upper) {
		auto_close int now = upper_open(v, dir);
		auto_close int fd =
			now < 0 ? now
				: io_open_beneath(now, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

		expire_upper(v, dir, fd);
	}
	events_inval(v->events, dir->id);
	if (inode_children(v->inodes, dir, &children, &n) < 0) {
		s->incomplete = true;
		return;
	}
	for (size_t k = 0; k < n; k++) {
		settle(s, dir, children[k], old);
		inode_put(v->inodes, children[k]);
	}
	free(children);
}

/* reset */

/* Where it goes: a name of its own in .venvfs/trash. */
static int open_trash(struct view *v, const struct env *env, char name[64])
{
	auto_close int fd = upper_open(v, env->dir);
	struct timespec now = view_stamp(v);
	int r;

	if (fd < 0)
		return fd;
	r = io_mkdirs_at(fd, RESET_TRASH, 0700);
	if (r < 0)
		return r;
	/* a time that no other view, before or after, has given */
	snprintf(name, 64, "%lld.%09ld.%d", (long long)now.tv_sec, now.tv_nsec, (int)getpid());
	return io_open_beneath(fd, RESET_TRASH, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
}

/* Another environment in it is nobody's private change. */
static int holds_env(int dirfd, const char *name, bool is_env)
{
	auto_close int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct held_table t = {0};
	int r = fd < 0 ? 0 : held_read(fd, &t);

	for (size_t k = 0; r == 0 && k < t.n; k++)
		if (t.p[k].kind == HELD_FILE && strcmp(path_base(t.p[k].path), CFG_NAME) == 0 &&
			!(is_env && strcmp(t.p[k].path, CFG_NAME) == 0))
			r = -EBUSY;
	held_free(&t);
	return r;
}

/* One name; structure lock for writing. */
static int reset_name(
	struct view *v, struct env *env, struct inode *dir, int dirfd, const char *name)
{
	struct settling s = {.v = v, .was_of = env->lower};
	struct inode *i = inode_find(v->inodes, dir, name);
	auto_close int trash = -1, old = -1;
	char tmp[64];
	int r = holds_env(dirfd, name, false);

	if (r == 0 && i)
		r = keep_open(v, i);
	if (r == 0)
		r = trash = open_trash(v, env, tmp);
	if (r >= 0) {
		r = renameat(dirfd, name, trash, tmp) < 0 && errno != ENOENT ? -errno : 0;
		old = openat(trash, tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (r == 0) {
		struct merged m;

		upper_unwhiteout(dirfd, name);
		r = io_fsync_dir_at(dirfd, ".");
		events_expire(v->events, dir->id, name);
		if (i && i->kind == INODE_DIR && merge_lookup(v, dir, name, &m) == 0 && is_dir(&m))
			settle_dir(&s, i, old, &m);
		else if (i)
			settle(&s, dir, i, -1);
		source_changed(v, dir, name);
		upper_touch(v, dir);
		events_inval(v->events, dir->id);
	}
	inode_put(v->inodes, i);
	return r;
}

static int reset_all(struct view *v, struct env *env, int fd)
{
	struct listing l = {0};
	int r = listing_read(fd, &l);

	for (size_t k = 0; r == 0 && k < l.n; k++) {
		const char *gone = whiteout_of(l.p[k]), *name = gone ? gone : l.p[k];

		if (gone || (!name_reserved(name) && strcmp(name, CFG_NAME) != 0))
			r = reset_name(v, env, env->dir, fd, name);
	}
	listing_free(&l);
	return r;
}

static int reset_locked(struct view *v, struct inode *dir, const char *name)
{
	auto_close int path = -1, fd = -1;
	struct env *env = env_of(dir);

	if (!env || env->state != ENV_LIVE)
		return -ENOENT;
	if (!env->lower || env->fault)
		return env->fault ? -EBUSY : -EPERM;
	if (!dir->upper)
		return 0;
	path = upper_open(v, dir);
	fd = path < 0 ? path : io_open_beneath(path, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	env_changed(v, dir);
	return name ? reset_name(v, env, dir, fd, name) : reset_all(v, env, fd);
}

static int find_parent(struct view *v, const char *path, struct inode **ret)
{
	const char *base = path_base(path);
	auto_free char *dir = strndup(path, (size_t)(base - path));

	return dir ? view_walk(v, dir, ret) : -ENOMEM;
}

int view_reset(struct view *v, const char *path)
{
	const char *name = path_base(path);
	struct inode *dir = NULL, *env = NULL;
	bool whole;
	int r = v->read_only ? -EROFS : !*name || name_reserved(name) ? -EINVAL : 0;

	if (r == 0)
		r = find_parent(v, path, &dir);
	if (r == 0) {
		r = env_check(v, dir);
		if (r == 0 && view_walk(v, path, &env) == 0)
			r = env_check(v, env);
	}
	if (r == 0) {
		pthread_rwlock_wrlock(&v->lock);
		whole = env && env->env;
		if (!whole && dir->env && strcmp(name, CFG_NAME) == 0)
			r = -EINVAL;
		else
			r = reset_locked(v, whole ? env : dir, whole ? NULL : name);
		pthread_rwlock_unlock(&v->lock);
	}
	inode_put(v->inodes, env);
	inode_put(v->inodes, dir);
	return r;
}

/* replace */

/* Structure lock for writing. Its upper directory is another one: that of an ordinary environment.
 */
static int become_ordinary(struct view *v, struct env *env, int old)
{
	const struct merged m = {.what = NAME_UPPER};
	struct settling s = {.v = v, .was_of = env->lower};
	auto_close int fd = upper_open(v, env->dir);
	struct inode *cfg;
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	str_truncate(&env->text, 0);
	r = io_slurp_at(fd, CFG_NAME, CFG_MAX, &env->text);
	if (r == 0 && fstatat(fd, CFG_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0)
		env->time = st.st_mtim;
	env->lock_kind = CFG_LOCK_ABSENT;
	env->lower = NULL;
	free(steal_ptr(env->fault));
	settle_dir(&s, env->dir, old, &m);
	if (!s.incomplete)
		lower_unref(s.was_of);
	cfg = inode_find(v->inodes, env->dir, CFG_NAME);
	if (cfg) {
		events_inval(v->events, cfg->id);
		inode_put(v->inodes, cfg);
	}
	upper_touch(v, env->dir);
	events_inval(v->events, env->dir->id);
	return r;
}

static int replace_locked(struct view *v, struct inode *dir, const char *with, int64_t since)
{
	struct env *env = dir->env;
	struct inode *parent = inode_parent(dir);
	auto_close int path = -1, fd = -1, old = -1;
	int r;

	if (!env || env->state != ENV_LIVE || !parent)
		return -ENOENT;
	if (env->lock_kind == CFG_LOCK_ABSENT || env->fault)
		return env->fault ? -EBUSY : -EEXIST;
	if (env->changed_at >= since)
		return -ETXTBSY; /* setxattr(2) makes EOPNOTSUPP of EAGAIN */
	path = upper_open(v, parent);
	fd = path < 0 ? path : io_open_beneath(path, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	r = holds_env(fd, dir->name, true);
	if (r == 0)
		r = keep_open(v, dir);
	if (r < 0)
		return r;
	old = openat(fd, dir->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (old < 0 || renameat2(fd, with, fd, dir->name, RENAME_EXCHANGE) < 0)
		return -errno;
	r = become_ordinary(v, env, old);
	return r < 0 ? r : io_fsync_dir_at(fd, ".");
}

int view_replace(struct view *v, const char *env, const char *with, int64_t since)
{
	struct inode *dir = NULL;
	int r = v->read_only				     ? -EROFS
		: !name_temporary(with) || strchr(with, '/') ? -EINVAL
							     : view_walk(v, env, &dir);

	if (r == 0)
		r = env_check(v, dir);
	if (r == 0) {
		pthread_rwlock_wrlock(&v->lock);
		r = replace_locked(v, dir, with, since);
		pthread_rwlock_unlock(&v->lock);
	}
	inode_put(v->inodes, dir);
	return r;
}

void view_settled(struct view *v)
{
	events_wait_all(v->events);
}
