/* SPDX-License-Identifier: MIT
 *
 * Every step is by name within an open directory and follows no link, since the tree belongs to
 * whoever works in the environment.
 */
#include "cmd/private.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "py/name.h"
#include "py/scheme.h"
#include "view/whiteout.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

enum { DEPTH_MAX = 256 };

/* files with several names, to get several names again */
struct linked {
	dev_t dev;
	ino_t ino;
	char *path; /* of the first copy, from the top */
};

struct copy {
	int top; /* of the copy */
	struct linked *links;
	size_t n_links, cap_links;
	size_t n;
	struct diag *diag;
};

static int copy_xattrs(int in, int out)
{
	auto_free char *names = malloc(XATTR_LIST_MAX), *value = malloc(XATTR_SIZE_MAX);
	ssize_t n;

	if (!names || !value)
		return -ENOMEM;
	n = flistxattr(in, names, XATTR_LIST_MAX);
	if (n < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (char *name = names; name < names + n; name += strlen(name) + 1) {
		ssize_t size;

		if (!str_starts(name, "user."))
			continue;
		size = fgetxattr(in, name, value, XATTR_SIZE_MAX);
		if (size < 0 && errno == ENODATA)
			continue;
		if (size < 0 || fsetxattr(out, name, value, (size_t)size, 0) < 0)
			return -errno;
	}
	return 0;
}

static int copy_attributes(int in, int out, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	mode_t mode = st->st_mode & 07777;
	int r = copy_xattrs(in, out);

	/* who could not give a file to its owner must not make it run as himself */
	if (st->st_uid != geteuid() || st->st_gid != getegid())
		mode &= ~(mode_t)(S_ISUID | S_ISGID);
	if (r == 0 && fchmod(out, mode) < 0)
		r = -errno;
	if (r == 0 && futimens(out, times) < 0)
		r = -errno;
	return r;
}

static int copy_file(int from, int to, const char *name)
{
	auto_close int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_close int out = -1;
	struct stat st;
	int r;

	if (in < 0 || fstat(in, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ESTALE;
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return -errno;
	r = io_copy(in, 0, out, 0, (uint64_t)st.st_size);
	return r < 0 ? r : copy_attributes(in, out, &st);
}

static int copy_symlink(int from, int to, const char *name, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	char target[4096];
	ssize_t n = readlinkat(from, name, target, sizeof target);

	if (n < 0)
		return -errno;
	if (n == sizeof target)
		return -ENAMETOOLONG;
	target[n] = '\0';
	if (symlinkat(target, to, name) < 0)
		return -errno;
	return utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* 1: it was copied already under another name, and is linked; 0: the copy is to be made. */
static int link_again(
	struct copy *c, int to, const char *name, const char *path, const struct stat *st)
{
	int r;

	for (size_t i = 0; i < c->n_links; i++)
		if (c->links[i].dev == st->st_dev && c->links[i].ino == st->st_ino)
			return linkat(c->top, c->links[i].path, to, name, 0) < 0 ? -errno : 1;
	r = array_grow(c->links, c->cap_links, c->n_links + 1);
	if (r < 0)
		return r;
	c->links[c->n_links] = (struct linked){st->st_dev, st->st_ino, strdup(path)};
	if (!c->links[c->n_links].path)
		return -ENOMEM;
	c->n_links++;
	return 0;
}

static int copy_dir(struct copy *c, int from, int to, const char *path, unsigned depth);

static int copy_below(struct copy *c, int from, int to, const char *name, const char *path,
	const struct stat *st, unsigned depth)
{
	auto_close int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_close int out = -1;
	int r;

	if (in < 0 || mkdirat(to, name, 0700) < 0)
		return -errno;
	out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0)
		return -errno;
	r = copy_dir(c, in, out, path, depth + 1);
	return r < 0 ? r : copy_attributes(in, out, st);
}

static int copy_one(
	struct copy *c, int from, int to, const char *name, const char *path, unsigned depth)
{
	struct stat st;
	int r = 0;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	c->n++;
	if (S_ISDIR(st.st_mode))
		return copy_below(c, from, to, name, path, &st, depth);
	if (st.st_nlink > 1)
		r = link_again(c, to, name, path, &st);
	if (r != 0)
		return r < 0 ? r : 0;
	if (S_ISREG(st.st_mode))
		return copy_file(from, to, name);
	if (S_ISLNK(st.st_mode))
		return copy_symlink(from, to, name, &st);
	if (S_ISFIFO(st.st_mode))
		return mkfifoat(to, name, st.st_mode & 0777) < 0 ? -errno : 0;
	c->n--;
	return 0; /* a socket is its process's, and devices are nobody's business here */
}

static int copy_dir(struct copy *c, int from, int to, const char *path, unsigned depth)
{
	auto_close int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *d = NULL;
	struct dirent *e;

	if (depth > DEPTH_MAX)
		return diag_set(c->diag, -ELOOP, "%s: nested too deeply", path);
	if (fd < 0 || !(d = fdopendir(fd)))
		return -errno;
	fd = -1;
	while ((errno = 0, e = readdir(d))) {
		auto_str struct str below = {0};
		int r;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
			name_temporary(e->d_name))
			continue;
		if (depth == 0 &&
			(strcmp(e->d_name, "pyvenv.cfg") == 0 || strcmp(e->d_name, ".venvfs") == 0))
			continue;
		if (str_addf(&below, "%s%s%s", path, *path ? "/" : "", e->d_name) < 0)
			return -ENOMEM;
		r = copy_one(c, from, to, e->d_name, below.p, depth);
		if (r < 0)
			return c->diag && c->diag->text[0]
				       ? r
				       : diag_errno(c->diag, r, "can not copy %s", below.p);
	}
	return -errno;
}

int private_copy(int from, int to, size_t *ret_n, struct diag *diag)
{
	struct diag why = {{0}};
	struct copy c = {.top = to, .diag = &why};
	int r = copy_dir(&c, from, to, "", 0);

	if (r == 0 && c.n && syncfs(to) < 0)
		r = diag_errno(&why, -errno, "can not write the private files");
	for (size_t i = 0; i < c.n_links; i++)
		free(c.links[i].path);
	free(c.links);
	if (r < 0)
		return diag_set(diag, r, "%s", diag_text(&why, r));
	*ret_n = c.n;
	return 0;
}

void private_dists(int upper, const char *site,
	void (*each)(void *arg, const char *name, bool uninstalled), void *arg)
{
	auto_close int fd = io_open_beneath(upper, site, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	auto_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d)
		return;
	fd = -1;
	while ((e = readdir(d))) {
		const char *gone = whiteout_of(e->d_name), *name = gone ? gone : e->d_name;
		const char *dash = strchr(name, '-');
		auto_str struct str normal = {0};

		if (dash && str_ends(name, ".dist-info") &&
			name_normalize(name, (size_t)(dash - name), &normal) == 0)
			each(arg, normal.p, gone != NULL);
	}
}

struct note {
	const char *env;
	const struct lock *lock;
};

static void tell_hidden(void *arg, const char *name, bool uninstalled)
{
	const struct note *n = arg;

	if (!lock_find(n->lock, name))
		return;
	if (uninstalled)
		cmd_fail(
			"%s stays hidden in %s, as it was uninstalled there; `venvfs diff` tells what "
			"is deleted, `venvfs reset` takes that back",
			name, n->env);
	else
		cmd_fail("%s is installed in %s privately too, and that one shows; `pip uninstall "
			 "%s` there takes it away",
			name, n->env, name);
}

static void tell_left_out(void *arg, const char *name, bool uninstalled)
{
	const struct note *n = arg;

	if (!uninstalled && !(n->lock && lock_find(n->lock, name)))
		cmd_fail("%s is private to %s, and not in the file; `venvfs harvest %s` tells why",
			name, n->env, n->env);
}

static void note(const struct env_path *p, const struct interpreter *py, const struct lock *lock,
	void (*tell)(void *arg, const char *name, bool uninstalled))
{
	struct note n = {.env = p->path, .lock = lock};
	auto_close int upper = cmd_open_upper(p, NULL);
	auto_str struct str site = {0};

	if (upper >= 0 && scheme_dir(py, TREE_SITE, "", &site) == 0)
		private_dists(upper, site.p, tell, &n);
}

void private_note(const struct env_path *p, const struct interpreter *py, const struct lock *lock)
{
	note(p, py, lock, tell_hidden);
}

void private_note_left_out(
	const struct env_path *p, const struct interpreter *py, const struct lock *lock)
{
	note(p, py, lock, tell_left_out);
}
