/* SPDX-License-Identifier: MIT
 *
 * New names. The kernel has looked the name up and found nothing, so at most a whiteout is in
 * the way. A new directory over a deleted one must not show what the deletion hid: it is
 * made opaque under a temporary name and then renamed into place.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "view/state.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

/* Opens `dir`'s upper directory, made if need be, for a new entry `name`. Structure lock. */
static int prepare(struct view *v, struct inode *dir, const char *name)
{
	int r;

	if (v->read_only)
		return -EROFS;
	if (!dir)
		return -ESTALE;
	if (dir->kind != INODE_DIR)
		return -ENOTDIR;
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	if (name_reserved(name) && !name_temporary(name))
		return -EPERM;
	r = upper_ensure(v, dir);
	return r < 0 ? r : upper_open(v, dir);
}

/* The name is there: it may be another source in the place of one of the store's. */
static int show(struct view *v, struct inode *dir, int dirfd, const char *name,
	const struct caller *who, struct view_entry *ret)
{
	upper_unwhiteout(dirfd, name);
	source_changed(v, dir, name);
	upper_touch(v, dir);
	return lookup_locked(v, dir, dirfd, name, who, ret);
}

static int finish(struct view *v, struct inode *dir, int dirfd, const char *name,
	const struct caller *who, struct view_entry *ret)
{
	int r = upper_own(v, dirfd, name, who), shown = show(v, dir, dirfd, name, who, ret);

	return r < 0 ? r : shown;
}

static int hides_dir(struct inode *dir, const char *name)
{
	struct env *env = env_of(dir);
	const struct lower_entry *e = NULL;
	int r;

	if (!dir->lower || !env || !env->lower || env->state == ENV_GHOST)
		return 0; /* of a dissolved one nothing will show again */
	r = lower_lookup(env->lower, dir->lower, name, &e);
	return r < 0 ? r : e && e->type == LOWER_DIR;
}

static int mkdir_opaque(int dirfd, const char *name, mode_t mode)
{
	char tmp[64];
	int r;

	upper_temp_name(tmp);
	if (mkdirat(dirfd, tmp, mode) < 0)
		return -errno;
	r = upper_opaque(dirfd, tmp);
	if (r == 0 && renameat2(dirfd, tmp, dirfd, name, RENAME_NOREPLACE) < 0)
		r = -errno;
	if (r < 0)
		io_remove_tree_at(dirfd, tmp);
	return r;
}

int view_mkdir(struct view *v, uint64_t dir_ino, const char *name, mode_t mode,
	const struct caller *who, struct view_entry *ret)
{
	struct inode *dir = inode_get(v->inodes, dir_ino);
	auto_close int fd = -1;
	int r;

	pthread_rwlock_rdlock(&v->lock);
	/* in a plain directory it may become an environment */
	r = fd = dir && !env_of(dir) && !env_name_ok(name) ? -EINVAL : prepare(v, dir, name);
	if (r >= 0)
		r = hides_dir(dir, name);
	if (r > 0)
		r = mkdir_opaque(fd, name, mode);
	else if (r == 0 && mkdirat(fd, name, mode) < 0)
		r = -errno;
	if (r == 0)
		r = finish(v, dir, fd, name, who, ret);
	pthread_rwlock_unlock(&v->lock);
	events_wait(v->events);
	return r;
}

int view_mknod(struct view *v, uint64_t dir_ino, const char *name, mode_t mode, dev_t rdev,
	const struct caller *who, struct view_entry *ret)
{
	struct inode *dir = inode_get(v->inodes, dir_ino);
	auto_close int fd = -1;
	int r;

	(void)rdev;
	if (S_ISBLK(mode) || S_ISCHR(mode))
		return -EPERM; /* the mount is nodev */
	pthread_rwlock_rdlock(&v->lock);
	r = fd = prepare(v, dir, name);
	if (r >= 0)
		r = mknodat(fd, name, mode, 0) < 0 ? -errno : 0;
	if (r == 0)
		r = finish(v, dir, fd, name, who, ret);
	pthread_rwlock_unlock(&v->lock);
	events_wait(v->events);
	return r;
}

int view_symlink(struct view *v, uint64_t dir_ino, const char *name, const char *target,
	const struct caller *who, struct view_entry *ret)
{
	struct inode *dir = inode_get(v->inodes, dir_ino);
	auto_close int fd = -1;
	int r;

	pthread_rwlock_rdlock(&v->lock);
	r = fd = prepare(v, dir, name);
	if (r >= 0)
		r = symlinkat(target, fd, name) < 0 ? -errno : 0;
	if (r == 0)
		r = finish(v, dir, fd, name, who, ret);
	pthread_rwlock_unlock(&v->lock);
	events_wait(v->events);
	return r;
}

/* The store's file behind a number, also where somebody has it open to write and has not written.
 * -ENODATA: it is a private one. */
static int untouched(struct view *v, uint64_t ino, struct dist **ret, size_t *ret_entry)
{
	struct inode *i;
	int r = -ENODATA;

	if (inode_is_store(ino))
		return inode_store_get(v->inodes, ino, ret, ret_entry);
	i = inode_get(v->inodes, ino);
	if (!i)
		return -ESTALE;
	inode_lock(i);
	if (i->kind == INODE_LAZY && !i->unlinked) {
		*ret = dist_ref(i->dist);
		*ret_entry = i->entry;
		r = 0;
	}
	inode_unlock(i);
	return r;
}

/* Another name for the store's bytes can only be a copy: the request does not tell which name the
 * file is known by, and a link between two private files would join what are two files in the next
 * environment. */
static int link_store(struct view *v, uint64_t ino, struct inode *dir, const char *name,
	const struct caller *who, struct view_entry *ret)
{
	auto_close int fd = -1;
	struct dist *d = NULL;
	size_t entry;
	int r = untouched(v, ino, &d, &entry);

	if (r < 0)
		return r;
	if (strcmp(name, CFG_NAME) == 0)
		r = -EPERM;
	pthread_rwlock_rdlock(&v->lock);
	if (r == 0)
		r = fd = prepare(v, dir, name);
	if (r >= 0)
		r = copyup_as(v, fd, name, d, entry);
	if (r == 0)
		r = show(v, dir, fd, name, who, ret);
	pthread_rwlock_unlock(&v->lock);
	dist_unref(d);
	events_wait(v->events);
	return r;
}

int view_link(struct view *v, uint64_t ino, uint64_t dir_ino, const char *name,
	const struct caller *who, struct view_entry *ret)
{
	struct inode *dir = inode_get(v->inodes, dir_ino), *i;
	auto_close int fd = -1, handle = -1;
	char proc[64];
	struct stat st;
	int r;

	r = link_store(v, ino, dir, name, who, ret);
	if (r != -ENODATA)
		return r;
	i = inode_get(v->inodes, ino);
	if (!i)
		return -ESTALE;
	if (strcmp(name, CFG_NAME) == 0 || i->kind == INODE_CFG || i->kind == INODE_DRAFT)
		return -EPERM; /* it is one file of one environment */
	pthread_rwlock_rdlock(&v->lock);
	r = fd = prepare(v, dir, name);
	if (r >= 0) {
		pending_drop(v, who->tid);
		inode_lock(i);
		r = copyup(v, i, UINT64_MAX);
		r = handle = r < 0 ? r : upper_handle(v, i);
		inode_unlock(i);
	}
	if (r >= 0) {
		snprintf(proc, sizeof proc, "/proc/self/fd/%d", handle);
		r = linkat(AT_FDCWD, proc, fd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
	}
	if (r == 0 && fstat(handle, &st) == 0)
		inode_set_link(v->inodes, i, st.st_dev, st.st_ino);
	if (r == 0)
		r = show(v, dir, fd, name, who, ret);
	pthread_rwlock_unlock(&v->lock);
	events_wait(v->events);
	return r;
}

static int create_draft(struct view *v, struct inode *dir, const struct caller *who,
	struct view_entry *ret, struct view_open *ret_open)
{
	struct inode *i;
	int r = draft_make(v, dir, NULL, who->tid, &i);

	if (r < 0)
		return r;
	i->n_open++;
	r = attr_inode(v, i, &ret->st);
	inode_lookup(v->inodes, i);
	ret->ino = i->id;
	ret->brief = true;
	ret_open->flush = true;
	return r; /* the reference goes with the open file */
}

int view_create(struct view *v, uint64_t dir_ino, const char *name, mode_t mode, int flags,
	const struct caller *who, struct view_entry *ret, struct view_open *ret_open)
{
	struct inode *dir = inode_get(v->inodes, dir_ino);
	auto_close int fd = -1, file = -1;
	int r;

	*ret_open = (struct view_open){.keep_cache = true};
	*ret = (struct view_entry){0};
	pthread_rwlock_rdlock(&v->lock);
	r = fd = prepare(v, dir, name);
	if (r >= 0 && strcmp(name, CFG_NAME) == 0 && env_is_place(dir)) {
		r = create_draft(v, dir, who, ret, ret_open);
		pthread_rwlock_unlock(&v->lock);
		return r;
	}
	if (r >= 0) {
		file = openat(fd, name,
			O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (flags & (O_EXCL | O_TRUNC)),
			mode & 07777);
		/* an existing file that may not be read: another request made it meanwhile */
		if (file < 0 && errno == EACCES)
			file = openat(fd, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
		r = file < 0 ? -errno : 0;
	}
	if (r == 0)
		r = finish(v, dir, fd, name, who, ret);
	if (r == 0 && !inode_is_store(ret->ino)) {
		struct inode *i = inode_get(v->inodes, ret->ino);

		inode_lock(i);
		if (i->fd < 0) {
			i->fd = steal_fd(&file);
			i->fd_writable = true;
		}
		i->n_open++;
		inode_unlock(i);
		inode_ref(v->inodes, i);
	}
	pthread_rwlock_unlock(&v->lock);
	events_wait(v->events);
	return r;
}
