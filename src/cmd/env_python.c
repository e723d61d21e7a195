/* SPDX-License-Identifier: MIT
 *
 * By the environment's ordinary path, mounted or not: over a link of the view the new file takes
 * its place by rename, as it does over an older copy, so a process that starts finds one or the
 * other.
 */
#include "cmd/env_python.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cmd/env_reset.h"
#include "py/scheme.h"

#include <fcntl.h>
#include <string.h>

bool env_python_is_own(const struct env_path *p, const struct interpreter *py)
{
	struct python_link *links;
	bool own = false;
	size_t n;

	if (scheme_python_links(py, &links, &n) < 0)
		return false;
	for (size_t i = 0; i < n && !own; i++) {
		auto_str struct str path = {0};
		struct stat st;

		own = str_addf(&path, "%s/bin/%s", p->path, links[i].name) == 0 &&
		      lstat(path.p, &st) == 0 && S_ISREG(st.st_mode);
	}
	python_links_free(links, n);
	return own;
}

static int copy_to(int bin, int from, uint64_t size, const char *name)
{
	auto_free char *tmp = NULL;
	auto_close int fd = -1;
	int r;

	if (asprintf(&tmp, ".%s.%ld", name, (long)getpid()) < 0)
		return tmp = NULL, -ENOMEM;
	fd = openat(bin, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0700);
	if (fd < 0)
		return -errno;
	r = io_copy(from, 0, fd, 0, size);
	if (r == 0 && (fchmod(fd, 0755) < 0 || fsync(fd) < 0))
		r = -errno;
	if (r == 0 && renameat(bin, tmp, bin, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(bin, tmp, 0);
	return r;
}

static int open_bin(const struct env_path *p)
{
	auto_str struct str path = {0};
	int r = str_addf(&path, "%s/bin", p->path), fd;

	if (r < 0)
		return r;
	if (mkdir(path.p, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path.p, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int env_python_copy(const struct env_path *p, const struct interpreter *py, struct diag *diag)
{
	auto_close int from = open(py->executable, O_RDONLY | O_CLOEXEC), bin = -1;
	struct python_link *links;
	struct stat st;
	size_t n;
	int r;

	if (from < 0 || fstat(from, &st) < 0)
		return diag_errno(diag, -errno, "%s", py->executable);
	bin = open_bin(p);
	if (bin < 0)
		return diag_errno(diag, bin, "%s/bin", p->path);
	r = scheme_python_links(py, &links, &n);
	if (r < 0)
		return diag_errno(diag, r, "%s", py->executable);
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = copy_to(bin, from, (uint64_t)st.st_size, links[i].name);
		if (r < 0)
			diag_errno(diag, r, "can not copy %s to %s/bin/%s", py->executable, p->path,
				links[i].name);
	}
	python_links_free(links, n);
	return r == 0 ? io_fsync_dir_at(bin, ".") : r;
}

int env_python_link(struct cmd_context *ctx, const struct env_path *p, const struct interpreter *py,
	struct diag *diag)
{
	struct python_link *links;
	size_t n;
	int r = scheme_python_links(py, &links, &n);

	if (r < 0)
		return diag_errno(diag, r, "%s", py->executable);
	for (size_t i = 0; r == 0 && i < n; i++) {
		auto_str struct str path = {0};

		r = str_addf(&path, "bin/%s", links[i].name);
		if (r == 0)
			r = env_reset(ctx, p, &(struct env_reset_path){path.p, false}, 1, diag);
	}
	python_links_free(links, n);
	return r;
}
