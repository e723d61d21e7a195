/* SPDX-License-Identifier: MIT */
#include "cmd/envs.h"

#include "base/cleanup.h"
#include "base/mounts.h"
#include "base/str.h"

#include <fcntl.h>
#include <string.h>

enum { DEPTH_MAX = 32 };

struct walk {
	const char *root;
	int (*each)(void *arg, const char *name);
	void *arg;
	struct diag *diag;
};

static int walk(const struct walk *w, int at, const char *sub, unsigned depth)
{
	auto_closedir DIR *d = NULL;
	auto_close int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;

	if (fd < 0 || !(d = fdopendir(fd)))
		return diag_errno(w->diag, -errno, "%s/%s", w->root, sub);
	fd = -1;
	while ((errno = 0, e = readdir(d))) {
		auto_str struct str name = {0};
		auto_close int dir = -1;
		int r = 0;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
			str_starts(e->d_name, ".wh.") || str_starts(e->d_name, ".venvfs") ||
			(e->d_type != DT_DIR && e->d_type != DT_UNKNOWN))
			continue;
		dir = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir < 0)
			continue; /* no directory, or not ours to read */
		if (str_addf(&name, "%s%s%s", sub, *sub ? "/" : "", e->d_name) < 0)
			return -ENOMEM;
		if (faccessat(dir, "pyvenv.cfg", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			r = w->each(w->arg, name.p);
		else if (depth < DEPTH_MAX)
			r = walk(w, dir, name.p, depth + 1);
		if (r != 0)
			return r;
	}
	return errno ? diag_errno(w->diag, -errno, "%s/%s", w->root, sub) : 0;
}

int envs_each(
	const char *root, int (*each)(void *arg, const char *name), void *arg, struct diag *diag)
{
	const struct walk w = {root, each, arg, diag};
	auto_close int fd = -1;

	/* A directory that the kernel still has in memory can be opened and listed. */
	if (mounts_is_dead(root))
		return diag_set(diag, -ENOTCONN,
			"%s: the daemon of this mount is gone; `venvfs mount` starts it again",
			root);
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return diag_errno(diag, -errno, "%s", root);
	return walk(&w, fd, "", 0);
}
