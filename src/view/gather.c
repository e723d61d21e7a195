/* SPDX-License-Identifier: MIT
 *
 * What the distributions bring to one directory. The schemes' directories are walked down like any
 * other: a part that is not there yet brings one name, its next component. So the root of an
 * environment is the list of all trees, and going down thins it out.
 */
#include "view/gather.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "view/generate.h"
#include "view/whiteout.h"

#include <string.h>

static const char lib64[] = "lib64";

static bool slice_is(const char *name, size_t len, const char *text)
{
	return strlen(text) == len && memcmp(name, text, len) == 0;
}

/* Names that would hide the environment's own, or that the upper keeps its records under. */
static bool is_refused(
	const struct lower *l, const struct lower_dir *dir, const char *name, size_t len)
{
	if (name_reserved(name))
		return true;
	return slice_is(name, len, "pyvenv.cfg") &&
	       (!dir->parent || (!dir->parent->parent && strcmp(dir->name, l->bin) == 0));
}

static int add(struct gathered *g, const struct child *c)
{
	if (array_grow(g->p, g->cap, g->n + 1) < 0)
		return -ENOMEM;
	g->p[g->n] = *c;
	g->p[g->n].seq = g->n;
	g->n++;
	return 0;
}

static int add_file(struct gathered *g, const struct part *p, const char *name, bool own,
	struct lower_entry entry)
{
	struct child c = {.name = name, .len = strlen(name), .own = own, .part = *p};

	c.entry = entry;
	c.entry.name = name;
	c.entry.dist = p->owner == OWNER_ENV ? 0 : p->owner;
	return add(g, &c);
}

static int add_generated(struct gathered *g, const struct part *p, const char *name, bool own,
	enum generated what, size_t index)
{
	return add_file(g, p, name, own,
		(struct lower_entry){.type = LOWER_GENERATED,
			.generated = (uint8_t)what,
			.index = (uint32_t)index});
}

static int add_dir(
	struct gathered *g, const struct part *p, const char *name, size_t len, bool scheme)
{
	struct child c = {.name = name, .len = len, .scheme = scheme, .part = *p};

	c.entry.type = LOWER_DIR;
	return add(g, &c);
}

const struct lower_entry *lower_find(
	const struct lower_entry *entries, size_t n, const char *name, size_t len)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strncmp(entries[mid].name, name, len);

		if (c == 0 && entries[mid].name[len])
			c = 1;
		if (c == 0)
			return &entries[mid];
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

bool gather_source_shows(const struct lower *l, const struct lower_entry *entries, size_t n,
	uint32_t owner, const char *pyc)
{
	const struct dist *d = l->slots[owner].dist;
	const struct lower_entry *e;
	const char *tag = strrchr(pyc, '.'); /* "mod.cpython-311.pyc" */
	char name[NAME_MAX + 4];
	size_t len;

	while (tag && tag > pyc && *--tag != '.')
		;
	if (!tag || tag == pyc)
		return false;
	len = (size_t)(tag - pyc);
	if (len > NAME_MAX)
		return false;
	memcpy(name, pyc, len);
	memcpy(name + len, ".py", 3);
	e = lower_find(entries, n, name, len + 3);
	return e && e->type == LOWER_FILE && !e->derived && e->file_dist == d &&
	       d->manifest->entries[e->index].tree == TREE_SITE;
}

static int add_entry(struct lower *l, const struct lower_dir *dir, const struct part *p,
	const struct tree_child *c, struct gathered *g)
{
	const struct slot *slot = &l->slots[p->owner];
	struct lower_entry e = {.type = LOWER_FILE, .index = (uint32_t)c->first};

	e.derived = p->tree == TREE_PYC;
	e.file_dist = e.derived ? slot->pyc : slot->dist;
	if (e.derived && (!dir->parent || strcmp(dir->name, "__pycache__") != 0 ||
				 !gather_source_shows(l, dir->parent->entries, dir->parent->n,
					 p->owner, c->name)))
		return 0;
	if (p->tree == TREE_BIN && script_is_python(slot->dist, c->first)) {
		e.type = LOWER_GENERATED;
		e.generated = GEN_SCRIPT;
	}
	return add_file(g, p, c->name, false, e);
}

static int gather_tree(
	struct lower *l, const struct lower_dir *dir, const struct part *p, struct gathered *g)
{
	struct tree_dir rest = p->here;
	struct tree_child c;
	int r = 0;

	while (r == 0 && tree_next(&rest, &c)) {
		struct part below = *p;

		if (is_refused(l, dir, c.name, c.len))
			continue;
		if (!c.is_dir) {
			r = add_entry(l, dir, p, &c, g);
			continue;
		}
		below.here = tree_below(&p->here, &c);
		if (!dir->parent && slice_is(c.name, c.len, lib64)) /* a link to lib */
			c.len = strlen("lib");
		r = add_dir(g, &below, c.name, c.len, false);
	}
	return r;
}

static int gather_entry_points(struct lower *l, const struct part *p, struct gathered *g)
{
	const struct manifest *m = l->slots[p->owner].dist->manifest;
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->n_entry_points; i++) {
		const char *names[SCRIPT_NAMES_MAX];
		size_t n = script_names_of(&l->script_names, m, i, names);

		for (size_t k = 0; r == 0 && k < n; k++)
			r = add_generated(g, p, names[k], false, GEN_ENTRY_POINT, i);
	}
	return r;
}

bool gather_is_info(const struct lower *l, const struct part *p)
{
	const struct manifest *m;
	size_t n;

	if (p->owner == OWNER_ENV || p->tree != TREE_SITE || *p->way ||
		p->here.first >= p->here.end)
		return false;
	m = l->slots[p->owner].dist->manifest;
	n = strlen(m->info);
	return n && p->here.prefix == n + 1 &&
	       strncmp(m->entries[p->here.first].path, m->info, n) == 0;
}

static int gather_info(struct lower *l, const struct part *p, struct gathered *g)
{
	const struct lock_line *line = &l->lock->lines[p->owner];
	int r = add_generated(g, p, "RECORD", false, GEN_RECORD, 0);

	if (r == 0 && line->installer)
		r = add_generated(g, p, "INSTALLER", false, GEN_INSTALLER, 0);
	if (r == 0 && line->requested)
		r = add_generated(g, p, "REQUESTED", false, GEN_REQUESTED, 0);
	if (r == 0 && line->has_origin)
		r = add_generated(g, p, "direct_url.json", false, GEN_ORIGIN, 0);
	return r;
}

static int gather_bin(struct lower *l, const struct part *p, struct gathered *g)
{
	int r = 0;

	if (!l->have_bin) {
		r = generate_templates(l->py, &l->templates, &l->n_templates);
		if (r < 0)
			return r;
		/* a base of which nothing is known has no links */
		r = scheme_python_links(l->py, &l->links, &l->n_links);
		if (r == -ENOMEM)
			return r;
		l->have_bin = true;
		r = 0;
	}
	for (size_t i = 0; r == 0 && i < l->n_templates; i++)
		r = add_generated(g, p, l->templates[i], true, GEN_ACTIVATE, i);
	for (size_t i = 0; r == 0 && i < l->n_links; i++)
		r = add_file(g, p, l->links[i].name, true,
			(struct lower_entry){.type = LOWER_LINK, .target = l->links[i].target});
	return r;
}

static int gather_root(struct lower *l, const struct part *p, struct gathered *g)
{
	int r = 0;

	if (sizeof(void *) == 8)
		r = add_file(g, p, lib64, true,
			(struct lower_entry){.type = LOWER_LINK, .target = "lib"});
	if (r == 0 && scheme_has_gitignore(l->py))
		r = add_generated(g, p, ".gitignore", true, GEN_GITIGNORE, 0);
	return r;
}

static int gather_part(
	struct lower *l, const struct lower_dir *dir, const struct part *p, struct gathered *g)
{
	int r;

	if (*p->way) {
		const char *way = p->way, *name;
		struct part below = *p;
		size_t len;

		name = path_next(&way, &len);
		if (!name)
			return 0;
		below.way = *way ? way + 1 : way;
		return add_dir(g, &below, name, len, true);
	}
	if (p->owner == OWNER_ENV)
		return p->tree == TREE_BIN ? gather_bin(l, p, g) : 0;
	r = gather_tree(l, dir, p, g);
	if (r == 0 && p->tree == TREE_BIN && p->here.prefix == 0)
		r = gather_entry_points(l, p, g);
	if (r == 0 && gather_is_info(l, p))
		r = gather_info(l, p, g);
	return r;
}

static int compare(const void *a, const void *b)
{
	const struct child *x = a, *y = b;
	size_t n = x->len < y->len ? x->len : y->len;
	int c = memcmp(x->name, y->name, n);

	if (c)
		return c;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

int gather(struct lower *l, const struct lower_dir *dir, struct gathered *ret)
{
	const struct parts *parts = dir->parts;
	struct gathered g = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < parts->n; i++)
		r = gather_part(l, dir, &parts->p[i], &g);
	if (r == 0 && !dir->parent)
		r = gather_root(l, &(struct part){.owner = OWNER_ENV, .way = ""}, &g);
	if (r < 0) {
		free(g.p);
		return r;
	}
	if (g.n > 1)
		qsort(g.p, g.n, sizeof *g.p, compare);
	*ret = g;
	return 0;
}

size_t gather_name_end(const struct gathered *g, size_t i)
{
	size_t k = i + 1;

	while (k < g->n && g->p[k].len == g->p[i].len &&
		memcmp(g->p[k].name, g->p[i].name, g->p[i].len) == 0)
		k++;
	return k;
}

/* Bytecode brings no directory of its own: it only fills what the sources made, and __pycache__. */
static bool is_bytecode(const struct child *c)
{
	return c->part.tree == TREE_PYC && !c->own;
}

bool fold(const struct gathered *g, size_t *first, size_t *end, bool *ret_dir)
{
	size_t from = *first, last = *end;
	bool scheme = false, is_dir = false, have = false;

	if (g->p[last - 1].own) {
		*first = last - 1;
		*ret_dir = false;
		return true;
	}
	for (size_t i = *first; i < last; i++)
		scheme |= g->p[i].scheme;
	for (size_t i = *first; i < last; i++) {
		const struct child *c = &g->p[i];

		if (is_bytecode(c))
			continue;
		have = true;
		is_dir = scheme || c->entry.type == LOWER_DIR;
		if (!is_dir)
			from = i;
	}
	if (!have) {
		from = last - 1;
		is_dir = g->p[from].entry.type == LOWER_DIR;
		if (is_dir) {
			from = *first;
			have = slice_is(g->p[from].name, g->p[from].len, "__pycache__");
		} else {
			have = true;
		}
	}
	*first = from;
	if (!is_dir)
		*end = from + 1;
	*ret_dir = is_dir;
	return have;
}
