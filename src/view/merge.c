/* SPDX-License-Identifier: MIT
 *
 * The one rule of what a name means, in this order: what the upper has; a
 * whiteout, which is ENOENT; what the lower tree has. Listings (list.c) ask this file too,
 * so that a name is listed exactly if it can be looked up, but for one (cache_tag).
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "view/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Of the root, and in no listing: programs that make backups ask for it by name, and leave out what
 * shows here. Nobody copies it to where it would say the same of other files, and it is not behind the
 * mount, where all that is private lies. */
static const struct lower_entry cache_tag = {
	.name = "CACHEDIR.TAG", .type = LOWER_GENERATED, .generated = GEN_CACHE_TAG};

static bool exists_at(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The lower directory under an upper one: none if it is opaque, the recorded one if it was renamed.
 */
static int dir_below(struct inode *dir, int dirfd, const char *name,
	const struct lower_entry *below, struct lower_dir **ret)
{
	auto_close int fd = -1;
	auto_str struct str path = {0};
	struct env *env = env_of(dir);
	int r;

	*ret = NULL;
	if (!env || !env->lower || env->state == ENV_GHOST)
		return 0;
	fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (exists_at(fd, WHITEOUT_OPAQUE))
		return 0;
	r = io_slurp_at(fd, WHITEOUT_REDIRECT, PATH_MAX, &path);
	/* nobody but root may look into it: what is not known is looked up when it may be (setattr.c) */
	if (r == -ENOENT || r == -EACCES) {
		if (below && below->type == LOWER_DIR)
			*ret = below->dir;
		return 0;
	}
	return r < 0 ? r : lower_walk(env->lower, path.p, ret);
}

/* What the source of derived bytecode is. The lower tree has seen to it that the store's is the
 * very file it was made from. `dir` is __pycache__'s parent. */
static int source_of(struct view *v, struct inode *dir, const char *pyc, enum meaning *ret)
{
	auto_close int fd = -1;
	char name[NAME_MAX + 1];
	const char *tag = strrchr(pyc, '.'); /* "mod.cpython-311.pyc": two suffixes off */
	struct merged m;
	int r;

	*ret = NAME_UPPER;
	while (tag && tag > pyc && *--tag != '.')
		;
	if (!tag || tag == pyc || (size_t)(tag - pyc) + sizeof ".py" > sizeof name)
		return 0;
	memcpy(name, pyc, (size_t)(tag - pyc));
	strcpy(name + (tag - pyc), ".py");
	if (dir->upper) {
		fd = upper_open(v, dir);
		if (fd < 0)
			return fd;
	}
	r = merge_lookup_at(v, dir, fd, name, &m);
	if (r == 0)
		*ret = m.what;
	return r;
}

/* A private source hides it. A deleted one does not: nobody would find it there, and uninstallers
 * that listed both delete both. */
static int derived_shows(struct view *v, struct inode *dir, const char *pyc, bool *ret)
{
	enum meaning source;
	int r = source_of(v, dir, pyc, &source);

	*ret = r == 0 && (source == NAME_LOWER || source == NAME_NONE);
	return r;
}

static bool is_gone(const struct env *env, const char *name)
{
	char mark[NAME_MAX + 3];

	snprintf(mark, sizeof mark, "/%s/", name);
	return env->gone.len && strstr(env->gone.p, mark);
}

int merge_lookup_at(
	struct view *v, struct inode *dir, int dirfd, const char *name, struct merged *ret)
{
	const struct lower_entry *below = NULL;
	struct env *env = env_of(dir);
	char mark[NAME_MAX + 1];
	int r;

	*ret = (struct merged){.what = NAME_NONE};
	if (name_reserved(name) && !name_temporary(name))
		return 0;
	if (dir->lower && env && env->lower) {
		r = lower_lookup(env->lower, dir->lower, name, &below);
		if (r < 0)
			return r;
	}
	if (dir->id == INODE_ROOT && strcmp(name, cache_tag.name) == 0)
		below = &cache_tag;
	if (dirfd >= 0) {
		if (fstatat(dirfd, name, &ret->st, AT_SYMLINK_NOFOLLOW) == 0) {
			ret->what = NAME_UPPER;
			if (below && below->derived)
				below = NULL; /* nobody misses it once the private one goes */
			if (below) {
				if (whiteout_name(name, mark) == 0 && exists_at(dirfd, mark))
					below = NULL;
			}
			ret->lower = below;
			return S_ISDIR(ret->st.st_mode)
				       ? dir_below(dir, dirfd, name, below, &ret->dir)
				       : 0;
		}
		if (errno != ENOENT)
			return -errno;
		if (below) {
			if (whiteout_name(name, mark) == 0 && exists_at(dirfd, mark))
				return 0;
		}
	}
	if (below) {
		struct inode *up = inode_parent(dir);
		bool shows = true, ghost = env && env->state == ENV_GHOST;

		if (below->derived && up) {
			r = derived_shows(v, up, name, &shows);
			if (r < 0)
				return r;
		}
		if (!shows || (ghost && is_gone(env, name)))
			return 0;
		ret->what = ghost ? NAME_GHOST : NAME_LOWER;
		ret->lower = below;
		ret->dir = below->type == LOWER_DIR ? below->dir : NULL;
	}
	return 0;
}

int merge_lookup(struct view *v, struct inode *dir, const char *name, struct merged *ret)
{
	auto_close int fd = -1;

	if (dir->upper) {
		fd = upper_open(v, dir);
		if (fd < 0)
			return fd;
	}
	return merge_lookup_at(v, dir, fd, name, ret);
}

struct counting {
	struct view *v;
	struct inode *dir;
	struct lower *lower;
};

static int count_real(void *arg, const char *name, const struct merged *m)
{
	const struct counting *c = arg;
	struct inode *up = inode_parent(c->dir);
	enum meaning source;
	int r;

	if (m->what != NAME_LOWER)
		return 1;
	if (m->lower->derived && up) {
		r = source_of(c->v, up, name, &source);
		return r < 0 ? r : source != NAME_NONE;
	}
	if (m->lower->type != LOWER_DIR || strcmp(name, "__pycache__") != 0)
		return 1;
	r = lower_load(c->lower, m->lower->dir);
	for (size_t k = 0; r == 0 && k < m->lower->dir->n; k++)
		r = !m->lower->dir->entries[k].derived;
	return r;
}

/* Derived bytecode does not count once its source is deleted, nor a __pycache__ that has no other:
 * its sources are in the directory itself. */
int merge_is_empty(struct view *v, struct inode *dir)
{
	struct env *env = env_of(dir);
	struct counting c = {.v = v, .dir = dir, .lower = env ? env->lower : NULL};
	int r = list_each(v, dir, count_real, &c);

	return r < 0 ? r : r == 0;
}
