/* SPDX-License-Identifier: MIT */
#include "cmd/workdir.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static const char prefix[] = "venvfs-work-";

/* What a killed command left: ours, and locked by nobody. */
static void sweep(const char *parent)
{
	auto_closedir DIR *d = opendir(parent);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		auto_close int fd = -1;
		struct stat st;

		if (!str_starts(e->d_name, prefix))
			continue;
		fd = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid())
			continue;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			io_remove_tree_at(dirfd(d), e->d_name);
	}
}

int workdir_make(struct workdir *w, struct diag *diag)
{
	const char *parent = getenv("TMPDIR");
	int r = 0;

	if (w->path)
		return 0;
	if (!parent || *parent != '/')
		parent = "/var/tmp";
	sweep(parent);
	if (asprintf(&w->path, "%s/%sXXXXXX", parent, prefix) < 0) {
		w->path = NULL;
		return -ENOMEM;
	}
	/* Between these two another command may sweep it away; then the next try is a new one. */
	for (int i = 0; i < 10; i++) {
		struct stat a, b;

		memset(w->path + strlen(w->path) - 6, 'X', 6);
		if (!mkdtemp(w->path)) {
			r = -errno;
			break;
		}
		w->fd = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (w->fd >= 0 && flock(w->fd, LOCK_EX) == 0 && fstat(w->fd, &a) == 0 &&
			stat(w->path, &b) == 0 && a.st_ino == b.st_ino)
			return 0;
		r = -errno;
		cleanup_close(&w->fd);
	}
	diag_errno(diag, r,
		"can not make a directory in %s (set TMPDIR to one that can be written)", parent);
	free(w->path);
	*w = (struct workdir){.fd = -1};
	return r < 0 ? r : -EIO;
}

void workdir_free(struct workdir *w)
{
	if (!w->path)
		return;
	io_remove_tree_at(AT_FDCWD, w->path);
	cleanup_close(&w->fd);
	free(w->path);
	*w = (struct workdir){.fd = -1};
}

int workdir_sub(struct workdir *w, const char *name, char **ret, struct diag *diag)
{
	char *path;

	if (asprintf(&path, "%s/%s", w->path, name) < 0)
		return -ENOMEM;
	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		int r = diag_errno(diag, -errno, "can not make %s", path);

		free(path);
		return r;
	}
	*ret = path;
	return 0;
}
