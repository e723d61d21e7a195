/* SPDX-License-Identifier: MIT
 *
 * Two trees side by side: what the lower tree has under a path, and what shows there. They are the
 * same wherever no upper directory is, so only directories that the upper has are walked; and all
 * of those that were deleted, moved or replaced, since their files are to be told one by one.
 * Derived bytecode does not count: it comes and goes with its sources.
 */
#include "view/changes.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "view/export.h"
#include "view/listing.h"
#include "view/whiteout.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

enum { DEPTH_MAX = 300 };

struct reading {
	struct lower *lower;
	struct changes *ret;
	struct str path;
	unsigned depth;
};

/* One directory of both. */
struct pair {
	struct lower_dir *was;	 /* in the lower tree under this path, or NULL */
	struct lower_dir *shown; /* what shows of a lower directory here, or NULL */
	int upper;		 /* -1: the upper has none */
	struct listing names;	 /* the upper's */
};

static int walk(struct reading *k, struct pair *at);

static int add(struct reading *k, enum change_kind kind, const struct lower_entry *e, bool dir)
{
	struct changes *c = k->ret;
	char *path;

	if (array_grow(c->p, c->cap, c->n + 1) < 0 ||
		asprintf(&path, "%s%s", k->path.p, dir ? "/" : "") < 0)
		return -ENOMEM;
	c->p[c->n++] = (struct change){path, kind, (int)lower_owner(e)};
	return 0;
}

static int find(
	struct lower *l, struct lower_dir *dir, const char *name, const struct lower_entry **ret)
{
	int r;

	*ret = NULL;
	r = dir ? lower_lookup(l, dir, name, ret) : 0;
	if (r == 0 && *ret && (*ret)->derived)
		*ret = NULL;
	return r;
}

static bool is_dir(const struct lower_entry *e)
{
	return e && e->type == LOWER_DIR;
}

static struct lower_dir *dir_of(const struct lower_entry *e)
{
	return is_dir(e) ? e->dir : NULL;
}

/* What the lower tree has and nobody sees. */
static int deleted(struct reading *k, const struct lower_entry *e)
{
	struct pair below = {.was = dir_of(e), .upper = -1};

	return !e ? 0 : is_dir(e) ? walk(k, &below) : add(k, CHANGE_DELETED, e, false);
}

static bool has_xattrs(int fd)
{
	char names[4096], *end;
	ssize_t n = flistxattr(fd, names, sizeof names);

	if (n < 0)
		return errno == ERANGE;
	end = names + n;
	for (char *p = names; p < end; p += strlen(p) + 1)
		if (str_starts(p, "user."))
			return true;
	return false;
}

static int compare_file(
	const struct pair *at, const char *name, const struct lower_entry *e, enum change_kind *ret)
{
	const struct entry *was = &e->file_dist->manifest->entries[e->index];
	auto_close int fd = openat(at->upper, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct digest digest;
	struct stat st;
	int r;

	*ret = CHANGE_BYTES;
	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == EACCES ? 0 : -errno;
	if ((uint64_t)st.st_size != was->size)
		return 0;
	r = digest_fd(fd, 0, was->size, &digest);
	if (r < 0 || !digest_equal(&digest, &was->digest))
		return r;
	*ret = (st.st_mode & 07777) != (was->exec ? 0755u : 0644u) ? CHANGE_MODE
	       : has_xattrs(fd)					   ? CHANGE_XATTR
								   : CHANGE_NONE;
	return 0;
}

static int upper_file(struct reading *k, const struct pair *at, const char *name,
	const struct stat *st, const struct lower_entry *was)
{
	enum change_kind kind = was ? CHANGE_BYTES : CHANGE_ADDED;
	int r = 0;

	if (is_dir(was)) {
		r = deleted(k, was);
		return r < 0 ? r : add(k, CHANGE_ADDED, NULL, false);
	}
	if (was && was->type == LOWER_FILE && S_ISREG(st->st_mode))
		r = compare_file(at, name, was, &kind);
	return r < 0 ? r : add(k, kind, was, false);
}

static int upper_dir(struct reading *k, const struct pair *at, const char *name,
	const struct lower_entry *was, const struct lower_entry *below)
{
	auto_close int fd =
		openat(at->upper, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct pair next = {.was = dir_of(was), .upper = fd};
	size_t before = k->ret->n;
	int r;

	if (fd < 0)
		return -errno;
	r = export_through(k->lower, fd, below, &next.shown);
	if (r == 0 && was && !is_dir(was))
		r = add(k, CHANGE_DELETED, was, false);
	if (r == 0)
		r = walk(k, &next);
	if (r == 0 && !is_dir(was) && k->ret->n == before)
		r = add(k, CHANGE_ADDED, NULL, true);
	return r;
}

/* A lower directory's name that no upper one covers. */
static int lower_name(
	struct reading *k, const struct lower_entry *was, const struct lower_entry *shown)
{
	struct pair next = {.was = dir_of(was), .shown = dir_of(shown), .upper = -1};
	int r = 0;

	if (is_dir(shown)) {
		if (was && !is_dir(was))
			r = add(k, CHANGE_DELETED, was, false);
		return r < 0 ? r : walk(k, &next);
	}
	if (was == shown)
		return 0;
	if (is_dir(was))
		r = deleted(k, was);
	return r < 0 ? r
		     : add(k, was && !is_dir(was) ? CHANGE_BYTES : CHANGE_ADDED,
			       is_dir(was) ? NULL : was, false);
}

static int one_name(struct reading *k, struct pair *at, const char *name)
{
	const struct lower_entry *was, *shown;
	char mark[NAME_MAX + 1];
	struct stat st;
	int r = find(k->lower, at->was, name, &was);

	if (r == 0)
		r = find(k->lower, at->shown, name, &shown);
	if (r < 0)
		return r;
	if (shown && whiteout_name(name, mark) == 0 && listing_have(&at->names, mark))
		shown = NULL;
	if (listing_have(&at->names, name)) {
		if (fstatat(at->upper, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return S_ISDIR(st.st_mode) ? upper_dir(k, at, name, was, shown)
						   : upper_file(k, at, name, &st, was);
		if (errno != ENOENT)
			return -errno;
	}
	return shown ? lower_name(k, was, shown) : deleted(k, was);
}

static int enter(struct reading *k, struct pair *at, const char *name)
{
	size_t before = k->path.len;
	int r = str_addf(&k->path, "%s%s", before ? "/" : "", name);

	if (r == 0)
		r = one_name(k, at, name);
	str_truncate(&k->path, before);
	return r;
}

/* A name that the entries in front of `d` were asked about already. */
static bool in_lower(struct reading *k, struct lower_dir *d, const char *name)
{
	const struct lower_entry *e;

	return find(k->lower, d, name, &e) == 0 && e;
}

static int walk(struct reading *k, struct pair *at)
{
	int r = 0;

	if (at->upper < 0 && at->was == at->shown)
		return 0;
	if (++k->depth > DEPTH_MAX)
		return -ENAMETOOLONG;
	if (at->upper >= 0)
		r = listing_read(at->upper, &at->names);
	if (r == 0 && at->was)
		r = lower_load(k->lower, at->was);
	if (r == 0 && at->shown)
		r = lower_load(k->lower, at->shown);
	for (size_t i = 0; r == 0 && i < at->names.n; i++)
		if (!name_reserved(at->names.p[i]) &&
			(k->depth > 1 || strcmp(at->names.p[i], "pyvenv.cfg") != 0))
			r = enter(k, at, at->names.p[i]);
	for (size_t i = 0; r == 0 && at->was && i < at->was->n; i++)
		if (!at->was->entries[i].derived &&
			!listing_have(&at->names, at->was->entries[i].name))
			r = enter(k, at, at->was->entries[i].name);
	for (size_t i = 0; r == 0 && at->shown && at->shown != at->was && i < at->shown->n; i++)
		if (!at->shown->entries[i].derived &&
			!listing_have(&at->names, at->shown->entries[i].name) &&
			!in_lower(k, at->was, at->shown->entries[i].name))
			r = enter(k, at, at->shown->entries[i].name);
	listing_free(&at->names);
	k->depth--;
	return r;
}

static int by_path(const void *a, const void *b)
{
	const struct change *x = a, *y = b;
	int c = strcmp(x->path, y->path);

	return c ? c : (int)y->kind - (int)x->kind;
}

int changes_read(struct lower *l, int upper, struct changes *ret)
{
	struct reading k = {.lower = l, .ret = ret};
	struct pair top = {.was = lower_root(l), .shown = lower_root(l), .upper = upper};
	int r = walk(&k, &top);

	str_free(&k.path);
	if (r == 0 && ret->n)
		qsort(ret->p, ret->n, sizeof *ret->p, by_path);
	return r;
}

void changes_free(struct changes *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->p[i].path);
	free(c->p);
	*c = (struct changes){0};
}
