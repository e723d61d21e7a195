/* SPDX-License-Identifier: MIT
 *
 * The private half: plain files in the root, behind the mount. An inode's
 * upper path is its path from the root, walked anew for each use, so nothing
 * holds a descriptor per file and a rename needs no repair; only what was unlinked while the
 * kernel still knows it keeps one.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "view/listing.h"
#include "view/state.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

int upper_open(struct view *v, const struct inode *dir)
{
	auto_str struct str path = {0};
	int r = inode_path(dir, &path);

	if (r < 0)
		return r;
	return io_open_beneath(
		v->root_fd, path.p ? path.p : "", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
}

static void set_dir_time(int fd, struct timespec t)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, t};

	/* Without it the directory merely looks changed. */
	(void)!utimensat(fd, "", times, AT_EMPTY_PATH);
}

int upper_ensure(struct view *v, struct inode *dir)
{
	auto_close int parent = -1, fd = -1;
	auto_unlocked struct unlocked open = {.fd = -1};
	struct inode *up = inode_parent(dir);
	struct timespec own, above;
	struct stat st;
	int r;

	if (dir->upper)
		return 0;
	if (!up)
		return -ENOENT;
	r = upper_ensure(v, up);
	if (r < 0)
		return r;
	parent = upper_open(v, up);
	if (parent < 0)
		return parent;
	if (fstat(parent, &st) < 0)
		return -errno;
	above = st.st_mtim;
	own = attr_dir_time(v, dir, NULL);
	upper_unlock_at(v, up, parent, &open);
	if (mkdirat(parent, dir->name, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(parent, dir->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	set_dir_time(fd, own);
	set_dir_time(parent, above);
	dir->upper = true;
	return 0;
}

int upper_handle(struct view *v, struct inode *i)
{
	auto_str struct str path = {0};
	int r, fd;

	if (i->fd >= 0 && i->unlinked) {
		fd = fcntl(i->fd, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? -errno : fd;
	}
	r = inode_path(i, &path);
	if (r < 0)
		return r;
	return io_open_beneath(
		v->root_fd, path.p ? path.p : "", O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
}

void upper_touch(struct view *v, struct inode *dir)
{
	auto_close int fd = upper_open(v, dir);

	env_changed(v, dir);
	dir->version++;
	if (fd >= 0)
		set_dir_time(fd, view_stamp(v));
}

/* The last whiteout that was made: the next is another name of it, which file systems make much
 * faster than a file. None can be made where all its names are gone again, or it has as many as may
 * be. */
static pthread_mutex_t whiteout_mutex = PTHREAD_MUTEX_INITIALIZER;
static int whiteout_fd = -1;

static bool link_whiteout(int dirfd, const char *mark)
{
	char proc[64];

	if (whiteout_fd < 0)
		return false;
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", whiteout_fd);
	return linkat(AT_FDCWD, proc, dirfd, mark, AT_SYMLINK_FOLLOW) == 0 || errno == EEXIST;
}

int upper_whiteout(int dirfd, const char *name)
{
	char mark[NAME_MAX + 1];
	int fd, r = whiteout_name(name, mark);

	if (r < 0)
		return r;
	pthread_mutex_lock(&whiteout_mutex);
	if (!link_whiteout(dirfd, mark)) {
		fd = openat(dirfd, mark, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd < 0) {
			r = -errno;
		} else {
			if (whiteout_fd >= 0)
				close(whiteout_fd);
			whiteout_fd = fd;
		}
	}
	pthread_mutex_unlock(&whiteout_mutex);
	return r;
}

int upper_opaque(int dirfd, const char *name)
{
	auto_close int fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
		       mark = -1;

	if (fd < 0)
		return -errno;
	mark = openat(fd, WHITEOUT_OPAQUE, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	return mark < 0 ? -errno : 0;
}

void upper_unwhiteout(int dirfd, const char *name)
{
	char mark[NAME_MAX + 1];

	if (whiteout_name(name, mark) == 0)
		unlinkat(dirfd, mark, 0);
}

int upper_own(struct view *v, int dirfd, const char *name, const struct caller *who)
{
	struct stat dir, st;

	(void)v;
	if (geteuid() != 0 || (who->uid == 0 && who->gid == 0))
		return 0;
	if (fstat(dirfd, &dir) < 0 || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	/* a setgid directory has given its group already */
	if (fchownat(dirfd, name, who->uid, dir.st_mode & S_ISGID ? (gid_t)-1 : who->gid,
		    AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	/* which takes setuid and setgid away, of a file that is to have them */
	if (S_ISREG(st.st_mode) && st.st_mode & (S_ISUID | S_ISGID) &&
		fchmodat(dirfd, name, st.st_mode & 07777, 0) < 0)
		return -errno;
	return 0;
}

int upper_strip(int fd, const struct caller *who)
{
	mode_t drop = S_ISUID;
	struct stat st;

	if (geteuid() != 0 || who->uid == 0) /* else the file system below did, or may keep them */
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return 0;
	if (st.st_mode & S_IXGRP) /* without it setgid means mandatory locking */
		drop |= S_ISGID;
	if (!(st.st_mode & drop))
		return 0;
	return fchmod(fd, st.st_mode & 07777 & ~drop) < 0 ? -errno : 0;
}

void upper_temp_name(char name[64])
{
	io_temp_name(name, "view");
}

static bool is_dir_at(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

void upper_sweep(int dirfd, const struct listing *names)
{
	for (size_t i = 0; i < names->n; i++)
		if (upper_temp_is_old(names->p[i]) && is_dir_at(dirfd, names->p[i]))
			io_remove_tree_at(dirfd, names->p[i]);
}

bool upper_is_known_link(struct view *v, int dirfd, const char *name)
{
	struct inode *i = NULL;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		i = inode_find_link(v->inodes, st.st_dev, st.st_ino);
	inode_put(v->inodes, i);
	return i;
}

bool upper_temp_is_old(const char *name)
{
	int pid, n = 0;
	char own[64];

	if (!name_temporary(name) || sscanf(name, ".venvfs-tmp.%d.%n", &pid, &n) != 1 || !n)
		return false;
	if (!str_starts(name + n, "view")) /* a command's */
		return pid > 0 && kill(pid, 0) < 0 && errno == ESRCH;
	upper_temp_name(own);
	return strncmp(name, own, (size_t)(strrchr(own, '.') + 1 - own)) != 0;
}

/* Takes away what makes an upper directory that looks empty not so. */
int upper_clear_marks(int dirfd, const char *name)
{
	auto_closedir DIR *d = NULL;
	struct dirent *e;
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d) {
		int r = -errno;

		close(fd);
		return r;
	}
	while (errno = 0, (e = readdir(d)))
		if (name_reserved(e->d_name)) {
			int r = io_remove_tree_at(fd, e->d_name);

			if (r < 0)
				return r;
		}
	return -errno;
}

static int chmod_handle(int fd, mode_t mode)
{
	char proc[64];

	snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	return chmod(proc, mode) < 0 ? -errno : 0;
}

/* A thread may have several directories open to it. */
static pthread_mutex_t modes = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

void upper_hold_modes(struct unlocked *ret)
{
	pthread_mutex_lock(&modes);
	ret->held = true;
}

/* Takes the descriptor over if it did something. */
static bool unlock_fd(int *fd, struct unlocked *ret)
{
	struct stat st;

	upper_hold_modes(ret);
	if (fstat(*fd, &st) < 0 || (st.st_mode & S_IRWXU) == S_IRWXU ||
		chmod_handle(*fd, (st.st_mode & 07777) | S_IRWXU) < 0)
		return false;
	ret->mode = st.st_mode & 07777;
	ret->fd = steal_fd(fd);
	return true;
}

void upper_unlock(struct view *v, struct inode *dir, struct unlocked *ret)
{
	auto_close int fd = -1;
	struct merged m;

	if (geteuid() == 0 || !dir->upper || !inode_parent(dir))
		return;
	fd = upper_open(v, dir);
	if (fd >= 0 && unlock_fd(&fd, ret) && !dir->env &&
		merge_lookup(v, inode_parent(dir), dir->name, &m) == 0)
		dir->lower = m.dir;
}

void upper_unlock_at(struct view *v, struct inode *dir, int dirfd, struct unlocked *ret)
{
	auto_close int fd = -1;

	if (geteuid() == 0)
		return;
	fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0 && unlock_fd(&fd, ret)) {
		ret->view = v;
		ret->id = dir->id;
	}
}

void upper_lock(struct unlocked *u)
{
	if (u->fd >= 0) {
		chmod_handle(u->fd, u->mode);
		close(steal_fd(&u->fd));
		if (u->view)
			events_inval(u->view->events, u->id);
	}
	if (u->held)
		pthread_mutex_unlock(&modes);
	u->held = false;
}
