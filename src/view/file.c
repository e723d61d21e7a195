/* SPDX-License-Identifier: MIT
 *
 * Contents. Requests carry only the inode, so all open files of one inode
 * share one descriptor, opened by the first; a store file has no state at all and its open
 * costs no system call here.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "view/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { DROP_SIZE = 64 * 1024 };

static bool writes(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
}

/* inode_lock held. The descriptor all handles share: for reading and writing if that may be. */
static int open_upper(struct view *v, struct inode *i, bool write)
{
	auto_close int handle = -1;
	char proc[64];
	int fd;

	if (i->fd >= 0 && i->n_open && (i->fd_writable || !write))
		return 0;
	handle = upper_handle(v, i);
	if (handle < 0)
		return handle;
	/* through /proc the file itself is opened, whatever its name is by now */
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", handle);
	fd = open(proc, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	i->fd_writable = fd >= 0;
	if (fd < 0 && !write)
		fd = open(proc, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	else if (fd < 0)
		fd = open(proc, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (i->fd >= 0)
		close(i->fd);
	i->fd = fd;
	i->fd_writable = i->fd_writable || write;
	return 0;
}

/* A pyvenv.cfg that is no environment's, of a size that one may have: what is written there may
 * make it one. */
static bool may_become_cfg(struct view *v, struct inode *i, const struct inode *dir)
{
	auto_close int fd = -1;
	struct stat st;

	if (!dir || strcmp(i->name, CFG_NAME) != 0 || !env_is_place(dir) || i->upper_ino ||
		i->n_open)
		return false;
	fd = upper_handle(v, i);
	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= CFG_MAX;
}

static int open_inode(
	struct view *v, struct inode *i, int flags, const struct caller *who, struct view_open *ret)
{
	struct inode *dir = inode_parent(i);
	int r = 0;

	switch ((enum inode_kind)i->kind) {
	case INODE_DIR:
		return -EISDIR;
	case INODE_LINK:
		return -ELOOP;
	case INODE_UPPER:
		if (writes(flags) && may_become_cfg(v, i, dir)) {
			pending_add(v, who->tid, dir->id);
			return -ESTALE;
		}
		r = open_upper(v, i, writes(flags));
		break;
	case INODE_LAZY:
		pending_drop(v, who->tid);
		break;
	case INODE_GENERATED:
		if (i->text.p)
			break;
		r = env_generate(v, i, &i->text);
		if (r == 0)
			i->size = (int64_t)i->text.len;
		break;
	case INODE_CFG:
		if (writes(flags)) {
			if (dir)
				pending_add(v, who->tid, dir->id);
			return -ESTALE;
		}
		break;
	case INODE_DRAFT:
		if (i->owner_tid != who->tid) {
			/* a stranger with the writer's dentry: the published file is another inode
			 */
			if (dir && writes(flags))
				pending_add(v, who->tid, dir->id);
			return -ESTALE;
		}
		pending_drop(v, who->tid);
		ret->flush = true;
		break;
	}
	if (r == 0)
		i->n_open++;
	return r;
}

int view_open(
	struct view *v, uint64_t ino, int flags, const struct caller *who, struct view_open *ret)
{
	struct inode *i;
	bool made;
	int r;

	*ret = (struct view_open){.keep_cache = true};
	if (inode_is_store(ino)) {
		if (!writes(flags))
			return 0;
		pending_add(v, who->tid, ino);
		return -ESTALE;
	}
	i = inode_get(v->inodes, ino);
	if (!i)
		return -ESTALE;
	pthread_rwlock_rdlock(&v->lock);
	inode_lock(i);
	made = i->kind == INODE_GENERATED && !i->text.p;
	r = open_inode(v, i, flags, who, ret);
	inode_unlock(i);
	pthread_rwlock_unlock(&v->lock);
	if (r < 0)
		return r;
	inode_ref(v->inodes, i);
	/* or it would be read as long as an earlier text was, or from that one's pages */
	if (made)
		events_wait_all(v->events);
	return 0;
}

int view_flush(struct view *v, uint64_t ino, const struct caller *who)
{
	struct inode *i = inode_get(v->inodes, ino);

	/* a child that inherited the descriptor closes it too: the text is complete when its opener
	 * does */
	if (!i || i->kind != INODE_DRAFT || i->owner_tid != who->tid)
		return 0;
	return draft_publish(v, i, who);
}

void view_release(struct view *v, uint64_t ino)
{
	struct inode *i = inode_is_store(ino) ? NULL : inode_get(v->inodes, ino);
	bool last;

	if (!i)
		return;
	inode_lock(i);
	last = i->n_open && --i->n_open == 0;
	if (last && i->kind == INODE_UPPER && i->fd >= 0 && !i->unlinked) {
		close(i->fd);
		i->fd = -1;
		i->fd_writable = false;
	}
	/* of a pyvenv.cfg that another took the place of, nobody could make it again */
	if (last && i->kind == INODE_GENERATED && !i->unlinked) {
		str_free(&i->text);
		if (i->size < 0) /* it would read otherwise now */
			events_inval(v->events, i->id);
	}
	inode_unlock(i);
	if (last && i->kind == INODE_DRAFT) {
		draft_publish(v, i, &(struct caller){.uid = v->uid, .gid = v->gid});
		pthread_rwlock_wrlock(&v->lock);
		inode_detach(v->inodes, i);
		pthread_rwlock_unlock(&v->lock);
	}
	inode_put(v->inodes, i);
}

static int read_store(struct dist *d, size_t entry, off_t off, size_t size, struct view_data *ret)
{
	uint64_t total = d->manifest->entries[entry].size;
	int r;

	if ((uint64_t)off >= total)
		return 0;
	r = dist_extent(d, entry, &ret->extent);
	if (r < 0)
		return r == -ENOENT ? -EIO : r; /* ENOENT would make an importer look elsewhere */
	ret->fd = ret->extent.fd;
	ret->off = ret->extent.off + off;
	ret->size = size < total - (uint64_t)off ? size : (size_t)(total - (uint64_t)off);
	ret->drop = ret->size >= DROP_SIZE;
	return 0;
}

static int read_text(const struct str *text, off_t off, size_t size, struct view_data *ret)
{
	if ((size_t)off >= text->len)
		return 0;
	ret->size = size < text->len - (size_t)off ? size : text->len - (size_t)off;
	ret->owned = malloc(ret->size);
	if (!ret->owned)
		return -ENOMEM;
	memcpy(ret->owned, text->p + off, ret->size);
	ret->mem = ret->owned;
	return 0;
}

static int read_inode(
	struct view *v, struct inode *i, off_t off, size_t size, struct view_data *ret)
{
	struct inode *dir = inode_parent(i);
	struct env *env;
	bool fresh;
	int r;

	switch ((enum inode_kind)i->kind) {
	case INODE_UPPER:
		fresh = !i->n_open;	     /* a read-only mount delivers no opens */
		r = open_upper(v, i, false); /* also one that was pyvenv.cfg when it was opened */
		if (r < 0)
			return r;
		ret->owned = malloc(size);
		r = ret->owned ? (int)io_pread_full(i->fd, ret->owned, size, off) : -ENOMEM;
		if (fresh && !i->unlinked) {
			close(i->fd);
			i->fd = -1;
			i->fd_writable = false;
		}
		if (r < 0)
			return r;
		ret->mem = ret->owned;
		ret->size = (size_t)r;
		return 0;
	case INODE_LAZY:
		return read_store(i->dist, i->entry, off, size, ret);
	case INODE_GENERATED:
		if (!i->text.p) {
			r = env_generate(v, i, &i->text);
			if (r < 0)
				return r;
		}
		return read_text(&i->text, off, size, ret);
	case INODE_DRAFT:
		return read_text(&i->text, off, size, ret);
	case INODE_CFG:
		env = dir ? dir->env : NULL;
		return env ? read_text(&env->text, off, size, ret) : -ENOENT;
	default:
		return -EISDIR;
	}
}

int view_read(struct view *v, uint64_t ino, off_t off, size_t size, struct view_data *ret)
{
	struct inode *i;
	int r;

	*ret = (struct view_data){.fd = -1};
	if (off < 0)
		return -EINVAL;
	if (inode_is_store(ino)) {
		struct dist *d;
		size_t entry;

		r = inode_store_get(v->inodes, ino, &d, &entry);
		if (r < 0)
			return r;
		r = read_store(d, entry, off, size, ret);
		dist_unref(d); /* the kernel's count keeps it until the file is forgotten */
		return r;
	}
	i = inode_get(v->inodes, ino);
	if (!i)
		return -ESTALE;
	pthread_rwlock_rdlock(&v->lock);
	inode_lock(i);
	r = read_inode(v, i, off, size, ret);
	inode_unlock(i);
	pthread_rwlock_unlock(&v->lock);
	if (r < 0)
		view_data_release(ret);
	return r;
}

void view_data_release(struct view_data *d)
{
	if (d->fd >= 0) {
		if (d->drop) /* the kernel caches them as ours now */
			posix_fadvise(d->fd, d->off, (off_t)d->size, POSIX_FADV_DONTNEED);
		extent_release(&d->extent);
	}
	free(d->owned);
	*d = (struct view_data){.fd = -1};
}

static int write_draft(struct inode *i, const void *buf, size_t size, off_t off)
{
	size_t end;

	if (off < 0 || (uint64_t)off + size > CFG_MAX) {
		i->refused = -EFBIG; /* what is there of the text is not what its writer means */
		return -EFBIG;
	}
	end = (size_t)off + size;
	if (end > i->text.len) {
		size_t old = i->text.len;

		if (str_reserve(&i->text, end - old) < 0)
			return -ENOMEM;
		memset(i->text.p + old, 0, end - old + 1);
		i->text.len = end;
	}
	memcpy(i->text.p + off, buf, size);
	i->dirty = true;
	return (int)size;
}

int view_write(struct view *v, uint64_t ino, const void *buf, size_t size, off_t off,
	const struct caller *who)
{
	struct inode *i = inode_is_store(ino) ? NULL : inode_get(v->inodes, ino);
	bool was_upper = true;
	int r = 0;

	if (!i)
		return -EIO; /* nobody can have a store file open for writing */
	pthread_rwlock_rdlock(&v->lock);
	inode_lock(i);
	if (i->kind == INODE_DRAFT) {
		r = write_draft(i, buf, size, off);
	} else {
		was_upper = i->kind == INODE_UPPER;
		env_changed(v, i);
		r = copyup(v, i, UINT64_MAX);
		if (r == 0)
			r = open_upper(v, i, true);
		if (r == 0)
			r = io_pwrite_full(i->fd, buf, size, off);
		if (r == 0)
			r = upper_strip(i->fd, who);
		if (r == 0)
			r = (int)size;
	}
	inode_unlock(i);
	pthread_rwlock_unlock(&v->lock);
	if (!was_upper)
		events_wait(v->events);
	return r;
}

int view_fsync(struct view *v, uint64_t ino, bool data_only)
{
	struct inode *i = inode_is_store(ino) ? NULL : inode_get(v->inodes, ino);
	auto_close int fd = -1;
	int r = 0;

	if (!i)
		return 0;
	pthread_rwlock_rdlock(&v->lock);
	if (i->kind == INODE_UPPER) {
		inode_lock(i);
		if (i->fd >= 0 && i->n_open)
			fd = fcntl(i->fd, F_DUPFD_CLOEXEC, 3);
		inode_unlock(i);
	} else if (i->kind == INODE_DIR && i->upper) {
		auto_close int dir = upper_open(v, i);

		fd = dir < 0 ? -1 : openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	pthread_rwlock_unlock(&v->lock);
	if (fd >= 0 && (data_only ? fdatasync(fd) : fsync(fd)) < 0)
		r = -errno;
	return r;
}

int view_fallocate(
	struct view *v, uint64_t ino, int mode, off_t off, off_t size, const struct caller *who)
{
	struct inode *i = inode_is_store(ino) ? NULL : inode_get(v->inodes, ino);
	bool was_upper;
	int r;

	if (!i)
		return -EIO;
	if (i->kind == INODE_DRAFT)
		return -EOPNOTSUPP;
	pthread_rwlock_rdlock(&v->lock);
	env_changed(v, i);
	inode_lock(i);
	was_upper = i->kind == INODE_UPPER;
	r = copyup(v, i, UINT64_MAX);
	if (r == 0)
		r = open_upper(v, i, true);
	if (r == 0 && fallocate(i->fd, mode, off, size) < 0)
		r = -errno;
	if (r == 0)
		r = upper_strip(i->fd, who);
	inode_unlock(i);
	pthread_rwlock_unlock(&v->lock);
	if (!was_upper)
		events_wait(v->events);
	return r;
}

/* All but private files is data without a hole. */
static int seek_data(off_t size, off_t off, int whence, off_t *ret)
{
	if (off < 0 || off >= size)
		return -ENXIO;
	*ret = whence == SEEK_DATA ? off : size;
	return 0;
}

static int seek_inode(struct view *v, struct inode *i, off_t off, int whence, off_t *ret)
{
	struct inode *dir = inode_parent(i);
	auto_close int handle = -1, fd = -1;
	char proc[64];

	switch ((enum inode_kind)i->kind) {
	case INODE_LAZY:
		return seek_data(
			(off_t)i->dist->manifest->entries[i->entry].size, off, whence, ret);
	case INODE_GENERATED:
		return seek_data(i->text.p ? (off_t)i->text.len : i->size, off, whence, ret);
	case INODE_DRAFT:
		return seek_data((off_t)i->text.len, off, whence, ret);
	case INODE_CFG:
		return seek_data(dir && dir->env ? (off_t)dir->env->text.len : 0, off, whence, ret);
	default:
		break;
	}
	if (i->fd < 0 || !i->n_open) { /* it was something else when it was opened */
		handle = upper_handle(v, i);
		if (handle < 0)
			return handle;
		snprintf(proc, sizeof proc, "/proc/self/fd/%d", handle);
		fd = open(proc, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			return -errno;
	}
	*ret = lseek(fd >= 0 ? fd : i->fd, off, whence);
	return *ret < 0 ? -errno : 0;
}

int view_lseek(struct view *v, uint64_t ino, off_t off, int whence, off_t *ret)
{
	struct inode *i;
	int r;

	if (inode_is_store(ino)) {
		struct dist *d;
		size_t entry;

		r = inode_store_get(v->inodes, ino, &d, &entry);
		if (r < 0)
			return r;
		r = seek_data((off_t)d->manifest->entries[entry].size, off, whence, ret);
		dist_unref(d);
		return r;
	}
	i = inode_get(v->inodes, ino);
	if (!i)
		return -ESTALE;
	pthread_rwlock_rdlock(&v->lock);
	inode_lock(i);
	r = seek_inode(v, i, off, whence, ret);
	inode_unlock(i);
	pthread_rwlock_unlock(&v->lock);
	return r;
}
