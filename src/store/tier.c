/* SPDX-License-Identifier: MIT
 *
 * The list's directories are trusted as a whole: what the owner of a tier wrote there is
 * believed, so that a daemon need not hash gigabytes before it serves a byte. Therefore
 * a directory that someone else owns, or could have written, is refused at once.
 */
#include "store/tier.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/io.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#define TEMPORARY ".venvfs-tmp." /* io_publish_at() */

static const char version_text[] = "venvfs-store 1\n";
static const char cachedir_text[] =
	"Signature: 8a477f597d28d172789f06886806bc55\n"
	"# This directory is a store of venvfs: what it holds can be had again.\n"
	"# See https://bford.info/cachedir/ for what this file is.\n";
static const char *const directories[] = {"blobs", "dists", "locks", "notes", "pyc", "roots", "tmp"};
enum { N_DIRECTORIES = sizeof directories / sizeof *directories };

bool tier_trusts(const struct stat *st)
{
	return (st->st_uid == geteuid() || st->st_uid == 0) &&
	       !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static int check_directory(const char *path, const struct stat *st, struct diag *diag)
{
	if (!S_ISDIR(st->st_mode))
		return diag_set(diag, -ENOTDIR, "%s is not a directory", path);
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return diag_set(diag, -EPERM,
			"%s belongs to user %u: a store must be yours or root's", path, st->st_uid);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return diag_set(diag, -EPERM,
			"others may write to %s, so nothing in it can be trusted: chmod go-w %s",
			path, path);
	return 0;
}

/* Nothing but what a store that is being made begins with. */
static int is_new(const struct tier *t)
{
	auto_names struct names names = {0};
	int r = tier_list(t, ".", &names);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		/* the version too: another process may have come to the end of this since */
		bool known = strcmp(names.v[i], "CACHEDIR.TAG") == 0 ||
			     strcmp(names.v[i], "store-version") == 0;

		for (size_t k = 0; k < N_DIRECTORIES; k++)
			known = known || strcmp(names.v[i], directories[k]) == 0;
		if (!known)
			return 0;
	}
	return r < 0 ? r : 1;
}

static int make_store(const struct tier *t)
{
	int r = io_publish_at(t->fd, "CACHEDIR.TAG", cachedir_text, sizeof cachedir_text - 1, 0644);

	for (size_t i = 0; r == 0 && i < N_DIRECTORIES; i++)
		if (mkdirat(t->fd, directories[i], 0755) < 0 && errno != EEXIST)
			r = -errno;
	if (r == 0)
		r = io_publish_at(t->fd, "store-version", version_text, sizeof version_text - 1, 0644);
	if (r == 0)
		r = io_fsync_dir_at(t->fd, "..");
	return r == -EACCES ? 0 : r; /* a parent that we may not read */
}

static int check_version(const struct tier *t, bool own, struct diag *diag)
{
	auto_str struct str s = {0};
	int r = tier_read(t, "store-version", 4096, &s, NULL);

	if (r == -ENOENT && own) {
		r = is_new(t);
		if (r == 0)
			return diag_set(diag, -EPROTO,
				"%s is not empty and not a store of venvfs; give an empty or a new "
				"directory",
				t->path);
		if (r > 0)
			r = make_store(t);
		return r < 0 ? diag_errno(diag, r, "can not make a store in %s", t->path) : 0;
	}
	if (r == -ENOENT)
		return diag_set(diag, -EPROTO,
			"%s is not a store of venvfs: it has no file store-version", t->path);
	if (r < 0)
		return diag_errno(diag, r, "%s/store-version", t->path);
	if (s.len != sizeof version_text - 1 || memcmp(s.p, version_text, s.len) != 0)
		return diag_set(diag, -EPROTO,
			"%s is a store of a kind that this venvfs does not know (store-version "
			"says so); use the venvfs that made it, or a newer one",
			t->path);
	return 0;
}

/* Where the top lets others in, the directories below are looked at as well. */
static int check_below(const struct tier *t, struct diag *diag)
{
	for (size_t i = 0; i < N_DIRECTORIES; i++) {
		char path[PATH_MAX];
		struct stat st;
		int r;

		if (fstatat(t->fd, directories[i], &st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT)
				continue;
			return diag_errno(diag, -errno, "%s/%s", t->path, directories[i]);
		}
		snprintf(path, sizeof path, "%s/%s", t->path, directories[i]);
		r = check_directory(path, &st, diag);
		if (r < 0)
			return r;
	}
	return 0;
}

int tier_open(const char *path, bool own, struct tier *ret, struct diag *diag)
{
	struct tier t = {.fd = -1};
	auto_free char *copy = strdup(path);
	auto_close int fd = -1;
	struct stat st;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && own) {
		r = io_mkdir_p(path, 0700);
		if (r < 0)
			return diag_errno(diag, r, "can not make the store %s", path);
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return diag_errno(diag, -errno, "can not open the store %s", path);
	t = (struct tier){.path = copy, .fd = fd};
	r = check_directory(path, &st, diag);
	if (r == 0)
		r = check_version(&t, own, diag);
	if (r == 0 && st.st_mode & 077)
		r = check_below(&t, diag);
	if (r < 0)
		return r;
	ret->path = steal_ptr(copy);
	ret->fd = steal_fd(&fd);
	return 0;
}

void tier_close(struct tier *t)
{
	free(t->path);
	if (t->fd >= 0)
		close(t->fd);
	*t = (struct tier){.fd = -1};
}

int tier_open_file(const struct tier *t, const char *path, int *ret_fd, struct stat *ret_st)
{
	auto_close int fd = -1;
	struct stat st;

	if (!tier_exists(t))
		return -ENOENT;
	/* O_NONBLOCK: a FIFO is refused below, not waited for */
	fd = io_open_beneath(t->fd, path,
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (fd == -ELOOP || fd == -EXDEV || fd == -ENXIO)
		return -EBADMSG;
	if (fd == -ENOTDIR)
		return -ENOENT;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	if (!tier_trusts(&st))
		return -EPERM;
	*ret_fd = steal_fd(&fd);
	*ret_st = st;
	return 0;
}

int tier_read(const struct tier *t, const char *path, size_t max, struct str *ret,
	struct stat *ret_st)
{
	auto_close int fd = -1;
	struct stat st;
	int r = tier_open_file(t, path, &fd, &st);

	if (r == 0)
		r = io_slurp(fd, max, ret);
	if (r == 0 && ret_st)
		*ret_st = st;
	return r;
}

int tier_make_dir(const struct tier *t, const char *path, int *ret_fd)
{
	auto_close int fd = -1;
	const char *part, *rest = path;
	size_t len;
	int whole;

	if (!tier_exists(t))
		return -EROFS;
	whole = io_open_beneath(t->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (whole != -ENOENT)
		return whole < 0 ? whole : (*ret_fd = whole, 0);
	fd = io_open_beneath(t->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	while ((part = path_next(&rest, &len))) {
		char name[NAME_MAX + 1];
		int next;

		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, part, len);
		name[len] = '\0';
		if (mkdirat(fd, name, 0755) == 0) {
			if (fsync(fd) < 0)
				return -errno;
		} else if (errno != EEXIST) {
			return -errno;
		}
		next = io_open_beneath(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
		if (next < 0)
			return next;
		close(fd);
		fd = next;
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

bool tier_name_ok(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > NAME_MAX || name[0] == '.')
		return false;
	for (size_t i = 0; i < n; i++)
		if (name[i] == '/' || (unsigned char)name[i] < ' ' || name[i] == 0x7f)
			return false;
	return true;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int tier_list(const struct tier *t, const char *path, struct names *ret)
{
	auto_names struct names names = {0};
	auto_closedir DIR *d = NULL;
	struct dirent *e;
	int fd;

	*ret = names;
	if (!tier_exists(t))
		return 0;
	fd = io_open_beneath(t->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd == -ELOOP ? -ENOTDIR : fd;
	d = fdopendir(fd);
	if (!d) {
		int r = -errno;

		close(fd);
		return r;
	}
	while (errno = 0, (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
			str_starts(e->d_name, TEMPORARY))
			continue;
		if (array_grow(names.v, names.cap, names.n + 1) < 0)
			return -ENOMEM;
		names.v[names.n] = strdup(e->d_name);
		if (!names.v[names.n])
			return -ENOMEM;
		names.n++;
	}
	if (errno)
		return -errno;
	if (names.n)
		qsort(names.v, names.n, sizeof *names.v, compare_names);
	*ret = names;
	names = (struct names){0};
	return 0;
}

void names_free(struct names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->v[i]);
	free(n->v);
	*n = (struct names){0};
}
