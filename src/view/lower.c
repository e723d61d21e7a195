/* SPDX-License-Identifier: MIT
 *
 * A lower is made of parts: (distribution, tree, where in its manifest). The root holds them
 * all, a directory's parts are found while its parent is loaded, and loading a directory lists
 * its parts and folds equal names into one. Only directories that somebody looked into exist; the
 * files' names and bytes stay where they are, in the manifests that all lowers share.
 */
#include "view/lower.h"

#include "base/cleanup.h"
#include "py/bytecode.h"
#include "view/gather.h"

#include <string.h>

struct interpreter *lower_interpreter(struct lower *l)
{
	return l->py;
}

size_t lower_n_dists(const struct lower *l)
{
	return l->lock->n;
}

struct dist *lower_dist(const struct lower *l, size_t i)
{
	return l->slots[i].dist;
}

const struct lock_line *lower_line(const struct lower *l, size_t i)
{
	return &l->lock->lines[i];
}

struct store *lower_store(const struct lower *l)
{
	return l->store;
}

static void free_dir(struct dir *d)
{
	free((void *)d->pub.entries);
	free(d->pub.parts);
	free(d);
}

struct lower *lower_ref(struct lower *l)
{
	if (l)
		atomic_fetch_add(&l->refs, 1);
	return l;
}

void lower_unref(struct lower *l)
{
	if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	while (l->dirs) {
		struct dir *d = l->dirs;

		l->dirs = d->next;
		free_dir(d);
	}
	for (size_t i = 0; l->slots && i < l->lock->n; i++) {
		dist_unref(l->slots[i].dist);
		dist_unref(l->slots[i].pyc);
		free(l->slots[i].headers);
	}
	python_links_free(l->links, l->n_links);
	for (size_t i = 0; i < l->n_templates; i++)
		free(l->templates[i]);
	free(l->templates);
	free(l->slots);
	free(l->site);
	free(l->bin);
	free(l->include);
	lock_free(l->lock);
	interpreter_unref(l->py);
	pthread_mutex_destroy(&l->mutex);
	free(l);
}

CLEANUP_DEFINE(lower, lower_unref)

static struct dir *new_dir(
	struct lower *l, struct lower_dir *parent, const char *name, size_t len, size_t n_parts)
{
	struct dir *d = calloc(1, sizeof *d + len + 1);
	struct parts *parts = malloc(sizeof *parts + n_parts * sizeof parts->p[0]);

	if (!d || !parts) {
		free(d);
		free(parts);
		return NULL;
	}
	memcpy(d->name, name, len);
	parts->n = 0;
	d->pub.parent = parent;
	d->pub.name = d->name;
	d->pub.parts = parts;
	d->pub.id = l->next_id++;
	return d;
}

static void add_part(
	struct parts *parts, uint32_t owner, enum tree t, const char *way, struct tree_dir here)
{
	parts->p[parts->n++] = (struct part){owner, (uint8_t)t, way, here};
}

static bool has_files(struct tree_dir d)
{
	return d.first < d.end;
}

/* The root's parts: every tree of every distribution, then what an environment always has. */
static int make_root(struct lower *l)
{
	struct tree_dir nothing = {0};
	struct dir *root = new_dir(l, NULL, "", 0, l->lock->n * N_TREES + 3);
	struct parts *parts;

	if (!root)
		return -ENOMEM;
	parts = root->pub.parts;
	for (uint32_t i = 0; i < l->lock->n; i++) {
		struct slot *s = &l->slots[i];
		const struct manifest *m = s->dist->manifest;
		const char *way[N_TREES] = {l->site, l->bin, "", s->headers, l->site};

		for (int t = 0; t < N_TREES; t++) {
			struct tree_dir top = nothing;

			if (t != TREE_PYC)
				top = tree_top(m, t);
			else if (s->pyc)
				top = tree_top(s->pyc->manifest, t);
			if (way[t] && (has_files(top) || (t == TREE_BIN && m->n_entry_points)))
				add_part(parts, i, t, way[t], top);
		}
	}
	add_part(parts, OWNER_ENV, TREE_BIN, l->bin, nothing);
	add_part(parts, OWNER_ENV, TREE_SITE, l->site, nothing);
	add_part(parts, OWNER_ENV, TREE_HEADERS, l->include, nothing);
	root->pub.merged = true;
	l->root = l->dirs = root;
	return 0;
}

static int scheme_path(struct lower *l, enum tree t, const char *dist, char **ret)
{
	auto_str struct str s = {0};
	int r = scheme_dir(l->py, t, dist, &s);

	if (r < 0)
		return r;
	*ret = str_steal(&s);
	return *ret ? 0 : -ENOMEM;
}

static int include_path(struct lower *l, char **ret)
{
	auto_str struct str s = {0};
	int r = scheme_has_include_dir(l->py) ? str_addf(&s, "include/%s", path_base(l->py->lib))
					      : str_add(&s, "include");

	if (r < 0)
		return r;
	*ret = str_steal(&s);
	return *ret ? 0 : -ENOMEM;
}

static int take_dists(struct lower *l, const char *pyc_key, struct diag *diag)
{
	auto_str struct str missing = {0};
	size_t n_missing = 0;

	for (size_t i = 0; i < l->lock->n; i++) {
		const struct lock_line *line = &l->lock->lines[i];
		struct slot *s = &l->slots[i];
		size_t first, end;
		int r = store_dist(
			l->store, line->name, line->version, &line->address, &s->dist, diag);

		if (r == -ENOENT) {
			if (n_missing++ < 8 &&
				str_addf(&missing, "%s%s %s", missing.len ? ", " : "", line->name,
					line->version) < 0)
				return diag_errno(diag, -ENOMEM, "environment");
			continue;
		}
		if (r < 0)
			return r;
		manifest_tree(s->dist->manifest, TREE_HEADERS, &first, &end);
		if (first < end) {
			r = scheme_path(l, TREE_HEADERS, line->name, &s->headers);
			if (r < 0)
				return diag_errno(diag, r, "%s: directory of headers", line->name);
		}
		if (pyc_key) {
			r = store_pyc(l->store, s->dist, pyc_key, &s->pyc);
			if (r == -ENOMEM)
				return diag_errno(diag, r, "%s: bytecode", line->name);
			if (r < 0)
				s->pyc = NULL;
		}
	}
	if (!n_missing)
		return 0;
	return diag_set(diag, -ENOENT,
		"the store lacks %s%s: \"venvfs store add WHEEL\" or \"venvfs sync\" brings %s",
		missing.p, n_missing > 8 ? " and others" : "", n_missing > 1 ? "them" : "it");
}

int lower_new(struct store *s, const struct lock *lock, struct interpreter *py, bool pyc,
	struct lower **ret, struct diag *diag)
{
	auto_of(lower) struct lower *l = calloc(1, sizeof *l);
	auto_str struct str key = {0};
	int r;

	if (!l)
		return diag_errno(diag, -ENOMEM, "environment");
	l->refs = 1;
	pthread_mutex_init(&l->mutex, NULL);
	l->store = s;
	l->py = interpreter_ref(py);
	script_names_init(py, &l->script_names);
	l->lock = lock_copy(lock);
	if (!l->lock)
		return diag_errno(diag, -ENOMEM, "environment");
	l->slots = calloc(l->lock->n + 1, sizeof *l->slots);
	if (!l->slots)
		return diag_errno(diag, -ENOMEM, "environment");
	r = scheme_path(l, TREE_SITE, "", &l->site);
	if (r == 0)
		r = scheme_path(l, TREE_BIN, "", &l->bin);
	if (r == 0)
		r = include_path(l, &l->include);
	if (r == 0 && pyc && bytecode_wanted(py))
		r = bytecode_key(py, &key);
	if (r < 0)
		return diag_errno(diag, r, "layout of an environment");
	r = take_dists(l, key.p, diag);
	if (r < 0)
		return r;
	r = make_root(l);
	if (r < 0)
		return diag_errno(diag, r, "environment");
	*ret = steal_ptr(l);
	return 0;
}

static bool same_facts(const struct interpreter *a, const struct interpreter *b)
{
	auto_str struct str x = {0}, y = {0};

	return a == b || (interpreter_format(a, &x) == 0 && interpreter_format(b, &y) == 0 &&
				 strcmp(x.p, y.p) == 0);
}

bool lower_is_same(const struct lower *a, const struct lower *b)
{
	bool same = same_facts(a->py, b->py) && a->lock->n == b->lock->n;

	for (size_t i = 0; same && i < a->lock->n; i++)
		same = a->slots[i].dist == b->slots[i].dist && a->slots[i].pyc == b->slots[i].pyc;
	return same;
}

struct lower_dir *lower_root(struct lower *l)
{
	return &l->root->pub;
}

/* One directory of the children [first, end) that are directories. */
static struct dir *make_dir(struct lower *l, struct lower_dir *parent, const struct gathered *g,
	size_t first, size_t end)
{
	struct dir *d = new_dir(l, parent, g->p[first].name, g->p[first].len, end - first);
	struct parts *parts;

	if (!d)
		return NULL;
	parts = d->pub.parts;
	for (size_t i = first; i < end; i++)
		if (g->p[i].entry.type == LOWER_DIR)
			parts->p[parts->n++] = g->p[i].part;
	for (size_t i = 0; i < parts->n; i++) {
		const struct part *p = &parts->p[i];

		if (p->owner != parts->p[0].owner || p->owner == OWNER_ENV || gather_is_info(l, p))
			d->pub.merged = true;
	}
	if (!d->pub.merged)
		d->pub.mtime = l->slots[parts->p[0].owner].dist->mtime;
	return d;
}

static bool only_bytecode(const struct parts *parts)
{
	for (size_t i = 0; i < parts->n; i++)
		if (parts->p[i].tree != TREE_PYC)
			return false;
	return true;
}

/* Whether a directory of bytecode alone, listed among `entries`, has anything to show. */
static bool pycache_shows(const struct lower *l, const struct lower_entry *entries, size_t n,
	const struct parts *parts)
{
	for (size_t i = 0; i < parts->n; i++) {
		struct tree_dir rest = parts->p[i].here;
		struct tree_child c;

		while (!*parts->p[i].way && tree_next(&rest, &c))
			if (!c.is_dir &&
				gather_source_shows(l, entries, n, parts->p[i].owner, c.name))
				return true;
	}
	return false;
}

/* Takes out of `entries` the __pycache__ that would be empty. */
static size_t drop_pycache(
	const struct lower *l, struct lower_entry *entries, size_t n, struct dir **made)
{
	static const char name[] = "__pycache__";
	const struct lower_entry *e = lower_find(entries, n, name, strlen(name));
	struct dir **d = made;
	size_t i;

	if (!e || e->type != LOWER_DIR || !only_bytecode(e->dir->parts) ||
		pycache_shows(l, entries, n, e->dir->parts))
		return n;
	while (&(*d)->pub != e->dir)
		d = &(*d)->next;
	*d = steal_ptr((*d)->next);
	i = (size_t)(e - entries);
	free_dir((struct dir *)(void *)e->dir);
	memmove(entries + i, entries + i + 1, (n - i - 1) * sizeof *entries);
	return n - 1;
}

static int load(struct lower *l, struct lower_dir *dir)
{
	auto_free struct lower_entry *entries = NULL;
	struct gathered g = {0};
	struct dir *made = NULL;
	size_t n = 0, next;
	int r = gather(l, dir, &g);

	if (r == 0) {
		entries = malloc((g.n + 1) * sizeof *entries);
		r = entries ? 0 : -ENOMEM;
	}
	for (size_t i = 0; r == 0 && i < g.n; i = next) {
		size_t first = i, end = next = gather_name_end(&g, i);
		bool is_dir;

		if (!fold(&g, &first, &end, &is_dir))
			continue;
		entries[n] = g.p[first].entry;
		if (is_dir) {
			struct dir *d = make_dir(l, dir, &g, first, end);

			if (!d) {
				r = -ENOMEM;
				break;
			}
			d->next = made;
			made = d;
			entries[n] = (struct lower_entry){
				.name = d->name, .type = LOWER_DIR, .dir = &d->pub};
		}
		n++;
	}
	free(g.p);
	if (r == 0)
		n = drop_pycache(l, entries, n, &made);
	while (made) {
		struct dir *d = made;

		made = d->next;
		if (r < 0) {
			free_dir(d);
			continue;
		}
		d->next = l->dirs;
		l->dirs = d;
	}
	if (r < 0)
		return r;
	dir->entries = steal_ptr(entries);
	dir->n = n;
	atomic_store(&dir->loaded, 1);
	return 0;
}

int lower_load(struct lower *l, struct lower_dir *dir)
{
	int r = 0;

	if (atomic_load(&dir->loaded))
		return 0;
	pthread_mutex_lock(&l->mutex);
	if (!atomic_load(&dir->loaded))
		r = load(l, dir);
	pthread_mutex_unlock(&l->mutex);
	return r;
}

int lower_lookup(
	struct lower *l, struct lower_dir *dir, const char *name, const struct lower_entry **ret)
{
	int r = lower_load(l, dir);

	if (r < 0)
		return r;
	*ret = lower_find(dir->entries, dir->n, name, strlen(name));
	return 0;
}

int lower_walk(struct lower *l, const char *path, struct lower_dir **ret)
{
	struct lower_dir *dir = lower_root(l);
	const char *name;
	size_t len;

	while (dir && (name = path_next(&path, &len))) {
		const struct lower_entry *e;
		int r = lower_load(l, dir);

		if (r < 0)
			return r;
		e = lower_find(dir->entries, dir->n, name, len);
		dir = e && e->type == LOWER_DIR ? e->dir : NULL;
	}
	*ret = dir;
	return 0;
}
