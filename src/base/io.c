/* SPDX-License-Identifier: MIT */
#include "base/io.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>

ssize_t io_pread_full(int fd, void *buf, size_t n, off_t off)
{
	size_t done = 0;

	while (done < n) {
		ssize_t k = pread(fd, (char *)buf + done, n - done, off + (off_t)done);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		if (k == 0)
			break;
		done += (size_t)k;
	}
	return (ssize_t)done;
}

int io_write_full(int fd, const void *buf, size_t n)
{
	while (n) {
		ssize_t k = write(fd, buf, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		buf = (const char *)buf + k;
		n -= (size_t)k;
	}
	return 0;
}

int io_pwrite_full(int fd, const void *buf, size_t n, off_t off)
{
	while (n) {
		ssize_t k = pwrite(fd, buf, n, off);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		buf = (const char *)buf + k;
		n -= (size_t)k;
		off += k;
	}
	return 0;
}

static ssize_t read_some(int fd, void *buf, size_t n)
{
	ssize_t k;

	do
		k = read(fd, buf, n);
	while (k < 0 && errno == EINTR);
	return k < 0 ? -errno : k;
}

int io_slurp(int fd, size_t max, struct str *ret)
{
	auto_str struct str s = {0};
	struct stat st;
	bool pipe;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (st.st_size > 0 && (uint64_t)st.st_size > max)
		return -EFBIG;
	if (str_reserve(&s, (size_t)st.st_size + 1) < 0)
		return -ENOMEM;
	pipe = lseek(fd, 0, SEEK_CUR) < 0 && errno == ESPIPE;
	for (;;) {
		ssize_t k;

		if (str_reserve(&s, 4096) < 0)
			return -ENOMEM;
		k = pipe ? read_some(fd, s.p + s.len, s.cap - s.len - 1)
			 : io_pread_full(fd, s.p + s.len, s.cap - s.len - 1, (off_t)s.len);
		if (k < 0)
			return (int)k;
		if (k == 0)
			break;
		s.len += (size_t)k;
		if (s.len > max)
			return -EFBIG;
	}
	s.p[s.len] = '\0';
	str_free(ret);
	*ret = s;
	s = (struct str){0};
	return 0;
}

int io_slurp_at(int dirfd, const char *path, size_t max, struct str *ret)
{
	auto_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd < 0 ? -errno : io_slurp(fd, max, ret);
}

int io_slurp_path(const char *path, size_t max, struct str *ret)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : io_slurp(fd, max, ret);
}

static int copy_by_buffer(int in, off_t in_off, int out, off_t out_off, uint64_t n)
{
	const size_t size = 1 << 18;
	auto_free char *buf = malloc(size);

	if (!buf)
		return -ENOMEM;
	while (n) {
		size_t want = n < size ? (size_t)n : size;
		ssize_t k = io_pread_full(in, buf, want, in_off);
		int r;

		if (k < 0)
			return (int)k;
		if ((size_t)k < want)
			return -EIO;
		r = io_pwrite_full(out, buf, want, out_off);
		if (r < 0)
			return r;
		in_off += k;
		out_off += k;
		n -= (uint64_t)k;
	}
	return 0;
}

int io_copy(int in, off_t in_off, int out, off_t out_off, uint64_t n)
{
	struct file_clone_range range = {
		.src_fd = in,
		.src_offset = (uint64_t)in_off,
		.src_length = n,
		.dest_offset = (uint64_t)out_off,
	};

	if (n == 0)
		return 0;
	if (ioctl(out, FICLONERANGE, &range) == 0)
		return 0;
	while (n) {
		size_t want = n < (1u << 30) ? (size_t)n : 1u << 30;
		ssize_t k = copy_file_range(in, &in_off, out, &out_off, want, 0);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return copy_by_buffer(in, in_off, out, out_off, n);
		if (k == 0)
			return -EIO;
		n -= (uint64_t)k;
	}
	return 0;
}

static int open_beneath(int dirfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)flags,
		.mode = flags & (O_CREAT | O_TMPFILE) & ~O_DIRECTORY ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	do
		fd = (int)syscall(SYS_openat2, dirfd, *path ? path : ".", &how, sizeof how);
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : fd;
}

/* The kernel takes PATH_MAX bytes at a time; a program that changes its directory goes deeper. */
int io_open_beneath(int dirfd, const char *path, int flags, mode_t mode)
{
	auto_close int at = -1;
	char part[PATH_MAX];
	size_t n;

	while (strlen(path) >= sizeof part) {
		const char *slash = memrchr(path, '/', sizeof part - 1);
		int next;

		if (!slash)
			return -ENAMETOOLONG;
		n = (size_t)(slash - path);
		memcpy(part, path, n);
		part[n] = '\0';
		next = open_beneath(
			at >= 0 ? at : dirfd, part, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
		if (next < 0)
			return next;
		if (at >= 0)
			close(at);
		at = next;
		path = slash + 1;
	}
	return open_beneath(at >= 0 ? at : dirfd, path, flags, mode);
}

int io_mkdirs_at(int dirfd, const char *path, mode_t mode)
{
	auto_close int fd = -1;
	const char *part, *rest = path;
	size_t len;

	while ((part = path_next(&rest, &len))) {
		int at = fd >= 0 ? fd : dirfd, next;
		char name[NAME_MAX + 1];

		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, part, len);
		name[len] = '\0';
		if (mkdirat(at, name, mode) < 0 && errno != EEXIST)
			return -errno;
		next = io_open_beneath(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
		if (next < 0)
			return next;
		if (fd >= 0)
			close(fd);
		fd = next;
	}
	return 0;
}

int io_mkdir_p(const char *path, mode_t mode)
{
	auto_free char *p = strdup(path);
	struct stat st;

	if (!p)
		return -ENOMEM;
	for (char *slash = p; (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		if (mkdir(p, mode) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	if (mkdir(p, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (stat(p, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int io_fsync_dir_at(int dirfd, const char *path)
{
	auto_close int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

static uint64_t own_tag;

static void make_tag(void)
{
	struct timespec now;

	if (getrandom(&own_tag, sizeof own_tag, GRND_NONBLOCK) == sizeof own_tag)
		return;
	clock_gettime(CLOCK_REALTIME, &now); /* too early in a boot */
	own_tag = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void io_temp_name(char name[64], const char *kind)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static _Atomic unsigned serial;

	pthread_once(&once, make_tag);
	snprintf(name, 64, ".venvfs-tmp.%d.%s%016llx.%u", (int)getpid(), kind,
		(unsigned long long)own_tag, serial++);
}

int io_publish_at(int dirfd, const char *name, const void *buf, size_t n, mode_t mode)
{
	char tmp[64];
	auto_close int fd = -1;
	int r;

	io_temp_name(tmp, "");
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	r = io_write_full(fd, buf, n);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && close(steal_fd(&fd)) < 0)
		r = -errno;
	if (r == 0 && renameat(dirfd, tmp, dirfd, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dirfd, tmp, 0);
		return r;
	}
	return io_fsync_dir_at(dirfd, ".");
}

int io_remove_tree_at(int at, const char *path)
{
	auto_closedir DIR *d = NULL;
	auto_close int fd = -1;
	struct dirent *e;

	if (unlinkat(at, path, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	d = fdopendir(fd);
	if (!d)
		return -errno;
	fd = -1;
	while (errno = 0, (e = readdir(d))) {
		int r;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		r = io_remove_tree_at(dirfd(d), e->d_name);
		if (r < 0)
			return r;
	}
	if (errno)
		return -errno;
	if (unlinkat(at, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}
