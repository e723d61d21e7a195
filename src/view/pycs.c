/* SPDX-License-Identifier: MIT
 *
 * A process that imports before bytecode was derived writes pycs of its own, as it would anywhere.
 * Once the store has bytecode of the same source, those are a copy that this environment alone pays
 * for and that would hide the shared one for ever: they go, and so do the directories that were
 * made for nothing but them. What was made from a private source stays.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "view/listing.h"
#include "view/state.h"

#include <fcntl.h>
#include <string.h>

enum { DEPTH_MAX = 64 };

struct place {
	const struct place *above;
	int fd;			 /* of the upper's directory */
	struct lower_dir *lower; /* what it lies over */
	struct inode *dir;	 /* NULL: the kernel does not know it */
	struct listing names;
};

static bool has_name(const struct place *p, const char *name)
{
	return listing_have(&p->names, name);
}

/* The source of "mod.cpython-311.pyc", in the directory above, is the store's. */
static bool source_is_lower(const struct place *above, const char *pyc)
{
	char name[NAME_MAX + 1], mark[NAME_MAX + 1];
	const char *tag = strrchr(pyc, '.');

	while (tag && tag > pyc && *--tag != '.')
		;
	if (!tag || tag == pyc || (size_t)(tag - pyc) + sizeof ".py" > sizeof name)
		return false;
	memcpy(name, pyc, (size_t)(tag - pyc));
	strcpy(name + (tag - pyc), ".py");
	return !has_name(above, name) && whiteout_name(name, mark) == 0 && !has_name(above, mark);
}

static const struct lower_entry *below(struct env *env, const struct place *p, const char *name)
{
	const struct lower_entry *e = NULL;

	return lower_lookup(env->lower, p->lower, name, &e) == 0 ? e : NULL;
}

bool upper_drop(struct view *v, struct inode *dir, int dirfd, const char *name)
{
	struct inode *i = dir ? inode_find(v->inodes, dir, name) : NULL;
	bool gone = false;

	if (i) {
		inode_lock(i);
		if (i->kind == INODE_UPPER && i->fd < 0) {
			i->fd = upper_handle(v, i);
			i->fd_writable = false;
		}
		gone = i->kind == INODE_UPPER && i->fd >= 0 && unlinkat(dirfd, name, 0) == 0;
		i->unlinked = i->unlinked || gone;
		inode_unlock(i);
		if (gone)
			inode_detach(v->inodes, i);
		inode_put(v->inodes, i);
	} else {
		gone = !upper_is_known_link(v, dirfd, name) && unlinkat(dirfd, name, 0) == 0;
	}
	if (gone && dir)
		events_drop(v->events, dir->id, name);
	return gone;
}

static bool drop_in(struct view *v, struct env *env, struct place *p, unsigned depth);

static bool drop_dir(struct view *v, struct env *env, const struct place *p, const char *name,
	const struct lower_entry *e, unsigned depth)
{
	auto_close int fd = io_open_beneath(p->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	struct place here = {.above = p, .fd = fd, .lower = e->dir};
	bool gone;

	if (fd < 0)
		return false;
	here.dir = p->dir ? inode_find(v->inodes, p->dir, name) : NULL;
	gone = drop_in(v, env, &here, depth + 1) && unlinkat(p->fd, name, AT_REMOVEDIR) == 0;
	if (here.dir && gone)
		here.dir->upper = false;
	inode_put(v->inodes, here.dir);
	return gone;
}

/* True where something went and nothing is left in the upper's directory. */
static bool drop_in(struct view *v, struct env *env, struct place *p, unsigned depth)
{
	bool cache = p->above && strcmp(p->lower->name, "__pycache__") == 0;
	bool left = false, changed = false;

	if (depth > DEPTH_MAX || listing_read(p->fd, &p->names) < 0 ||
		has_name(p, WHITEOUT_OPAQUE) || has_name(p, WHITEOUT_REDIRECT)) {
		listing_free(&p->names);
		return false; /* it lies over something else than it seems */
	}
	for (size_t i = 0; i < p->names.n; i++) {
		const char *name = p->names.p[i];
		const struct lower_entry *e = name_reserved(name) ? NULL : below(env, p, name);
		bool gone = false;

		if (e && e->type == LOWER_DIR)
			gone = drop_dir(v, env, p, name, e, depth);
		else if (e && e->derived && cache && source_is_lower(p->above, name))
			gone = upper_drop(v, p->dir, p->fd, name);
		left = left || !gone;
		changed = changed || gone;
	}
	listing_free(&p->names);
	if (changed && p->dir) {
		p->dir->version++;
		events_inval(v->events, p->dir->id);
	}
	return changed && !left; /* an empty one is there for its own sake */
}

void pycs_drop(struct view *v, struct env *env)
{
	auto_close int path = -1, fd = -1;
	struct place top = {.dir = env->dir};

	if (!env->lower || v->read_only)
		return;
	path = upper_open(v, env->dir);
	fd = path < 0 ? path : io_open_beneath(path, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	top.fd = fd;
	top.lower = lower_root(env->lower);
	drop_in(v, env, &top, 0);
}
