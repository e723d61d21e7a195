/* SPDX-License-Identifier: MIT
 *
 * A view file becomes a private one: its bytes go to a temporary name in the
 * upper directory, are made durable, and are renamed into place, so a crash leaves either the
 * view file or the whole private one. The inode keeps its number; open files go on with it.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "view/generate.h"
#include "view/state.h"

#include <fcntl.h>
#include <string.h>

/* Writes the bytes of entry `e` of `d` (or `text`) to `fd`. */
static int write_bytes(int fd, struct dist *d, size_t e, const struct str *text, uint64_t limit)
{
	struct extent x;
	int r;

	if (!d) {
		size_t n = text->len < limit ? text->len : (size_t)limit;

		return n ? io_pwrite_full(fd, text->p, n, 0) : 0;
	}
	r = dist_extent(d, e, &x);
	if (r < 0)
		return r;
	r = io_copy(x.fd, x.off, fd, 0, x.size < limit ? x.size : limit);
	extent_release(&x);
	return r;
}

static int create(struct view *v, int dirfd, const char *tmp, mode_t mode, struct timespec mtime,
	struct dist *d, size_t e, const struct str *text, uint64_t limit, int *ret_fd)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, mtime};
	auto_close int fd = -1;
	int r;

	fd = openat(dirfd, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_bytes(fd, d, e, text, limit);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && geteuid() == 0 && fchown(fd, v->uid, v->gid) < 0)
		r = -errno;
	if (r == 0 && futimens(fd, times) < 0)
		r = -errno;
	if (r == 0 && limit && fsync(fd) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dirfd, tmp, 0);
		return r;
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

static void becomes_upper(struct inode *i, int fd)
{
	if (i->dist && i->st_ino == inode_store_id(i->dist, i->entry) && inode_parent(i))
		i->st_ino = attr_number_changed(inode_parent(i), i->name);
	if (i->fd >= 0)
		close(i->fd);
	i->fd = fd;
	i->fd_writable = fd >= 0;
	str_free(&i->text);
	dist_unref(i->dist);
	i->dist = NULL;
	i->kind = INODE_UPPER;
}

static int copyup_link(struct view *v, struct inode *dir, struct inode *i, int dirfd)
{
	struct merged m;
	int r = merge_lookup(v, dir, i->name, &m);

	if (r < 0)
		return r;
	if (!m.lower || !m.lower->target)
		return -ENOENT;
	if (symlinkat(m.lower->target, dirfd, i->name) < 0)
		return -errno;
	becomes_upper(i, -1);
	return 0;
}

void source_changed(struct view *v, struct inode *dir, const char *name)
{
	struct env *env = env_of(dir);
	struct inode *cache;
	size_t n = strlen(name);

	if (n < 4 || strcmp(name + n - 3, ".py") != 0 || !dir->lower || !env || !env->lower)
		return;
	cache = inode_find(v->inodes, dir, "__pycache__");
	if (!cache)
		return;
	if (cache->lower && lower_load(env->lower, cache->lower) == 0) {
		cache->version++;
		for (size_t k = 0; k < cache->lower->n; k++) {
			const struct lower_entry *e = &cache->lower->entries[k];

			if (e->derived && strncmp(e->name, name, n - 2) == 0)
				events_drop(v->events, cache->id, e->name);
		}
		events_inval(v->events, cache->id);
	}
	inode_put(v->inodes, cache);
}

int copyup(struct view *v, struct inode *i, uint64_t limit)
{
	auto_str struct str text = {0};
	auto_close int dirfd = -1, fd = -1;
	auto_unlocked struct unlocked open = {.fd = -1};
	struct timespec mtime = {0};
	struct inode *dir = i->unlinked ? NULL : inode_parent(i);
	mode_t mode = 0644;
	char tmp[64];
	int r;

	if (i->kind == INODE_UPPER)
		return 0;
	env_changed(v, i); /* a harvest that is under way must not take the copy away again */
	if (!dir) {
		/* nobody can reach it but through its open descriptors */
		dirfd = fcntl(v->root_fd, F_DUPFD_CLOEXEC, 3);
	} else {
		r = upper_ensure(v, dir);
		if (r < 0)
			return r;
		dirfd = upper_open(v, dir);
	}
	if (dirfd < 0)
		return dirfd;
	if (dir)
		upper_unlock_at(v, dir, dirfd, &open);
	if (i->kind == INODE_LINK)
		return dir ? copyup_link(v, dir, i, dirfd) : -ENOENT;
	if (i->kind == INODE_LAZY) {
		mtime = i->dist->mtime;
		mode = i->dist->manifest->entries[i->entry].exec ? 0755 : 0644;
	} else if (i->kind == INODE_GENERATED) {
		struct merged m;

		r = i->text.p ? str_add_mem(&text, i->text.p, i->text.len)
			      : env_generate(v, i, &text);
		if (r == 0 && dir && merge_lookup(v, dir, i->name, &m) == 0 && m.lower)
			mode = generate_mode(m.lower);
		if (r < 0)
			return r;
		mtime = env_of(i) ? env_of(i)->time : v->root_st.st_mtim;
	} else {
		return -EPERM;
	}
	upper_temp_name(tmp);
	r = create(v, dirfd, tmp, mode, mtime, i->dist, i->entry, &text, limit, &fd);
	if (r < 0)
		return r;
	if (!dir) {
		unlinkat(dirfd, tmp, 0);
	} else if (renameat(dirfd, tmp, dirfd, i->name) < 0) {
		r = -errno;
		unlinkat(dirfd, tmp, 0);
		return r;
	}
	becomes_upper(i, steal_fd(&fd));
	if (dir)
		source_changed(v, dir, i->name);
	if (!i->n_open && dir) {
		close(i->fd);
		i->fd = -1;
	}
	return 0;
}

int copyup_name(struct view *v, struct inode *dir, const char *name, const struct merged *m)
{
	auto_str struct str text = {0};
	auto_close int dirfd = -1, fd = -1;
	auto_unlocked struct unlocked open = {.fd = -1};
	struct inode *i = inode_find(v->inodes, dir, name);
	struct env *env = env_of(dir);
	const struct lower_entry *e = m->lower;
	struct dist *d = e->type == LOWER_FILE ? e->file_dist : NULL;
	char tmp[64];
	int r;

	if (i) { /* it may be open */
		inode_lock(i);
		r = copyup(v, i, UINT64_MAX);
		inode_unlock(i);
		inode_put(v->inodes, i);
		return r;
	}
	env_changed(v, dir);
	r = upper_ensure(v, dir);
	if (r < 0)
		return r;
	dirfd = upper_open(v, dir);
	if (dirfd < 0)
		return dirfd;
	upper_unlock_at(v, dir, dirfd, &open);
	if (e->type == LOWER_LINK)
		return symlinkat(e->target, dirfd, name) < 0 ? -errno : 0;
	if (!d) {
		r = env_generate_at(v, dir, e, &text);
		if (r < 0)
			return r;
	}
	upper_temp_name(tmp);
	r = create(v, dirfd, tmp,
		d ? (d->manifest->entries[e->index].exec ? 0755 : 0644) : generate_mode(e),
		d     ? d->mtime
		: env ? env->time
		      : v->root_st.st_mtim,
		d, e->index, &text, UINT64_MAX, &fd);
	if (r == 0 && renameat(dirfd, tmp, dirfd, name) < 0) {
		r = -errno;
		unlinkat(dirfd, tmp, 0);
	}
	if (r == 0)
		source_changed(v, dir, name);
	return r;
}

int copyup_as(struct view *v, int dirfd, const char *name, struct dist *d, size_t e)
{
	auto_close int fd = -1;
	char tmp[64];
	int r;

	upper_temp_name(tmp);
	r = create(v, dirfd, tmp, d->manifest->entries[e].exec ? 0755 : 0644, d->mtime, d, e, NULL,
		UINT64_MAX, &fd);
	if (r == 0 && renameat2(dirfd, tmp, dirfd, name, RENAME_NOREPLACE) < 0) {
		r = -errno;
		unlinkat(dirfd, tmp, 0);
	}
	return r;
}
