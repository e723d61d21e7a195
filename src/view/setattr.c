/* SPDX-License-Identifier: MIT
 *
 * Changing attributes. Of a store file: refused with ESTALE, so that the caller's path is walked
 * again and a private inode is changed instead. What came through a descriptor opened for reading
 * can not be walked again: its caller sees the ESTALE, and nothing changes.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "view/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

/* The kernel asks by number, for a name that it had before. Where that name is not there any more,
 * it has to walk the path again, and not to tell its caller ENOENT: another may have come in its place.
 */
static int walk_again(int r)
{
	return r == -ENOENT ? -ESTALE : r;
}

int view_getattr(struct view *v, uint64_t ino, struct stat *ret)
{
	struct inode *i;
	int r;

	if (inode_is_store(ino)) {
		struct dist *d;
		size_t entry;

		r = inode_store_get(v->inodes, ino, &d, &entry);
		if (r < 0)
			return r;
		attr_store(v, d, entry, ret);
		dist_unref(d);
		return 0;
	}
	i = inode_get(v->inodes, ino);
	if (!i)
		return -ESTALE;
	pthread_rwlock_rdlock(&v->lock);
	r = attr_inode(v, i, ret);
	pthread_rwlock_unlock(&v->lock);
	return walk_again(r);
}

static struct timespec time_arg(struct timespec t, unsigned what, unsigned set, unsigned now)
{
	if (what & now)
		t.tv_nsec = UTIME_NOW;
	else if (!(what & set))
		t.tv_nsec = UTIME_OMIT;
	return t;
}

/* On the object behind an O_PATH descriptor, whatever its name is by now. */
static int change(int fd, const struct stat *st, unsigned what, const struct caller *who)
{
	char proc[64];
	struct stat now;

	if (fstat(fd, &now) < 0)
		return -errno;
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	if (what & (VIEW_UID | VIEW_GID)) {
		uid_t uid = what & VIEW_UID ? st->st_uid : (uid_t)-1;
		gid_t gid = what & VIEW_GID ? st->st_gid : (gid_t)-1;

		if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
	}
	if (what & VIEW_SIZE) {
		auto_close int file = open(proc, O_WRONLY | O_CLOEXEC | O_NONBLOCK);

		int r;

		if (file < 0 || ftruncate(file, st->st_size) < 0)
			return -errno;
		r = upper_strip(file, who);
		if (r < 0)
			return r;
	}
	if (what & VIEW_MODE) {
		if (S_ISLNK(now.st_mode))
			return -EOPNOTSUPP;
		if (chmod(proc, st->st_mode & 07777) < 0)
			return -errno;
	}
	if (what & (VIEW_ATIME | VIEW_MTIME | VIEW_ATIME_NOW | VIEW_MTIME_NOW)) {
		struct timespec times[2] = {
			time_arg(st->st_atim, what, VIEW_ATIME, VIEW_ATIME_NOW),
			time_arg(st->st_mtim, what, VIEW_MTIME, VIEW_MTIME_NOW),
		};

		if (utimensat(fd, "", times, AT_EMPTY_PATH) < 0)
			return -errno;
	}
	return 0;
}

/* A file that may be open for writing only is cut through its own descriptor. */
static int set_upper(struct view *v, struct inode *i, const struct stat *st, unsigned what,
	const struct caller *who)
{
	auto_close int fd = -1;
	int r;

	if ((what & VIEW_SIZE) && i->fd >= 0 && i->fd_writable && i->n_open) {
		if (ftruncate(i->fd, st->st_size) < 0)
			return -errno;
		r = upper_strip(i->fd, who);
		if (r < 0)
			return r;
		what &= ~(unsigned)VIEW_SIZE;
	}
	r = fd = upper_handle(v, i);
	return r < 0 ? r : change(fd, st, what, who);
}

static int set_dir(struct view *v, struct inode *i, const struct stat *st, unsigned what,
	const struct caller *who)
{
	auto_unlocked struct unlocked modes = {.fd = -1};
	auto_close int fd = -1;
	int r = upper_ensure(v, i);

	if (r < 0)
		return r;
	upper_hold_modes(&modes); /* or somebody else puts the old one back */
	r = fd = upper_open(v, i);
	return r < 0 ? r : change(fd, st, what, who);
}

static int set_draft(struct inode *i, const struct stat *st, unsigned what)
{
	size_t old = i->text.len, size = (size_t)st->st_size;

	if (!(what & VIEW_SIZE))
		return 0;
	if (st->st_size < 0 || st->st_size > CFG_MAX)
		return -EFBIG;
	i->dirty = true;
	if (size > old) {
		static const char zeros[CFG_MAX];

		return str_add_mem(&i->text, zeros, size - old);
	}
	str_truncate(&i->text, size);
	return 0;
}

static int set_cfg(struct view *v, struct inode *i, const struct stat *st, unsigned what,
	const struct caller *who)
{
	struct inode *parent = inode_parent(i);
	struct env *env = parent ? parent->env : NULL;
	auto_close int dir = -1, fd = -1;
	struct stat now;
	int r;

	if (what & VIEW_SIZE)
		return -EINVAL; /* truncate(2) by path: never empty or cut while bin/ shows */
	if (!env)
		return -ENOENT;
	r = dir = upper_open(v, env->dir);
	if (r < 0)
		return r;
	fd = openat(dir, CFG_NAME, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = change(fd, st, what, who);
	if (r == 0 && fstat(fd, &now) == 0)
		env->time = now.st_mtim;
	return r;
}

static int set_inode(struct view *v, struct inode *i, const struct stat *st, unsigned what,
	const struct caller *who)
{
	int r;

	switch ((enum inode_kind)i->kind) {
	case INODE_DIR:
		return set_dir(v, i, st, what, who);
	case INODE_DRAFT:
		return set_draft(i, st, what);
	case INODE_CFG:
		return set_cfg(v, i, st, what, who);
	default:
		/* what is cut off need not be copied */
		r = copyup(v, i, what & VIEW_SIZE ? (uint64_t)st->st_size : UINT64_MAX);
		return r < 0 ? r : set_upper(v, i, st, what, who);
	}
}

/* Its new mode may let us read for the first time what it shows. */
static void reread_dir(struct view *v, struct inode *dir)
{
	struct merged m;

	pthread_rwlock_wrlock(&v->lock);
	if (inode_parent(dir) && !dir->env &&
		merge_lookup(v, inode_parent(dir), dir->name, &m) == 0 && m.dir != dir->lower) {
		dir->lower = m.dir;
		dir->version++;
		events_inval(v->events, dir->id);
	}
	pthread_rwlock_unlock(&v->lock);
}

int view_setattr(struct view *v, uint64_t ino, const struct stat *st, unsigned what,
	const struct caller *who, struct stat *ret)
{
	struct inode *i;
	bool was_upper;
	int r;

	if (v->read_only)
		return -EROFS;
	if (inode_is_store(ino)) {
		pending_add(v, who->tid, ino);
		return -ESTALE;
	}
	i = inode_get(v->inodes, ino);
	if (!i)
		return -ESTALE;
	pthread_rwlock_rdlock(&v->lock);
	if (i->kind != INODE_DIR) /* its modes have a lock of their own, which comes before this one */
		inode_lock(i);
	was_upper = i->kind == INODE_UPPER;
	if (!was_upper)
		pending_drop(v, who->tid);
	env_changed(v, i);
	r = set_inode(v, i, st, what, who);
	if (i->kind != INODE_DIR)
		inode_unlock(i);
	if (r == 0)
		r = attr_inode(v, i, ret);
	pthread_rwlock_unlock(&v->lock);
	if (r == 0 && i->kind == INODE_DIR && (what & VIEW_MODE) && geteuid() != 0)
		reread_dir(v, i);
	if (!was_upper)
		events_wait(v->events);
	return r;
}

int view_readlink(struct view *v, uint64_t ino, struct str *ret)
{
	struct inode *i = inode_is_store(ino) ? NULL : inode_get(v->inodes, ino);
	int r = -EINVAL;

	if (!i)
		return inode_is_store(ino) ? -EINVAL : -ESTALE;
	pthread_rwlock_rdlock(&v->lock);
	if (i->kind == INODE_LINK) {
		struct inode *dir = inode_parent(i);
		struct merged m;

		r = dir ? merge_lookup(v, dir, i->name, &m) : -ENOENT;
		if (r == 0)
			r = m.lower && m.lower->target ? str_add(ret, m.lower->target) : -ENOENT;
	} else if (i->kind == INODE_UPPER) {
		auto_close int fd = -1;
		char buf[PATH_MAX];
		ssize_t n;

		inode_lock(i);
		r = fd = upper_handle(v, i);
		inode_unlock(i);
		if (r >= 0) {
			n = readlinkat(fd, "", buf, sizeof buf);
			r = n < 0 ? -errno : str_add_mem(ret, buf, (size_t)n);
		}
	}
	pthread_rwlock_unlock(&v->lock);
	return walk_again(r);
}

int view_statfs(struct view *v, struct statvfs *ret)
{
	auto_close int fd = openat(v->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fstatvfs(fd, ret) < 0)
		return -errno;
	ret->f_namemax = NAME_MAX;
	return 0;
}

/* Attributes are kept by the upper's file system, reached through /proc so that no link is
 * followed. -ENODATA: has none. */
static int xattr_path(struct view *v, uint64_t ino, bool write, char proc[64], int *ret_fd)
{
	struct inode *i = inode_is_store(ino) ? NULL : inode_get(v->inodes, ino);
	int r;

	if (!i)
		return -ENODATA;
	pthread_rwlock_rdlock(&v->lock);
	if (write)
		env_changed(v, i);
	if (i->kind == INODE_DIR) {
		r = write ? upper_ensure(v, i) : i->upper ? 0 : -ENODATA;
		if (r == 0)
			r = upper_open(v, i);
	} else {
		inode_lock(i);
		r = i->kind == INODE_UPPER			     ? 0
		    : !write					     ? -ENODATA
		    : i->kind == INODE_CFG || i->kind == INODE_DRAFT ? -EOPNOTSUPP
								     : copyup(v, i, UINT64_MAX);
		if (r == 0)
			r = upper_handle(v, i);
		inode_unlock(i);
	}
	pthread_rwlock_unlock(&v->lock);
	if (r < 0)
		return r;
	snprintf(proc, 64, "/proc/self/fd/%d", r);
	*ret_fd = r;
	return 0;
}

/* On a nosuid mount they give nothing, and the kernel asks for them before each write. */
static bool is_file_capability(const char *name)
{
	return strcmp(name, "security.capability") == 0;
}

int view_getxattr(struct view *v, uint64_t ino, const char *name, void *buf, size_t size)
{
	auto_close int fd = -1;
	char proc[64];
	ssize_t n;
	int r;

	if (is_file_capability(name))
		return -ENODATA;
	r = xattr_path(v, ino, false, proc, &fd);
	if (r < 0)
		return r;
	n = getxattr(proc, name, buf, size);
	return n < 0 ? -errno : (int)n;
}

int view_listxattr(struct view *v, uint64_t ino, char *buf, size_t size)
{
	auto_close int fd = -1;
	char proc[64];
	int r = xattr_path(v, ino, false, proc, &fd);
	ssize_t n;

	if (r < 0)
		return r == -ENODATA ? 0 : r;
	n = listxattr(proc, buf, size);
	return n < 0 ? -errno : (int)n;
}

int view_setxattr(struct view *v, uint64_t ino, const char *name, const void *buf, size_t size,
	int flags, const struct caller *who)
{
	auto_close int fd = -1;
	char proc[64];
	int r;

	if (v->read_only)
		return -EROFS;
	if (is_file_capability(name))
		return -EOPNOTSUPP;
	if (inode_is_store(ino)) {
		pending_add(v, who->tid, ino);
		return -ESTALE;
	}
	r = xattr_path(v, ino, true, proc, &fd);
	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&v->lock);
	env_changed(v, inode_get(v->inodes, ino));
	if (setxattr(proc, name, buf, size, flags) < 0)
		r = -errno;
	pthread_rwlock_unlock(&v->lock);
	events_wait(v->events);
	return r;
}

int view_removexattr(struct view *v, uint64_t ino, const char *name, const struct caller *who)
{
	auto_close int fd = -1;
	char proc[64];
	int r;

	(void)who;
	if (v->read_only)
		return -EROFS;
	r = xattr_path(v, ino, false, proc, &fd);
	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&v->lock);
	env_changed(v, inode_get(v->inodes, ino));
	if (removexattr(proc, name) < 0)
		r = -errno;
	pthread_rwlock_unlock(&v->lock);
	return r;
}
