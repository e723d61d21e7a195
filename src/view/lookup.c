/* SPDX-License-Identifier: MIT
 *
 * From a name to what the kernel will hold, and the half of copy-on-write that
 * gives a writer its own inode: OPEN and SETATTR of a store file carry only the shared number, so
 * they are refused with ESTALE and remembered by thread; the kernel then walks the path again, and
 * the LOOKUP of that walk tells environment, name and thread. It gets a LAZY inode, private from
 * then on. The kernel may look the name up twice, and forget the first answer in between (seen when
 * the name was known to it under the store's number), so it is remembered until the LAZY inode is
 * used.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "view/state.h"

#include <string.h>

enum { PENDING_S = 10 };

void pending_add(struct view *v, uint32_t tid, uint64_t ino)
{
	pthread_mutex_lock(&v->mutex);
	v->pending[v->next_pending++ % N_PENDING] = (struct pending){
		.tid = tid, .ino = ino, .until = now_monotonic() + PENDING_S * 1000000000ll};
	pthread_mutex_unlock(&v->mutex);
}

bool pending_has(struct view *v, uint32_t tid, uint64_t ino)
{
	bool found = false;

	pthread_mutex_lock(&v->mutex);
	for (size_t k = 0; k < N_PENDING && !found; k++) {
		const struct pending *p = &v->pending[k];

		found = p->ino == ino && p->tid == tid && p->until >= now_monotonic();
	}
	pthread_mutex_unlock(&v->mutex);
	return found;
}

void pending_drop(struct view *v, uint32_t tid)
{
	pthread_mutex_lock(&v->mutex);
	for (size_t k = 0; k < N_PENDING; k++)
		if (v->pending[k].tid == tid)
			v->pending[k].ino = 0;
	pthread_mutex_unlock(&v->mutex);
}

struct seed { /* what a new inode starts with */
	uint64_t st_ino;
	struct lower_dir *lower;
	bool upper;
	struct dist *dist;
	uint32_t entry;
};

static void seed_inode(struct inode *i, void *arg)
{
	const struct seed *s = arg;

	i->st_ino = s->st_ino;
	i->lower = s->lower;
	i->upper = s->upper;
	if (s->dist) {
		i->dist = dist_ref(s->dist);
		i->entry = s->entry;
	}
}

static bool kind_fits(const struct inode *i, enum inode_kind kind)
{
	return (enum inode_kind)i->kind == kind || (i->kind == INODE_LAZY && kind == INODE_UPPER);
}

/* The child's object, of that kind: one of another kind is something that is not there any more. */
static struct inode *child(struct view *v, struct inode *dir, const char *name,
	enum inode_kind kind, struct seed *seed)
{
	struct inode *i = inode_make(v->inodes, dir, name, kind, seed_inode, seed);

	if (i && !kind_fits(i, kind)) {
		inode_detach(v->inodes, i);
		inode_put(v->inodes, i);
		i = inode_make(v->inodes, dir, name, kind, seed_inode, seed);
	}
	return i;
}

static int answer(struct view *v, struct inode *i, struct view_entry *ret)
{
	int r;

	if (!i)
		return -ENOMEM;
	r = attr_inode(v, i, &ret->st);
	if (r == 0) {
		inode_lookup(v->inodes, i);
		ret->ino = i->id;
	}
	inode_put(v->inodes, i);
	return r;
}

static int answer_upper(struct view *v, struct inode *dir, const char *name, const struct merged *m,
	struct view_entry *ret)
{
	struct seed seed = {.st_ino = attr_number(dir, name, m), .lower = m->dir, .upper = true};
	struct inode *i;

	if (S_ISDIR(m->st.st_mode)) {
		i = child(v, dir, name, INODE_DIR, &seed);
		if (i)
			i->upper = true;
		return answer(v, i, ret);
	}
	/* another name of it may be known, or have been, where this one is the last that is left */
	i = inode_find_link(v->inodes, m->st.st_dev, m->st.st_ino);
	if (i)
		return answer(v, i, ret);
	i = child(v, dir, name, INODE_UPPER, &seed);
	if (i && m->st.st_nlink > 1)
		inode_set_link(v->inodes, i, m->st.st_dev, m->st.st_ino);
	return answer(v, i, ret);
}

static int answer_store(struct view *v, struct inode *dir, const char *name, const struct merged *m,
	const struct caller *who, struct view_entry *ret)
{
	const struct lower_entry *e = m->lower;
	uint64_t id = inode_store_id(e->file_dist, e->index);
	struct inode *i = inode_find(v->inodes, dir, name);
	int r;

	if (i && i->kind == INODE_LAZY)
		return answer(v, i, ret);
	inode_put(v->inodes, i);
	if (pending_has(v, who->tid, id)) {
		/* the number that an editor has seen, until its bytes change */
		struct seed seed = {.st_ino = id, .dist = e->file_dist, .entry = e->index};

		return answer(v, child(v, dir, name, INODE_LAZY, &seed), ret);
	}
	r = inode_store_lookup(v->inodes, e->file_dist, e->index);
	if (r < 0)
		return r;
	attr_store(v, e->file_dist, e->index, &ret->st);
	ret->ino = id;
	return 0;
}

static int answer_lower(struct view *v, struct inode *dir, const char *name, const struct merged *m,
	const struct caller *who, struct view_entry *ret)
{
	struct seed seed = {.st_ino = attr_number(dir, name, m), .lower = m->dir};

	switch ((enum lower_type)m->lower->type) {
	case LOWER_DIR:
		return answer(v, child(v, dir, name, INODE_DIR, &seed), ret);
	case LOWER_FILE:
		return answer_store(v, dir, name, m, who, ret);
	case LOWER_LINK:
		return answer(v, child(v, dir, name, INODE_LINK, &seed), ret);
	case LOWER_GENERATED:
		return answer(v, child(v, dir, name, INODE_GENERATED, &seed), ret);
	}
	return -EIO;
}

/* A file like any other that is about to be written: what is in it is in the draft. */
static int answer_draft_of_upper(
	struct view *v, struct inode *dir, const struct caller *who, struct view_entry *ret)
{
	auto_close int fd = upper_open(v, dir);
	auto_str struct str text = {0};
	struct inode *draft;
	int r = fd < 0 ? fd : io_slurp_at(fd, CFG_NAME, CFG_MAX, &text);

	if (r == 0)
		r = draft_make(v, dir, &text, who->tid, &draft);
	if (r < 0)
		return r;
	ret->brief = true;
	return answer(v, draft, ret);
}

/* pyvenv.cfg means different things to its writer, who has a draft, and to everybody else. A writer
 * is remembered under the directory's number: the file's own may be forgotten while the kernel
 * walks again. */
static int answer_cfg(struct view *v, struct inode *dir, const struct merged *m,
	const struct caller *who, struct view_entry *ret)
{
	struct env *env = dir->env;
	struct inode *draft = draft_find(v, dir, who->tid), *i;
	struct seed seed = {.st_ino = attr_number(dir, CFG_NAME, m)};

	ret->brief = draft || draft_any(v, dir) || (env && env->state == ENV_ASIDE);
	if (draft)
		return answer(v, draft, ret);
	if (!env || env->state == ENV_GHOST ||
		(env->state == ENV_ASIDE && env->aside_tid == who->tid)) {
		if (m->what != NAME_UPPER)
			return -ENOENT;
		return pending_has(v, who->tid, dir->id) ? answer_draft_of_upper(v, dir, who, ret)
							 : answer_upper(v, dir, CFG_NAME, m, ret);
	}
	i = child(v, dir, CFG_NAME, INODE_CFG, &seed);
	if (i && pending_has(v, who->tid, dir->id)) {
		inode_put(v->inodes, i);
		ret->brief = true;
		if (draft_make(v, dir, &env->text, who->tid, &draft) < 0)
			return -ENOMEM;
		return answer(v, draft, ret);
	}
	return answer(v, i, ret);
}

/* The link to the interpreter of a Python before 3.11, to which a pyvenv.cfg that can not be read
 * is none: remembered by the kernel it would run as the base once the daemon is dead, and pip would
 * install there. Asked for at each walk it is ENOTCONN then. */
static bool must_be_asked(struct inode *dir, const struct merged *m)
{
	const struct interpreter *py;

	if (m->lower->type != LOWER_LINK || m->lower->target[0] != '/')
		return false;
	py = lower_interpreter(env_of(dir)->lower);
	return py->major == 3 && py->minor < 11;
}

int lookup_locked(struct view *v, struct inode *dir, int dirfd, const char *name,
	const struct caller *who, struct view_entry *ret)
{
	struct merged m;
	int r;

	*ret = (struct view_entry){0};
	r = merge_lookup_at(v, dir, dirfd, name, &m);
	if (r < 0)
		return r;
	if (strcmp(name, CFG_NAME) == 0 && env_is_place(dir) &&
		(m.what != NAME_UPPER || S_ISREG(m.st.st_mode)))
		return answer_cfg(v, dir, &m, who, ret);
	switch (m.what) {
	case NAME_UPPER:
		return answer_upper(v, dir, name, &m, ret);
	case NAME_GHOST:
		ret->brief = true;
		m.dir = NULL;
		return answer_lower(v, dir, name, &m, who, ret);
	case NAME_LOWER:
		ret->brief = must_be_asked(dir, &m);
		return answer_lower(v, dir, name, &m, who, ret);
	default:
		return -ENOENT;
	}
}

int view_lookup(struct view *v, uint64_t dir_ino, const char *name, const struct caller *who,
	struct view_entry *ret)
{
	struct inode *dir = inode_get(v->inodes, dir_ino);
	auto_close int fd = -1;
	int r;

	if (!dir)
		return -ESTALE;
	if (dir->kind != INODE_DIR)
		return -ENOTDIR;
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	r = env_check(v, dir);
	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&v->lock);
	if (dir->upper)
		fd = upper_open(v, dir);
	r = dir->upper && fd < 0 ? fd : lookup_locked(v, dir, fd, name, who, ret);
	pthread_rwlock_unlock(&v->lock);
	return r;
}

void view_forget(struct view *v, uint64_t ino, uint64_t n)
{
	struct inode *i;

	if (inode_is_store(ino)) {
		inode_store_forget(v->inodes, ino, n);
		return;
	}
	i = inode_get(v->inodes, ino);
	if (i)
		inode_forget(v->inodes, i, n);
}

int view_walk(struct view *v, const char *path, struct inode **ret)
{
	struct inode *dir = inodes_root(v->inodes);
	const struct caller who = {.uid = v->uid, .gid = v->gid};
	const char *part;
	size_t len;

	inode_ref(v->inodes, dir);
	while ((part = path_next(&path, &len))) {
		auto_free char *name = strndup(part, len);
		struct view_entry e;
		int r = name ? view_lookup(v, dir->id, name, &who, &e) : -ENOMEM;

		inode_put(v->inodes, dir);
		if (r < 0)
			return r;
		dir = inode_is_store(e.ino) ? NULL : inode_get(v->inodes, e.ino);
		if (dir)
			inode_ref(v->inodes, dir);
		view_forget(v, e.ino, 1);
		if (!dir)
			return -ENOTDIR;
	}
	*ret = dir;
	return 0;
}
