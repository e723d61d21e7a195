/* SPDX-License-Identifier: MIT
 *
 * The rule of merge.c (upper, whiteout, lower) applied to a whole tree at once, with an ordinary
 * directory to write to in the kernel's place.
 */
#include "view/export.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "view/listing.h"
#include "view/whiteout.h"

#include <fcntl.h>
#include <string.h>

enum { DEPTH_MAX = 300 }; /* each level holds two descriptors */

struct job {
	struct lower *lower;
	struct generate_env env;
	struct stat dest;
	struct str path; /* where it is, for messages */
	struct diag *diag;
};

/* One directory of the environment. */
struct level {
	const struct level *above;
	int out;
	int upper;		 /* -1: the upper has no such directory */
	struct lower_dir *lower; /* what shows through it, or NULL */
	struct listing names;	 /* the upper's, sorted */
	unsigned depth;
};

static int emit(struct job *job, struct level *at);

static int fail(const struct job *job, int err)
{
	if (job->diag && job->diag->text[0])
		return err;
	return diag_errno(job->diag, err, "%s/%s", job->env.path, job->path.p ? job->path.p : "");
}

/* Whether the upper of that directory deletes the name. */
static bool is_whited_out(const struct level *at, const char *name)
{
	char mark[NAME_MAX + 1];

	return at->names.n && whiteout_name(name, mark) == 0 && listing_have(&at->names, mark);
}

static bool shows_lower(const struct level *at, const char *name)
{
	return !listing_have(&at->names, name) && !is_whited_out(at, name);
}

/* The lower tree has seen to it that "mod.cpython-311.pyc" belongs to its mod.py; `at`,
 * __pycache__'s parent, must not have another (see merge.c). */
static bool source_lets(const struct level *at, const char *pyc)
{
	char name[NAME_MAX + 4];
	const char *tag = strrchr(pyc, '.');

	while (tag && tag > pyc && *--tag != '.')
		;
	if (!tag || tag - pyc > NAME_MAX)
		return false;
	memcpy(name, pyc, (size_t)(tag - pyc));
	strcpy(name + (tag - pyc), ".py");
	return !listing_have(&at->names, name);
}

static bool derived_shows(
	const struct level *above, const struct lower_dir *pycache, const char *pyc)
{
	return above && above->lower == pycache->parent && source_lets(above, pyc);
}

static int new_file(const struct level *at, const char *name)
{
	int fd = openat(at->out, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

/* Gives the file its mode and time (NULL: that of writing), and closes it. */
static int finish_file(int *fd, mode_t mode, const struct timespec *time)
{
	int r = fchmod(*fd, mode) < 0 ? -errno : 0;

	if (r == 0 && time && futimens(*fd, (struct timespec[2]){*time, *time}) < 0)
		r = -errno;
	if (close(steal_fd(fd)) < 0 && r == 0)
		r = -errno;
	return r;
}

static int put_text(const struct level *at, const char *name, const struct str *text, mode_t mode)
{
	auto_close int fd = new_file(at, name);
	int r;

	if (fd < 0)
		return fd;
	r = io_write_full(fd, text->p, text->len);
	return r < 0 ? r : finish_file(&fd, mode, NULL);
}

static int put_store_file(const struct level *at, const struct lower_entry *e)
{
	const struct entry *file = &e->file_dist->manifest->entries[e->index];
	auto_close int fd = new_file(at, e->name);
	struct extent x;
	int r;

	if (fd < 0)
		return fd;
	r = dist_extent(e->file_dist, e->index, &x);
	if (r < 0)
		return r;
	r = io_copy(x.fd, x.off, fd, 0, x.size);
	extent_release(&x);
	return r < 0 ? r : finish_file(&fd, file->exec ? 0755 : 0644, &e->file_dist->mtime);
}

static int put_generated(struct job *job, const struct level *at, const struct lower_entry *e)
{
	auto_str struct str text = {0};
	int r = generate(job->lower, e, &job->env, &text);

	return r < 0 ? r : put_text(at, e->name, &text, generate_mode(e));
}

static int put_upper_file(const struct level *at, const char *name)
{
	auto_close int in = openat(at->upper, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_close int fd = -1;
	struct stat st;
	int r;

	if (in < 0 || fstat(in, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EAGAIN; /* it was another when the directory was read */
	fd = new_file(at, name);
	if (fd < 0)
		return fd;
	r = io_copy(in, 0, fd, 0, (uint64_t)st.st_size);
	return r < 0 ? r : finish_file(&fd, st.st_mode & 0777, &st.st_mtim);
}

static int put_upper_link(const struct level *at, const char *name, const struct stat *st)
{
	const struct timespec times[2] = {st->st_mtim, st->st_mtim};
	char target[PATH_MAX];
	ssize_t n = readlinkat(at->upper, name, target, sizeof target);

	if (n < 0)
		return -errno;
	if ((size_t)n >= sizeof target)
		return -ENAMETOOLONG;
	target[n] = '\0';
	if (symlinkat(target, at->out, name) < 0 ||
		utimensat(at->out, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

int export_through(
	struct lower *l, int fd, const struct lower_entry *below, struct lower_dir **ret)
{
	auto_str struct str path = {0};
	struct stat st;
	int r;

	*ret = NULL;
	if (fstatat(fd, WHITEOUT_OPAQUE, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	r = io_slurp_at(fd, WHITEOUT_REDIRECT, PATH_MAX, &path);
	if (r == 0)
		return lower_walk(l, path.p, ret);
	if (r == -ENOENT && below && below->type == LOWER_DIR)
		*ret = below->dir;
	return r == -ENOENT ? 0 : r;
}

/* Makes the directory `name` and all in it. `below`: the lower entry of that name, if it shows or
 * would. */
static int put_dir(struct job *job, const struct level *at, const char *name, bool in_upper,
	const struct lower_entry *below)
{
	auto_close int out = -1, upper = -1;
	struct level next = {.above = at, .out = -1, .upper = -1, .depth = at->depth + 1};
	struct timespec times[2];
	struct stat st = {.st_mode = 0755};
	int r = 0;

	if (next.depth > DEPTH_MAX)
		return diag_set(job->diag, -ENAMETOOLONG, "%s: directories are nested too deep",
			job->path.p);
	if (in_upper) {
		upper = openat(at->upper, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (upper < 0 || fstat(upper, &st) < 0)
			return -errno;
		if (st.st_dev == job->dest.st_dev && st.st_ino == job->dest.st_ino)
			return diag_set(job->diag, -EINVAL,
				"%s lies in the environment itself: give a directory outside of it",
				job->env.path);
		next.upper = upper;
		r = export_through(job->lower, upper, below, &next.lower);
		if (r < 0)
			return r;
	} else {
		next.lower = below->dir;
	}
	if (mkdirat(at->out, name, 0700) < 0)
		return -errno;
	out = openat(at->out, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0)
		return -errno;
	next.out = out;
	r = emit(job, &next);
	if (r < 0)
		return r;
	if (fchmod(out, st.st_mode & 0777) < 0)
		return -errno;
	if (!in_upper && next.lower->merged)
		return 0;
	times[0] = times[1] = in_upper ? st.st_mtim : next.lower->mtime;
	return futimens(out, times) < 0 ? -errno : 0;
}

static int put_upper(struct job *job, const struct level *at, const char *name)
{
	const struct lower_entry *below = NULL;
	struct stat st;
	int r = 0;

	if (fstatat(at->upper, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISREG(st.st_mode))
		return put_upper_file(at, name);
	if (S_ISLNK(st.st_mode))
		return put_upper_link(at, name, &st);
	if (!S_ISDIR(st.st_mode))
		return mknodat(at->out, name, st.st_mode & (S_IFMT | 0777), st.st_rdev) < 0 ? -errno
											    : 0;
	if (at->lower && !is_whited_out(at, name))
		r = lower_lookup(job->lower, at->lower, name, &below);
	return r < 0 ? r : put_dir(job, at, name, true, below);
}

static int put_lower(struct job *job, const struct level *at, const struct lower_entry *e)
{
	switch ((enum lower_type)e->type) {
	case LOWER_DIR:
		return put_dir(job, at, e->name, false, e);
	case LOWER_FILE:
		if (e->derived && !derived_shows(at->above, at->lower, e->name))
			return 0;
		return put_store_file(at, e);
	case LOWER_LINK:
		return symlinkat(e->target, at->out, e->name) < 0 ? -errno : 0;
	case LOWER_GENERATED:
		return put_generated(job, at, e);
	}
	return -EINVAL;
}

static int enter(struct job *job, const char *name, size_t *ret_before)
{
	*ret_before = job->path.len;
	return str_addf(&job->path, "%s%s", job->path.len ? "/" : "", name);
}

/* Writes all that one directory shows. */
static int emit(struct job *job, struct level *at)
{
	size_t before;
	int r = 0;

	if (at->upper >= 0)
		r = listing_read(at->upper, &at->names);
	if (r == 0 && at->lower)
		r = lower_load(job->lower, at->lower);
	if (r < 0)
		r = fail(job, r);
	for (size_t i = 0; r == 0 && i < at->names.n; i++) {
		const char *name = at->names.p[i];

		if (name_reserved(name) || (!at->above && strcmp(name, "pyvenv.cfg") == 0))
			continue;
		r = enter(job, name, &before);
		if (r == 0)
			r = put_upper(job, at, name);
		if (r < 0)
			r = fail(job, r);
		str_truncate(&job->path, before);
	}
	for (size_t i = 0; r == 0 && at->lower && i < at->lower->n; i++) {
		const struct lower_entry *e = &at->lower->entries[i];

		if (!shows_lower(at, e->name))
			continue;
		r = enter(job, e->name, &before);
		if (r == 0)
			r = put_lower(job, at, e);
		if (r < 0)
			r = fail(job, r);
		str_truncate(&job->path, before);
	}
	listing_free(&at->names);
	return r;
}

int export_tree(
	struct lower *l, const struct generate_env *env, int upper, int out, struct diag *diag)
{
	struct diag unheard = {0};
	struct job job = {.lower = l, .env = *env, .diag = diag ? diag : &unheard};
	struct level top = {.out = out, .upper = upper, .lower = lower_root(l)};
	int r;

	job.diag->text[0] = '\0';
	r = fstat(out, &job.dest) < 0 ? fail(&job, -errno) : emit(&job, &top);
	str_free(&job.path);
	return r;
}
