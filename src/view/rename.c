/* SPDX-License-Identifier: MIT
 *
 * Renames never copy a tree and never answer EXDEV inside an environment. A view file
 * is made private first (the one copy there is); a view directory becomes an upper directory with a
 * record of which lower directory it shows; two names that are exchanged are both made ready so.
 * What is moved onto pyvenv.cfg is published instead, and pyvenv.cfg moved aside is an editor
 * saving: the view stays.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "view/listing.h"
#include "view/state.h"

#include <fcntl.h>
#include <string.h>

enum { MAX_DEPTH = 256 }; /* each level takes a descriptor */

struct move {
	struct inode *dir, *new_dir;
	const char *name, *new_name;
	const struct caller *who;
};

static int lower_path(const struct lower_dir *d, struct str *out)
{
	int r = 0;

	if (!d->parent)
		return 0;
	r = lower_path(d->parent, out);
	return r < 0 ? r : str_addf(out, "%s%s", out->len ? "/" : "", d->name);
}

/* The upper directory of a view directory, saying which lower one it shows wherever it is moved. */
static int record_lower(struct view *v, struct inode *dir)
{
	auto_unlocked struct unlocked open = {.fd = -1};
	auto_str struct str path = {0};
	auto_close int fd = -1;
	struct stat st;
	int r = upper_ensure(v, dir);

	if (r < 0)
		return r;
	upper_unlock(v, dir, &open);
	if (!dir->lower)
		return 0; /* it could not be read before */
	fd = upper_open(v, dir);
	if (fd < 0)
		return fd;
	if (fstatat(fd, WHITEOUT_REDIRECT, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	r = lower_path(dir->lower, &path);
	return r < 0 ? r : io_publish_at(fd, WHITEOUT_REDIRECT, path.p, path.len, 0644);
}

static int mark_opaque(struct view *v, struct inode *dir)
{
	auto_unlocked struct unlocked open = {.fd = -1};
	auto_close int fd = upper_open(v, dir);

	if (fd < 0)
		return fd;
	upper_unlock(v, dir, &open);
	if (dir->lower)
		return record_lower(v, dir); /* it could not be read before */
	return upper_opaque(fd, ".");
}

/* Whether a directory of the view was moved to somewhere below: 1, 0, or -errno. Environments below
 * keep theirs. */
static int has_record(int dirfd, const char *name, int depth)
{
	auto_close int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct listing l = {0};
	int r;

	if (fd < 0 && errno == EACCES)
		return 1; /* nobody knows */
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
	if (depth == MAX_DEPTH)
		return -ENAMETOOLONG;
	r = listing_read(fd, &l);
	if (r == 0 && listing_have(&l, WHITEOUT_REDIRECT))
		r = 1;
	if (!depth || !listing_have(&l, CFG_NAME))
		for (size_t k = 0; r == 0 && k < l.n; k++)
			r = has_record(fd, l.p[k], depth + 1);
	listing_free(&l);
	return r;
}

/* Out of its environment such a directory would show what that place has under its path. */
static int stays_whole(struct view *v, const struct move *mv)
{
	auto_close int fd = -1;
	int r;

	if (!env_of(mv->dir) || env_of(mv->dir) == env_of(mv->new_dir))
		return 0;
	fd = upper_open(v, mv->dir);
	r = fd < 0 ? fd : has_record(fd, mv->name, 0);
	return r > 0 ? -EXDEV : r;
}

/* A directory that is to be moved must show the same afterwards. */
static int prepare_dir(
	struct view *v, struct inode *dir, const struct move *mv, const struct merged *to)
{
	int r;

	if (!env_of(mv->new_dir) && !env_name_ok(mv->new_name))
		return -EINVAL;
	if (dir->env)
		return 0;
	if (dir->lower) {
		if (env_of(mv->dir) != env_of(mv->new_dir))
			return -EXDEV; /* another environment has other lower directories */
		return record_lower(v, dir);
	}
	r = stays_whole(v, mv);
	return r < 0 ? r : to->lower || mv->new_dir->lower ? mark_opaque(v, dir) : 0;
}

/* What is left of a dissolved environment is as empty as it looks. 1, 0, or -errno. */
static int env_is_empty(struct view *v, struct inode *dir)
{
	int r = dir->env->state == ENV_GHOST ? upper_only_cfg(v, dir) : 1;

	if (r == 0)
		env_end(v, dir->env);
	return r < 0 ? r : r == 0;
}

/* The target goes; a directory only if it is empty and no environment. */
static int clear_target(struct view *v, const struct move *mv, const struct merged *to, int new_fd)
{
	struct inode *i = inode_find(v->inodes, mv->new_dir, mv->new_name);
	auto_unlocked struct unlocked open = {.fd = -1};
	int r = 0;

	if (i && i->kind == INODE_DIR) {
		upper_unlock(v, i, &open);
		r = i->env ? env_is_empty(v, i) : merge_is_empty(v, i);
		r = r < 0 ? r : r ? 0 : -ENOTEMPTY;
		if (r == 0 && to->what == NAME_UPPER)
			r = upper_clear_marks(new_fd, mv->new_name);
	} else if (i) {
		inode_lock(i);
		if (i->kind == INODE_UPPER && i->fd < 0) {
			r = upper_handle(v, i);
			if (r >= 0) {
				i->fd = r;
				r = 0;
			}
		}
		inode_unlock(i);
	}
	inode_put(v->inodes, i);
	return r;
}

static void forget_target(struct view *v, const struct move *mv)
{
	struct inode *i = inode_find(v->inodes, mv->new_dir, mv->new_name);

	if (!i)
		return;
	inode_lock(i);
	i->unlinked = true;
	inode_unlock(i);
	inode_detach(v->inodes, i);
	inode_put(v->inodes, i);
}

/* Generated text names the environment's path. */
static void tell_moved(struct view *v, struct inode *dir)
{
	struct inode **children;
	size_t n;

	env_moved(v, dir);
	if (inode_children(v->inodes, dir, &children, &n) < 0)
		return;
	for (size_t k = 0; k < n; k++) {
		if (children[k]->kind == INODE_DIR)
			tell_moved(v, children[k]);
		inode_put(v->inodes, children[k]);
	}
	free(children);
}

static int rename_locked(struct view *v, const struct move *mv)
{
	auto_close int fd = -1, new_fd = -1;
	struct inode *i = NULL;
	struct merged from, to;
	int r;

	r = merge_lookup(v, mv->dir, mv->name, &from);
	if (r == 0)
		r = merge_lookup(v, mv->new_dir, mv->new_name, &to);
	if (r == 0 && (from.what == NAME_NONE || from.what == NAME_GHOST))
		r = -ENOENT;
	if (r == 0)
		r = upper_ensure(v, mv->new_dir);
	if (r < 0)
		return r;
	i = inode_find(v->inodes, mv->dir, mv->name);
	if (i && i->kind == INODE_DIR) {
		r = prepare_dir(v, i, mv, &to);
		if (r == 0)
			r = merge_lookup(v, mv->dir, mv->name, &from);
	} else if (from.what == NAME_LOWER) {
		r = -ESTALE; /* made private before the lock was taken; it went meanwhile */
	}
	if (r == 0)
		r = new_fd = upper_open(v, mv->new_dir);
	if (r >= 0)
		r = fd = upper_open(v, mv->dir);
	if (r >= 0 && to.what != NAME_NONE)
		r = clear_target(v, mv, &to, new_fd);
	if (r >= 0 && from.lower)
		r = upper_whiteout(fd, mv->name);
	if (r >= 0 && renameat(fd, mv->name, new_fd, mv->new_name) < 0) {
		r = -errno;
		if (from.lower)
			upper_unwhiteout(fd, mv->name);
	}
	if (r < 0) {
		inode_put(v->inodes, i);
		return r;
	}
	r = 0;
	upper_unwhiteout(new_fd, mv->new_name);
	forget_target(v, mv);
	if (i) {
		r = inode_move(v->inodes, i, mv->new_dir, mv->new_name);
		if (i->kind == INODE_DIR)
			tell_moved(v, i);
		inode_put(v->inodes, i);
	}
	source_changed(v, mv->dir, mv->name);
	source_changed(v, mv->new_dir, mv->new_name);
	upper_touch(v, mv->dir);
	if (mv->new_dir != mv->dir)
		upper_touch(v, mv->new_dir);
	return r;
}

/* Both names go on, each with what the other had: nothing is deleted, so no whiteout comes or goes.
 */
static int exchange_locked(struct view *v, const struct move *mv)
{
	const struct move back = {.dir = mv->new_dir,
		.new_dir = mv->dir,
		.name = mv->new_name,
		.new_name = mv->name,
		.who = mv->who};
	auto_close int fd = -1, new_fd = -1;
	struct inode *i, *j;
	struct merged from, to;
	int r;

	r = merge_lookup(v, mv->dir, mv->name, &from);
	if (r == 0)
		r = merge_lookup(v, mv->new_dir, mv->new_name, &to);
	if (r < 0)
		return r;
	if (from.what == NAME_NONE || from.what == NAME_GHOST || to.what == NAME_NONE ||
		to.what == NAME_GHOST)
		return -ENOENT;
	i = inode_find(v->inodes, mv->dir, mv->name);
	j = inode_find(v->inodes, mv->new_dir, mv->new_name);
	if (i && i->kind == INODE_DIR)
		r = prepare_dir(v, i, mv, &to);
	else if (from.what == NAME_LOWER)
		r = -ESTALE; /* made private before the lock was taken; it went meanwhile */
	if (r == 0 && j && j->kind == INODE_DIR)
		r = prepare_dir(v, j, &back, &from);
	else if (r == 0 && to.what == NAME_LOWER)
		r = -ESTALE;
	if (r == 0)
		r = fd = upper_open(v, mv->dir);
	if (r >= 0)
		r = new_fd = upper_open(v, mv->new_dir);
	if (r >= 0 && renameat2(fd, mv->name, new_fd, mv->new_name, RENAME_EXCHANGE) < 0)
		r = -errno;
	if (r >= 0) {
		r = inode_exchange(v->inodes, mv->dir, mv->name, mv->new_dir, mv->new_name);
		if (i && i->kind == INODE_DIR)
			tell_moved(v, i);
		if (j && j->kind == INODE_DIR)
			tell_moved(v, j);
		source_changed(v, mv->dir, mv->name);
		source_changed(v, mv->new_dir, mv->new_name);
		upper_touch(v, mv->dir);
		if (mv->new_dir != mv->dir)
			upper_touch(v, mv->new_dir);
	}
	inode_put(v->inodes, i);
	inode_put(v->inodes, j);
	return r;
}

/* pyvenv.cfg to another name. */
static int rename_cfg_away(struct view *v, const struct move *mv)
{
	struct env *env;
	struct inode *i;
	bool aside = mv->dir == mv->new_dir;
	int r;

	pthread_rwlock_wrlock(&v->lock);
	env = mv->dir->env;
	i = inode_find(v->inodes, mv->dir, CFG_NAME);
	if (i)
		i->kind = INODE_UPPER; /* from now on a file like any other */
	r = rename_locked(v, mv);
	if (i && r < 0)
		i->kind = INODE_CFG;
	inode_put(v->inodes, i);
	if (r == 0 && env && aside)
		env_aside(v, env, mv->who);
	pthread_rwlock_unlock(&v->lock);
	return r == 0 && !aside ? env_unlink_cfg(v, mv->dir) : r;
}

/* Something onto pyvenv.cfg: read, published, and removed under its old name. */
static int rename_to_cfg(struct view *v, const struct move *mv)
{
	auto_close int fd = -1;
	auto_str struct str text = {0};
	struct inode *i, *old;
	bool from_cfg;
	int r;

	pthread_rwlock_rdlock(&v->lock);
	fd = upper_open(v, mv->dir);
	r = fd < 0 ? fd : io_slurp_at(fd, mv->name, CFG_MAX, &text);
	from_cfg = strcmp(mv->name, CFG_NAME) == 0 && mv->dir->env;
	pthread_rwlock_unlock(&v->lock);
	if (r == 0)
		r = env_publish(v, mv->new_dir, &text, mv->who, true);
	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&v->lock);
	if (!from_cfg && unlinkat(fd, mv->name, 0) < 0)
		r = -errno;
	/* the kernel has the moved inode under the new name, and the old one may still be open */
	old = inode_find(v->inodes, mv->new_dir, CFG_NAME);
	i = inode_find(v->inodes, mv->dir, mv->name);
	if (old && old != i) {
		inode_lock(old);
		str_free(&old->text);
		if (str_add_mem(&old->text, text.p, text.len) == 0)
			old->kind = INODE_GENERATED;
		old->size = (int64_t)old->text.len;
		old->unlinked = true;
		inode_unlock(old);
	}
	if (i && !from_cfg) {
		inode_lock(i);
		if (!i->n_open && i->fd >= 0) {
			close(i->fd);
			i->fd = -1;
		}
		i->kind = mv->new_dir->env ? INODE_CFG : INODE_UPPER;
		if (i->kind == INODE_CFG)
			i->st_ino = attr_number(mv->new_dir, CFG_NAME, NULL);
		inode_unlock(i);
		inode_move(v->inodes, i, mv->new_dir, CFG_NAME);
		events_inval(v->events, i->id);
	}
	inode_put(v->inodes, i);
	inode_put(v->inodes, old);
	upper_touch(v, mv->dir);
	pthread_rwlock_unlock(&v->lock);
	return from_cfg ? env_unlink_cfg(v, mv->dir) : r;
}

/* A view file is copied before the structure lock is taken for writing. */
static int make_private(struct view *v, struct inode *dir, const char *name, bool *ret_regular)
{
	struct merged m;
	int r = merge_lookup(v, dir, name, &m);

	*ret_regular = false;
	if (r < 0)
		return r;
	if (m.what == NAME_UPPER) {
		*ret_regular = S_ISREG(m.st.st_mode);
		return 0;
	}
	if (m.what != NAME_LOWER || m.lower->type == LOWER_DIR)
		return 0;
	*ret_regular = m.lower->type != LOWER_LINK;
	return copyup_name(v, dir, name, &m);
}

static int exchange(struct view *v, const struct move *mv)
{
	bool regular;
	int r = 0;

	pthread_rwlock_rdlock(&v->lock);
	/* of what an environment is there would be two halves of a change, or a text nobody
	 * published */
	if ((strcmp(mv->name, CFG_NAME) == 0 && env_is_place(mv->dir)) ||
		(strcmp(mv->new_name, CFG_NAME) == 0 && env_is_place(mv->new_dir)))
		r = -EINVAL;
	if (r == 0)
		r = make_private(v, mv->dir, mv->name, &regular);
	if (r == 0)
		r = make_private(v, mv->new_dir, mv->new_name, &regular);
	pthread_rwlock_unlock(&v->lock);
	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&v->lock);
	r = exchange_locked(v, mv);
	pthread_rwlock_unlock(&v->lock);
	if (r == 0)
		events_wait(v->events);
	return r;
}

/* It may be an environment that nobody looked into yet. */
static int check_moved(struct view *v, struct inode *dir, const char *name)
{
	struct inode *i = inode_find(v->inodes, dir, name);
	int r = i ? env_check(v, i) : 0;

	inode_put(v->inodes, i);
	return r;
}

int view_rename(struct view *v, uint64_t dir_ino, const char *name, uint64_t new_dir_ino,
	const char *new_name, unsigned flags, const struct caller *who)
{
	struct move mv = {
		.dir = inode_get(v->inodes, dir_ino),
		.new_dir = inode_get(v->inodes, new_dir_ino),
		.name = name,
		.new_name = new_name,
		.who = who,
	};
	bool regular, cfg_away, to_cfg;
	int r;

	if (!mv.dir || !mv.new_dir)
		return -ESTALE;
	if (v->read_only)
		return -EROFS;
	if (flags & ~(unsigned)RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
		return -EINVAL;
	if (strlen(new_name) > NAME_MAX)
		return -ENAMETOOLONG;
	if (name_reserved(new_name))
		return -EPERM;
	r = env_check(v, mv.new_dir);
	if (r == 0)
		r = check_moved(v, mv.dir, name);
	if (r == 0 && flags == RENAME_EXCHANGE) {
		if (name_reserved(name))
			return -EPERM;
		r = check_moved(v, mv.new_dir, new_name);
		return r < 0 ? r : exchange(v, &mv);
	}
	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&v->lock);
	r = make_private(v, mv.dir, name, &regular);
	cfg_away = strcmp(name, CFG_NAME) == 0 && mv.dir->env && mv.dir->env->state == ENV_LIVE;
	to_cfg = strcmp(new_name, CFG_NAME) == 0 && env_is_place(mv.new_dir) &&
		 (regular || cfg_away);
	pthread_rwlock_unlock(&v->lock);
	if (r < 0)
		return r;
	if (to_cfg)
		return rename_to_cfg(v, &mv);
	if (cfg_away)
		return rename_cfg_away(v, &mv);
	pthread_rwlock_wrlock(&v->lock);
	r = rename_locked(v, &mv);
	pthread_rwlock_unlock(&v->lock);
	if (r == 0)
		events_wait(v->events);
	return r;
}
