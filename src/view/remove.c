/* SPDX-License-Identifier: MIT
 *
 * Names that go. A view name becomes a whiteout; a whole directory becomes one whiteout, and those
 * inside it go with its upper directory. In a dissolved environment whatever a
 * walker listed before can still be removed, so `rm -rf` and shutil.rmtree() find no surprise.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "view/state.h"

#include <fcntl.h>
#include <string.h>

/* Marks a view name deleted; makes the upper directory if there is none yet. */
static int whiteout(struct view *v, struct inode *dir, const char *name)
{
	auto_close int fd = -1;
	int r = upper_ensure(v, dir);

	if (r < 0)
		return r;
	fd = upper_open(v, dir);
	return fd < 0 ? fd : upper_whiteout(fd, name);
}

/* The object of a name that was removed goes on for who has it open. */
static void forget_name(struct view *v, struct inode *dir, const char *name)
{
	struct inode *i = inode_find(v->inodes, dir, name);

	if (!i)
		return;
	inode_lock(i);
	i->unlinked = true;
	inode_unlock(i);
	inode_detach(v->inodes, i);
	inode_put(v->inodes, i);
}

/* Keeps a descriptor of a private file that is about to lose its name. */
static int keep_open(struct view *v, struct inode *dir, const char *name)
{
	struct inode *i = inode_find(v->inodes, dir, name);
	int r = 0;

	if (!i)
		return 0;
	inode_lock(i);
	if (i->kind == INODE_UPPER && i->fd < 0) {
		r = upper_handle(v, i);
		if (r >= 0)
			i->fd = r;
		i->fd_writable = false;
	}
	inode_unlock(i);
	inode_put(v->inodes, i);
	return r < 0 ? r : 0;
}

static int note_gone(struct env *env, const char *name)
{
	return str_addf(&env->gone, "/%s/", name);
}

static int unlink_locked(struct view *v, struct inode *dir, const char *name)
{
	auto_close int fd = -1;
	struct env *env = env_of(dir);
	struct merged m;
	int r;

	r = merge_lookup(v, dir, name, &m);
	if (r < 0)
		return r;
	if (m.what == NAME_GHOST)
		return note_gone(env, name);
	if (m.what == NAME_NONE)
		return env && env->state == ENV_GHOST ? 0 : -ENOENT;
	if (m.lower) {
		r = whiteout(v, dir, name);
		if (r < 0)
			return r;
	}
	if (m.what == NAME_UPPER) {
		fd = upper_open(v, dir);
		if (fd < 0)
			return fd;
		r = keep_open(v, dir, name);
		if (r == 0 && unlinkat(fd, name, 0) < 0)
			r = -errno;
		if (r < 0)
			return r;
	}
	forget_name(v, dir, name);
	source_changed(v, dir, name);
	upper_touch(v, dir);
	return 0;
}

int view_unlink(struct view *v, uint64_t dir_ino, const char *name)
{
	struct inode *dir = inode_get(v->inodes, dir_ino);
	bool cfg, ghost;
	int r;

	if (!dir)
		return -ESTALE;
	if (v->read_only)
		return -EROFS;
	pthread_rwlock_rdlock(&v->lock);
	cfg = strcmp(name, CFG_NAME) == 0 && dir->env && dir->env->state != ENV_GHOST;
	ghost = env_of(dir) && env_of(dir)->state == ENV_GHOST;
	r = cfg || ghost ? 0 : unlink_locked(v, dir, name);
	pthread_rwlock_unlock(&v->lock);
	if (cfg)
		return env_unlink_cfg(v, dir);
	if (ghost) { /* which names are gone is written down */
		pthread_rwlock_wrlock(&v->lock);
		r = unlink_locked(v, dir, name);
		pthread_rwlock_unlock(&v->lock);
	}
	events_wait(v->events);
	return r;
}

/* The environment leaves by one rename; what it had is removed after that. */
static int remove_env(struct view *v, struct inode *parent, struct inode *dir)
{
	auto_close int fd = upper_open(v, parent);
	char tmp[64];

	if (fd < 0)
		return fd;
	upper_temp_name(tmp);
	if (renameat(fd, dir->name, fd, tmp) < 0)
		return -errno;
	env_end(v, dir->env);
	forget_name(v, parent, dir->name);
	upper_touch(v, parent);
	return io_remove_tree_at(fd, tmp);
}

static int only_cfg(void *arg, const char *name, const struct merged *m)
{
	(void)arg;
	return m->what == NAME_UPPER && strcmp(name, CFG_NAME) != 0;
}

static int upper_child_only_cfg(void *arg, const char *name, const struct merged *m)
{
	struct view *v = ((void **)arg)[0];
	struct inode *dir = ((void **)arg)[1], *i;
	int r;

	if (!only_cfg(NULL, name, m))
		return 0;
	if (!S_ISDIR(m->st.st_mode) || !m->dir)
		return 1; /* a private file, or a directory of the environment's own */
	i = inode_make(v->inodes, dir, name, INODE_DIR, NULL, NULL);
	if (!i)
		return -ENOMEM;
	if (!i->upper) { /* not known to the kernel so far */
		i->upper = true;
		i->lower = m->dir;
		i->st_ino = attr_number(dir, name, m);
	}
	r = upper_only_cfg(v, i);
	inode_put(v->inodes, i);
	return r;
}

int upper_only_cfg(struct view *v, struct inode *dir)
{
	void *arg[2] = {v, dir};

	return dir->upper ? list_each(v, dir, upper_child_only_cfg, arg) : 0;
}

static int rmdir_env(struct view *v, struct inode *parent, struct inode *dir)
{
	int r = dir->env->state == ENV_LIVE && !dir->env->lower ? 1 : upper_only_cfg(v, dir);

	return r < 0 ? r : r > 0 ? -ENOTEMPTY : remove_env(v, parent, dir);
}

static int remove_dir(
	struct view *v, struct inode *parent, struct inode *dir, const struct merged *m)
{
	auto_close int fd = -1;
	int r;

	if (m->lower) { /* first hidden, then removed: it never shows again in between */
		r = whiteout(v, parent, dir->name);
		if (r < 0)
			return r;
	}
	if (m->what == NAME_UPPER) {
		fd = upper_open(v, parent);
		if (fd < 0)
			return fd;
		r = upper_clear_marks(fd, dir->name);
		if (r == 0 && unlinkat(fd, dir->name, AT_REMOVEDIR) < 0)
			r = -errno;
		if (r < 0)
			return r;
	}
	forget_name(v, parent, dir->name);
	upper_touch(v, parent);
	return 0;
}

static int rmdir_locked(struct view *v, struct inode *parent, const char *name)
{
	auto_unlocked struct unlocked open = {.fd = -1};
	struct env *env = env_of(parent);
	struct inode *dir;
	struct merged m;
	int r = merge_lookup(v, parent, name, &m);

	if (r < 0)
		return r;
	if (m.what == NAME_NONE)
		return env && env->state == ENV_GHOST ? 0 : -ENOENT;
	if (m.what == NAME_UPPER ? !S_ISDIR(m.st.st_mode) : m.lower->type != LOWER_DIR)
		return -ENOTDIR;
	if (m.what == NAME_GHOST) {
		forget_name(v, parent, name);
		return note_gone(env, name);
	}
	dir = inode_find(v->inodes, parent, name);
	if (!dir)
		return -ESTALE; /* the kernel looks up before it removes */
	upper_unlock(v, dir, &open);
	if (dir->env) {
		r = rmdir_env(v, parent, dir);
	} else {
		r = merge_is_empty(v, dir);
		r = r < 0 ? r : r ? remove_dir(v, parent, dir, &m) : -ENOTEMPTY;
	}
	inode_put(v->inodes, dir);
	return r;
}

int view_rmdir(struct view *v, uint64_t dir_ino, const char *name)
{
	struct inode *parent = inode_get(v->inodes, dir_ino), *dir;
	int r = 0;

	if (!parent)
		return -ESTALE;
	if (v->read_only)
		return -EROFS;
	dir = inode_find(v->inodes, parent, name);
	if (dir) { /* it may be an environment that nobody looked into yet */
		r = env_check(v, dir);
		inode_put(v->inodes, dir);
	}
	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&v->lock);
	r = rmdir_locked(v, parent, name);
	pthread_rwlock_unlock(&v->lock);
	return r;
}
