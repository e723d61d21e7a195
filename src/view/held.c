/* SPDX-License-Identifier: MIT */
#include "view/held.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "view/listing.h"
#include "view/whiteout.h"

#include <fcntl.h>
#include <string.h>

enum { DEPTH_MAX = 256 };

static int add(struct held_table *t, const char *dir, const char *name, enum held_kind kind,
	const struct stat *st)
{
	auto_str struct str path = {0};
	int r = str_addf(&path, "%s%s%s", dir, *dir && *name ? "/" : "", name);

	if (r == 0)
		r = array_grow(t->p, t->cap, t->n + 1);
	if (r < 0)
		return r;
	t->p[t->n] = (struct held){.kind = kind};
	if (st)
		t->p[t->n].st = *st;
	t->p[t->n].path = str_steal(&path);
	return t->p[t->n].path ? (t->n++, 0) : -ENOMEM;
}

static int read_dir(struct held_table *t, int dirfd, const char *dir, unsigned depth);

static int read_below(
	struct held_table *t, int dirfd, const char *dir, const char *name, unsigned depth)
{
	auto_close int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_str struct str path = {0};

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	if (str_addf(&path, "%s%s%s", dir, *dir ? "/" : "", name) < 0)
		return -ENOMEM;
	return read_dir(t, fd, path.p, depth + 1);
}

static int read_name(
	struct held_table *t, int dirfd, const char *dir, const char *name, unsigned depth)
{
	const char *gone = whiteout_of(name);
	struct stat st;
	int r;

	if (strcmp(name, WHITEOUT_OPAQUE) == 0)
		return add(t, dir, "", HELD_OPAQUE, NULL);
	if (strcmp(name, WHITEOUT_REDIRECT) == 0) {
		t->redirects = true;
		return add(t, dir, "", HELD_REDIRECT, NULL);
	}
	if (gone || str_starts(name, WHITEOUT_LONG))
		return add(t, dir, gone ? gone : name, HELD_WHITEOUT, NULL);
	t->temporaries |= name_temporary(name);
	if (name_reserved(name))
		return 0;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	r = add(t, dir, name,
		S_ISREG(st.st_mode)   ? HELD_FILE
		: S_ISDIR(st.st_mode) ? HELD_DIR
		: S_ISLNK(st.st_mode) ? HELD_LINK
				      : HELD_OTHER,
		&st);
	return r == 0 && S_ISDIR(st.st_mode) ? read_below(t, dirfd, dir, name, depth) : r;
}

static int read_dir(struct held_table *t, int dirfd, const char *dir, unsigned depth)
{
	struct listing l = {0};
	int r = depth > DEPTH_MAX ? -ENAMETOOLONG : listing_read(dirfd, &l);

	for (size_t i = 0; r == 0 && i < l.n; i++)
		r = read_name(t, dirfd, dir, l.p[i], depth);
	listing_free(&l);
	return r;
}

static int compare(const void *a, const void *b)
{
	const struct held *x = a, *y = b;
	int c = strcmp(x->path, y->path);

	return c ? c : (int)x->kind - (int)y->kind;
}

int held_read(int dirfd, struct held_table *ret)
{
	int r = read_dir(ret, dirfd, "", 0);

	if (r == 0 && ret->n)
		qsort(ret->p, ret->n, sizeof *ret->p, compare);
	return r;
}

void held_free(struct held_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->p[i].path);
	free(t->p);
	*t = (struct held_table){0};
}

const struct held *held_find(const struct held_table *t, const char *path, enum held_kind kind)
{
	struct held key = {.path = (char *)path, .kind = kind};

	return t->n ? bsearch(&key, t->p, t->n, sizeof *t->p, compare) : NULL;
}

bool held_deleted(const struct held_table *t, const char *path)
{
	const char *base = path_base(path);
	auto_str struct str long_mark = {0};
	char mark[NAME_MAX + 1];

	if (strlen(base) <= NAME_MAX - strlen(WHITEOUT_PREFIX))
		return held_find(t, path, HELD_WHITEOUT);
	return whiteout_name(base, mark) == 0 &&
	       str_addf(&long_mark, "%.*s%s", (int)(base - path), path, mark) == 0 &&
	       held_find(t, long_mark.p, HELD_WHITEOUT);
}

bool held_lower_shows(const struct held_table *t, const char *path)
{
	auto_free char *part = strdup(path);
	bool last = true;

	if (!part)
		return false;
	for (char *slash = part + strlen(part); slash; slash = strrchr(part, '/'), last = false) {
		*slash = '\0';
		if (held_deleted(t, part) || held_find(t, part, HELD_FILE) ||
			held_find(t, part, HELD_LINK) || held_find(t, part, HELD_OTHER) ||
			held_find(t, part, HELD_OPAQUE) || held_find(t, part, HELD_REDIRECT) ||
			(last && held_find(t, part, HELD_DIR)))
			return false;
	}
	return !held_find(t, "", HELD_OPAQUE);
}
