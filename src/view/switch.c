/* SPDX-License-Identifier: MIT
 *
 * From one lower tree to another: an environment got a new lock, bytecode
 * arrived, or it was dissolved. What the kernel knows about it is walked (only directories it knows
 * have objects), the old and the new listing of each are compared, and exactly the names that
 * differ are queued to be looked up again: also names that were not there before, since the kernel
 * keeps negative dentries for ever.
 */
#include "base/cleanup.h"
#include "view/state.h"

#include <string.h>

static bool same_entry(const struct lower_entry *a, const struct lower_entry *b)
{
	if (!a || !b || a->type != b->type)
		return false;
	switch ((enum lower_type)a->type) {
	case LOWER_DIR:
		return true; /* its own names are compared in their turn */
	case LOWER_FILE:
		return a->file_dist == b->file_dist && a->index == b->index;
	case LOWER_LINK:
		return strcmp(a->target, b->target) == 0;
	case LOWER_GENERATED:
		return false; /* RECORD and scripts may read otherwise now */
	}
	return false;
}

static bool is_known_dir(struct view *v, struct inode *dir, const char *name)
{
	struct inode *i = inode_find(v->inodes, dir, name);
	bool is = i && i->kind == INODE_DIR;

	inode_put(v->inodes, i);
	return is;
}

/* A walk may be asking for the name at this very moment, and its answer, of the old tree, come
 * after the event: of a name that is expired only it would be taken for the new one. Dropped, the
 * name is another object from then on. A directory stays what it is, since some process may be in
 * it. */
static void expire_name(struct view *v, struct inode *dir, const struct lower_entry *old,
	const struct lower_entry *new)
{
	const char *name = old ? old->name : new->name;

	if ((old && old->type == LOWER_DIR) || is_known_dir(v, dir, name) ||
		(old && new && old->type == LOWER_GENERATED &&new->type == LOWER_GENERATED))
		events_expire(v->events, dir->id, name);
	else
		events_drop(v->events, dir->id, name);
}

static void expire_differences(struct view *v, struct inode *dir, struct lower *old_lower,
	struct lower_dir *old, struct lower *new_lower, struct lower_dir *new)
{
	size_t a = 0, b = 0, n_old = 0, n_new = 0;

	if (old && lower_load(old_lower, old) == 0)
		n_old = old->n;
	if (new &&lower_load(new_lower, new) == 0)
		n_new = new->n;
	while (a < n_old || b < n_new) {
		const struct lower_entry *x = a < n_old ? &old->entries[a] : NULL;
		const struct lower_entry *y = b < n_new ? &new->entries[b] : NULL;
		int c = !x ? 1 : !y ? -1 : strcmp(x->name, y->name);

		if (c != 0 || !same_entry(x, y))
			expire_name(v, dir, c <= 0 ? x : NULL, c >= 0 ? y : NULL);
		a += c <= 0;
		b += c >= 0;
	}
}

struct switching {
	struct view *v;
	struct env *env;
	struct lower *old, *new;
	bool top, incomplete;
};

static void switch_dir(struct switching *s, struct inode *dir, struct lower_dir *new);

/* A known child of a directory whose lower changed. */
static void switch_child(struct switching *s, struct inode *dir, struct inode *i)
{
	struct view *v = s->v;
	struct merged m;

	if (i->env || i->kind == INODE_CFG || i->kind == INODE_DRAFT)
		return;
	if (merge_lookup(v, dir, i->name, &m) < 0)
		return;
	if (i->kind == INODE_DIR) {
		/* a ghost keeps its directories, empty, until their walker has removed them */
		if (m.dir || i->upper || s->env->state == ENV_GHOST) {
			switch_dir(s, i, s->env->state == ENV_GHOST ? NULL : m.dir);
			return;
		}
		switch_dir(s, i, NULL);
		inode_detach(v->inodes, i);
		return;
	}
	if (i->kind == INODE_UPPER)
		return;
	if (i->kind == INODE_GENERATED && m.what == NAME_LOWER &&
		m.lower->type == LOWER_GENERATED) {
		inode_lock(i);
		i->size = -1;
		if (!i->n_open)
			str_free(&i->text);
		events_inval(v->events, i->id);
		inode_unlock(i);
		return;
	}
	if (i->kind == INODE_LAZY && m.what == NAME_LOWER && m.lower->type == LOWER_FILE &&
		m.lower->file_dist == i->dist && m.lower->index == i->entry)
		return;
	if (i->kind == INODE_LINK && m.what == NAME_LOWER && m.lower->type == LOWER_LINK) {
		events_inval(v->events, i->id);
		return;
	}
	inode_lock(i);
	i->unlinked = true;
	inode_unlock(i);
	inode_detach(v->inodes, i);
}

static void switch_dir(struct switching *s, struct inode *dir, struct lower_dir *new)
{
	struct lower_dir *old = dir->lower;
	struct inode **children;
	size_t n;

	if (old || new) {
		dir->lower = new;
		dir->version++;
		if (s->top || dir != s->env->dir)
			expire_differences(s->v, dir, s->old, old, s->new, new);
		events_inval(s->v->events, dir->id);
	}
	/* also below a directory of the environment's own: one of the view may have been moved
	 * there */
	if (inode_children(s->v->inodes, dir, &children, &n) < 0) {
		s->incomplete = true;
		return;
	}
	for (size_t k = 0; k < n; k++) {
		switch_child(s, dir, children[k]);
		inode_put(s->v->inodes, children[k]);
	}
	free(children);
}

void env_switch(struct view *v, struct env *env, struct lower *lower, bool top)
{
	struct switching s = {.v = v, .env = env, .old = env->lower, .new = lower, .top = top};

	env->lower = lower;
	switch_dir(&s, env->dir, lower ? lower_root(lower) : NULL);
	if (!s.incomplete) /* else there are directories that point into it still */
		lower_unref(s.old);
}

void switch_expire_top(struct view *v, struct inode *dir, struct lower *old, struct lower *new)
{
	expire_differences(
		v, dir, old, old ? lower_root(old) : NULL, new, new ? lower_root(new) : NULL);
	events_inval(v->events, dir->id);
}
