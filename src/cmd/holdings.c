/* SPDX-License-Identifier: MIT
 *
 * A piece is one place on the disk (store/usage.h), a part is what a lock or a distribution
 * consists of: a list of pieces. Many environments have the same lock, and many locks the same
 * distribution, so each part is looked at once, and an environment is no more than its few locks.
 */
#include "cmd/holdings.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "cmd/env_cfg.h"
#include "cmd/envs.h"
#include "store/usage.h"
#include "view/generations.h"

#include <string.h>

struct key {
	struct digest id;
	int kind;
	size_t tier;
};

struct piece {
	struct key key; /* kind: of enum usage_kind */
	uint64_t disk;
	bool derived;
	size_t n_holders;
	size_t pass; /* when it was last counted */
};

enum part_kind { PART_LOCK, PART_DIST };
struct part {
	struct key key;
	size_t n_dists, n_missing;
	uint64_t size;
	struct piece **pieces; /* one may be there twice */
	size_t n, cap;
};

struct scan {
	struct store *store;
	struct holdings *h;
	const char *root;
	struct diag *diag;
	char **roots;
	size_t n_roots, cap_roots;
};

/* Tables, of entries that begin with their key. A digest is its own hash: one who could choose many
 * with equal beginnings could as well fill the disk. */

static bool key_equal(const struct key *a, const struct key *b)
{
	return digest_equal(&a->id, &b->id) && a->kind == b->kind && a->tier == b->tier;
}

static void **find_slot(const struct held_map *m, const struct key *key)
{
	size_t at;

	memcpy(&at, key->id.b, sizeof at);
	while (m->slots[at %= m->cap] && !key_equal(m->slots[at], key))
		at++;
	return &m->slots[at];
}

static int map_grow(struct held_map *m)
{
	struct held_map bigger = {.n = m->n, .cap = m->cap ? m->cap * 2 : 64};

	if (m->n < m->cap / 2)
		return 0;
	bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i])
			*find_slot(&bigger, m->slots[i]) = m->slots[i];
	free(m->slots);
	*m = bigger;
	return 0;
}

/* The entry with this key, made of `size` zero bytes if there is none; NULL: out of memory. */
static void *find_or_add(struct held_map *m, const struct key *key, size_t size, bool *ret_new)
{
	void **slot, *entry;

	if (map_grow(m) < 0)
		return NULL;
	slot = find_slot(m, key);
	*ret_new = !*slot;
	if (*slot)
		return *slot;
	entry = calloc(1, size);
	if (entry) {
		memcpy(entry, key, sizeof *key);
		*slot = entry;
		m->n++;
	}
	return entry;
}

/* parts */

struct adding {
	struct holdings *h;
	struct part *to;
};

static int add_piece(void *arg, const struct usage *u)
{
	const struct adding *a = arg;
	const struct key key = {.id = u->id, .kind = (int)u->kind, .tier = u->tier};
	struct piece *p;
	bool new;
	int r = array_grow(a->to->pieces, a->to->cap, a->to->n + 1);

	if (r < 0)
		return r;
	p = find_or_add(&a->h->pieces, &key, sizeof *p, &new);
	if (!p)
		return -ENOMEM;
	p->disk = u->disk;
	p->derived = u->derived && (new || p->derived);
	a->to->pieces[a->to->n++] = p;
	return 0;
}

static int fill_dist(struct scan *s, struct part *part, const struct lock_line *l)
{
	struct dist *d;
	int r = store_dist(s->store, l->name, l->version, &l->address, &d, NULL);

	if (r == -ENOMEM)
		return r;
	part->n_dists = 1;
	part->n_missing = r < 0;
	if (r < 0)
		return 0;
	for (size_t i = 0; i < d->manifest->n_entries; i++)
		part->size += d->manifest->entries[i].size;
	r = usage_of_dist(s->store, d, add_piece, &(struct adding){s->h, part});
	dist_unref(d);
	return r;
}

static int fill_lock(struct scan *s, struct part *part, const struct lock *lock)
{
	int r = usage_of_lock(
		s->store, &part->key.id, lock, add_piece, &(struct adding){s->h, part});

	for (size_t i = 0; r == 0 && i < lock->n; i++) {
		const struct key key = {.id = lock->lines[i].address, .kind = PART_DIST};
		struct part *p;
		bool new;

		p = find_or_add(&s->h->parts, &key, sizeof *p, &new);
		r = !p ? -ENOMEM : new ? fill_dist(s, p, &lock->lines[i]) : 0;
		if (r == 0)
			r = array_grow(part->pieces, part->cap, part->n + p->n);
		if (r < 0)
			return r;
		for (size_t k = 0; k < p->n; k++)
			part->pieces[part->n++] = p->pieces[k];
		part->n_dists += p->n_dists;
		part->n_missing += p->n_missing;
		part->size += p->size;
	}
	return r;
}

/* A lock that can not be had holds nothing. */
static int hold_lock(struct scan *s, struct holding *e, const struct digest *id)
{
	const struct key key = {.id = *id, .kind = PART_LOCK};
	struct part *part;
	bool new;
	int r = array_grow(e->locks, e->cap_locks, e->n_locks + 1);

	if (r < 0)
		return r;
	part = find_or_add(&s->h->parts, &key, sizeof *part, &new);
	if (!part)
		return -ENOMEM;
	if (new) {
		struct lock *lock = NULL;

		r = store_lock_get(s->store, id, &lock, NULL);
		r = r == 0 ? fill_lock(s, part, lock) : r == -ENOMEM ? r : 0;
		lock_free(lock);
		if (r < 0)
			return r;
	}
	e->locks[e->n_locks++] = part;
	return 0;
}

/* environments */

static int read_env(struct scan *s, struct holding *e)
{
	const struct env_path p = {.root = e->root, .path = e->path};
	auto_free struct generation *left = NULL;
	struct env_cfg cfg = {.dir = -1};
	auto_close int upper = -1;
	size_t n = 0;
	int r = env_cfg_open(&p, &cfg, NULL);

	if (r == 0 && cfg.cfg.lock_kind == CFG_LOCK_DIGEST)
		r = hold_lock(s, e, &cfg.cfg.lock);
	env_cfg_free(&cfg);
	if (r == -ENOMEM)
		return r;
	if (e->n_locks) {
		e->n_dists = e->locks[0]->n_dists;
		e->n_missing = e->locks[0]->n_missing;
		e->size = e->locks[0]->size;
	}
	upper = cmd_open_upper(&p, NULL);
	r = upper < 0 ? 0 : generations_left(upper, &left, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (!left[i].none)
			r = hold_lock(s, e, &left[i].lock);
	return r < 0 ? diag_errno(s->diag, r, "%s: its earlier locks", e->path) : 0;
}

static int add_env(void *arg, const char *name)
{
	struct scan *s = arg;
	struct holdings *h = s->h;
	struct holding *e;
	auto_free char *path = NULL;

	if (asprintf(&path, "%s/%s", strcmp(s->root, "/") ? s->root : "", name) < 0)
		return path = NULL, -ENOMEM;
	for (size_t i = 0; i < h->n; i++)
		if (strcmp(h->envs[i].path, path) == 0)
			return 0; /* of a root in a root */
	if (array_grow(h->envs, h->cap, h->n + 1) < 0)
		return -ENOMEM;
	e = &h->envs[h->n++];
	*e = (struct holding){.root = strdup(s->root), .path = steal_ptr(path)};
	return e->root ? read_env(s, e) : -ENOMEM;
}

static int scan_root(struct scan *s, const char *root)
{
	struct holdings *h = s->h;
	struct diag why = {{0}};
	int r;

	s->root = root;
	s->diag = &why;
	r = envs_each(root, add_env, s, &why);
	if (r == 0 || r == -ENOENT || r == -ENOTDIR) /* no such directory any more holds nothing */
		return 0;
	if (r == -ENOMEM || array_grow(h->unseen, h->cap_unseen, h->n_unseen + 1) < 0)
		return -ENOMEM;
	h->unseen[h->n_unseen] = strdup(diag_text(&why, r));
	return h->unseen[h->n_unseen++] ? 0 : -ENOMEM;
}

static int add_root(void *arg, const char *root)
{
	struct scan *s = arg;

	for (size_t i = 0; i < s->n_roots; i++)
		if (strcmp(s->roots[i], root) == 0)
			return 0;
	if (array_grow(s->roots, s->cap_roots, s->n_roots + 1) < 0)
		return -ENOMEM;
	s->roots[s->n_roots] = strdup(root);
	return s->roots[s->n_roots] ? (s->n_roots++, 0) : -ENOMEM;
}

static int find_roots(struct scan *s, const char *root, struct diag *diag)
{
	int r = root ? add_root(s, root) : 0;

	if (r == 0) {
		r = store_root_each(s->store, add_root, s);
		if (r < 0)
			return diag_errno(diag, r, "%s/roots", store_path(s->store, 0));
	}
	return r;
}

/* sums */

/* Calls `each` for every piece that the environment holds, once. */
static void each_piece(
	struct holding *e, size_t pass, void (*each)(struct piece *p, void *arg), void *arg)
{
	for (size_t i = 0; i < e->n_locks; i++)
		for (size_t k = 0; k < e->locks[i]->n; k++) {
			struct piece *p = e->locks[i]->pieces[k];

			if (p->pass == pass)
				continue;
			p->pass = pass;
			each(p, arg);
		}
}

static void count_holder(struct piece *p, void *arg)
{
	(void)arg;
	p->n_holders++;
}

static void add_to_env(struct piece *p, void *arg)
{
	struct holding *e = arg;

	if (p->n_holders == 1 && p->key.tier == 0)
		e->unique += p->disk;
	else
		e->shared += p->disk;
	if (p->derived)
		e->derived += p->disk;
}

static void uncount_holder(struct piece *p, void *arg)
{
	(void)arg;
	p->n_holders--;
}

static void add_to_sum(struct piece *p, void *arg)
{
	struct holdings_sum *sum = arg;

	sum->disk += p->disk;
	if (p->derived)
		sum->derived += p->disk;
	if (p->n_holders == 0 && p->key.tier == 0)
		sum->freed += p->disk;
}

struct holdings_sum holdings_sum(struct holdings *h)
{
	struct holdings_sum sum = {0};
	size_t pass;

	for (size_t i = 0; i < h->n; i++)
		if (h->envs[i].chosen)
			each_piece(&h->envs[i], ++h->pass, uncount_holder, NULL);
	pass = ++h->pass; /* one for all: each piece once */
	for (size_t i = 0; i < h->n; i++) {
		if (!h->envs[i].chosen)
			continue;
		sum.size += h->envs[i].size;
		each_piece(&h->envs[i], pass, add_to_sum, &sum);
	}
	for (size_t i = 0; i < h->n; i++)
		if (h->envs[i].chosen)
			each_piece(&h->envs[i], ++h->pass, count_holder, NULL);
	return sum;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct holding *)a)->path, ((const struct holding *)b)->path);
}

struct holding *holdings_find(struct holdings *h, const char *path)
{
	const struct holding key = {.path = (char *)path};

	return h->n ? bsearch(&key, h->envs, h->n, sizeof *h->envs, by_path) : NULL;
}

int holdings_read(
	struct cmd_context *ctx, const char *root, struct holdings *ret, struct diag *diag)
{
	struct holdings h = {0};
	struct scan s = {.store = cmd_store(ctx), .h = &h};
	int r = s.store ? find_roots(&s, root, diag) : -EIO;

	for (size_t i = 0; r == 0 && i < s.n_roots; i++)
		r = scan_root(&s, s.roots[i]);
	for (size_t i = 0; i < s.n_roots; i++)
		free(s.roots[i]);
	free(s.roots);
	if (r < 0) {
		holdings_free(&h);
		return r;
	}
	if (h.n)
		qsort(h.envs, h.n, sizeof *h.envs, by_path);
	for (size_t i = 0; i < h.n; i++)
		each_piece(&h.envs[i], ++h.pass, count_holder, NULL);
	for (size_t i = 0; i < h.n; i++)
		each_piece(&h.envs[i], ++h.pass, add_to_env, &h.envs[i]);
	*ret = h;
	return 0;
}

void holdings_free(struct holdings *h)
{
	for (size_t i = 0; i < h->n; i++) {
		free(h->envs[i].root);
		free(h->envs[i].path);
		free(h->envs[i].locks);
	}
	free(h->envs);
	for (size_t i = 0; i < h->n_unseen; i++)
		free(h->unseen[i]);
	free(h->unseen);
	for (size_t i = 0; i < h->pieces.cap; i++)
		free(h->pieces.slots[i]);
	free(h->pieces.slots);
	for (size_t i = 0; i < h->parts.cap; i++)
		if (h->parts.slots[i])
			free(((struct part *)h->parts.slots[i])->pieces);
	for (size_t i = 0; i < h->parts.cap; i++)
		free(h->parts.slots[i]);
	free(h->parts.slots);
	*h = (struct holdings){0};
}
