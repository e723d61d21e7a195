/* SPDX-License-Identifier: MIT
 *
 * Made, opened and locked are three steps, and a sweep may come between any two: so the owner
 * looks, once it has the lock, whether the directory is still the one under its name.
 */
#include "store/lease.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>

static int open_dir(int at, const char *name)
{
	return io_open_beneath(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
}

static bool is_there(int tmp, const char *name, int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(tmp, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* What can not be removed now is left to the next one: it is in nobody's way. */
static int sweep(const struct tier *t, int tmp)
{
	auto_names struct names names = {0};
	int r = tier_list(t, "tmp", &names);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		auto_close int fd = open_dir(tmp, names.v[i]);

		if (fd == -ENOTDIR || fd == -ELOOP)
			unlinkat(tmp, names.v[i], 0);
		else if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
			 is_there(tmp, names.v[i], fd))
			io_remove_tree_at(tmp, names.v[i]);
	}
	return r;
}

static int try_take(int tmp, struct lease *ret)
{
	auto_close int fd = -1;
	struct lease l = {.fd = -1, .tmp = -1};
	uint64_t random;

	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return -errno;
	snprintf(l.name, sizeof l.name, "%d-%016llx", (int)getpid(), (unsigned long long)random);
	if (mkdirat(tmp, l.name, 0700) < 0)
		return errno == EEXIST ? -EAGAIN : -errno;
	fd = open_dir(tmp, l.name);
	if (fd == -ENOENT)
		return -EAGAIN;
	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (!is_there(tmp, l.name, fd))
		return -EAGAIN;
	*ret = l;
	ret->fd = steal_fd(&fd);
	return 0;
}

int lease_take(const struct tier *t, struct lease *ret)
{
	auto_close int tmp = -1;
	int r = tier_make_dir(t, "tmp", &tmp);

	if (r == 0)
		r = sweep(t, tmp);
	if (r < 0)
		return r;
	do
		r = try_take(tmp, ret);
	while (r == -EAGAIN);
	if (r == 0)
		ret->tmp = steal_fd(&tmp);
	return r;
}

void lease_end(struct lease *l)
{
	if (l->fd < 0)
		return;
	io_remove_tree_at(l->tmp, l->name);
	close(l->fd);
	close(l->tmp);
	*l = (struct lease){.fd = -1, .tmp = -1};
}
