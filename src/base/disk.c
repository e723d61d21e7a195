/* SPDX-License-Identifier: MIT */
#include "base/disk.h"

#include "base/array.h"
#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 256, BLOCK = 512 };

struct linked {
	dev_t dev;
	ino_t ino;
};

struct count {
	uint64_t bytes;
	struct linked *links;
	size_t n_links, cap_links;
};

/* 1: a name of a file that was counted under another one; 0: it is new. */
static int is_again(struct count *c, const struct stat *st)
{
	int r;

	for (size_t i = 0; i < c->n_links; i++)
		if (c->links[i].dev == st->st_dev && c->links[i].ino == st->st_ino)
			return 1;
	r = array_grow(c->links, c->cap_links, c->n_links + 1);
	if (r == 0)
		c->links[c->n_links++] = (struct linked){st->st_dev, st->st_ino};
	return r;
}

static int count_one(struct count *c, int at, const char *name, unsigned depth);

static int count_below(struct count *c, int at, const char *name, unsigned depth)
{
	auto_close int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d)
		return -errno;
	fd = -1;
	if (depth == DEPTH_MAX)
		return -ELOOP;
	while ((errno = 0, e = readdir(d))) {
		int r;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		r = count_one(c, dirfd(d), e->d_name, depth + 1);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return -errno;
}

static int count_one(struct count *c, int at, const char *name, unsigned depth)
{
	struct stat st;
	int r = 0;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode) && st.st_nlink > 1)
		r = is_again(c, &st);
	if (r != 0)
		return r < 0 ? r : 0;
	c->bytes += (uint64_t)st.st_blocks * BLOCK;
	return S_ISDIR(st.st_mode) ? count_below(c, at, name, depth) : 0;
}

int disk_usage_at(int at, const char *path, uint64_t *ret)
{
	struct count c = {0};
	int r = count_one(&c, at, path, 0);

	free(c.links);
	if (r == 0)
		*ret = c.bytes;
	return r;
}
