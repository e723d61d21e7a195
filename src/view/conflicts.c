/* SPDX-License-Identifier: MIT
 *
 * What distributions dispute. Only directories that more than one of them has are looked
 * into, so that reporting costs what they share, not what they are.
 */
#include "view/gather.h"

#include <stdlib.h>
#include <string.h>

static bool same_bytes(const struct lower *l, const struct child *a, const struct child *b)
{
	const struct lower_entry *x = &a->entry, *y = &b->entry;
	const struct manifest *m = l->slots[a->part.owner].dist->manifest;
	const struct manifest *k = l->slots[b->part.owner].dist->manifest;

	if (x->type != y->type)
		return false;
	if (x->type == LOWER_FILE || (x->generated == GEN_SCRIPT && y->generated == GEN_SCRIPT))
		return digest_equal(&m->entries[x->index].digest, &k->entries[y->index].digest);
	return x->generated == GEN_ENTRY_POINT && y->generated == GEN_ENTRY_POINT &&
	       strcmp(m->entry_points[x->index].target, k->entry_points[y->index].target) == 0;
}

static bool is_disputable(const struct child *c)
{
	return c->part.owner != OWNER_ENV && c->part.tree != TREE_PYC;
}

/* Whether what the distributions have under one name can not all be shown. */
static bool is_disputed(const struct lower *l, const struct gathered *g, size_t first, size_t end)
{
	const struct child *a = NULL;

	for (size_t i = first; i < end; i++) {
		const struct child *b = &g->p[i];

		if (!is_disputable(b))
			continue;
		if (a && a->part.owner != b->part.owner &&
			(a->entry.type == LOWER_DIR ? b->entry.type != LOWER_DIR
						    : !same_bytes(l, a, b)))
			return true;
		if (!a)
			a = b;
	}
	return false;
}

static int add_path(const struct lower_dir *dir, struct str *out)
{
	int r;

	if (!dir->parent)
		return 0;
	r = add_path(dir->parent, out);
	if (r == 0)
		r = str_add(out, dir->name);
	return r < 0 ? r : str_add(out, "/");
}

static int report(const struct lower *l, const struct lower_dir *dir, const struct gathered *g,
	size_t first, size_t end, struct str *out)
{
	uint32_t last = OWNER_ENV;
	int r = add_path(dir, out);

	if (r == 0)
		r = str_add_mem(out, g->p[first].name, g->p[first].len);
	for (size_t i = first; r == 0 && i < end; i++) {
		uint32_t owner = g->p[i].part.owner;

		if (!is_disputable(&g->p[i]) || owner == last)
			continue;
		r = str_addf(
			out, "%s %s", last == OWNER_ENV ? ":" : ",", l->lock->lines[owner].name);
		last = owner;
	}
	return r < 0 ? r : str_add(out, "\n");
}

static bool is_shared(const struct lower_dir *dir)
{
	const struct parts *parts = dir->parts;

	for (size_t i = 1; i < parts->n; i++)
		if (parts->p[i].owner != parts->p[0].owner)
			return true;
	return false;
}

/* Depth is that of a path in a manifest, which is bounded. */
static int walk(struct lower *l, struct lower_dir *dir, struct str *out)
{
	struct gathered g = {0};
	size_t next;
	int r = lower_load(l, dir);

	if (r < 0)
		return r;
	pthread_mutex_lock(&l->mutex);
	r = gather(l, dir, &g);
	pthread_mutex_unlock(&l->mutex);
	for (size_t i = 0; r == 0 && i < g.n; i = next) {
		const struct lower_entry *e;

		next = gather_name_end(&g, i);
		if (is_disputed(l, &g, i, next))
			r = report(l, dir, &g, i, next, out);
		e = lower_find(dir->entries, dir->n, g.p[i].name, g.p[i].len);
		if (r == 0 && e && e->type == LOWER_DIR && is_shared(e->dir))
			r = walk(l, e->dir, out);
	}
	free(g.p);
	return r;
}

int lower_conflicts(struct lower *l, struct str *out)
{
	return walk(l, lower_root(l), out);
}
