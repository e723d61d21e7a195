/* SPDX-License-Identifier: MIT
 *
 * Two chained hash tables over the same objects (by number, by parent and name)
 * and a list of children per directory. The (parent, name) key lets a second
 * lookup of a name find the object of the first, which is what makes numbers
 * stable; the list of children serves the walks of a changed view.
 */
#include "view/inode.h"

#include "base/cleanup.h"
#include "store/checksum.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_LINK_CHAINS = 1024 };

struct store_slot {
	struct dist *dist;
	uint64_t n_lookup;
};

struct inodes {
	pthread_mutex_t mutex;
	struct inode *root;
	uint64_t next_id;
	struct inode **by_id, **by_name;
	size_t n, size;			      /* size: a power of two, of both tables */
	struct inode *by_link[N_LINK_CHAINS]; /* hard-linked files */
	_Atomic size_t n_links;
	struct store_slot *slots; /* by serial */
	size_t n_slots;
};

enum { N_FILE_LOCKS = 64 };
static pthread_mutex_t file_locks[N_FILE_LOCKS] = {
	[0 ... N_FILE_LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER};

static size_t hash_id(const struct inodes *t, uint64_t id)
{
	return (size_t)(id * 0x9e3779b97f4a7c15ull >> 20) & (t->size - 1);
}

static size_t hash_name(const struct inodes *t, const struct inode *parent, const char *name)
{
	uint64_t h = checksum_keyed(name, strlen(name)) ^ parent->id * 0x9e3779b97f4a7c15ull;

	return (size_t)(h ^ h >> 32) & (t->size - 1);
}

static struct inode **link_chain(struct inodes *t, uint64_t ino)
{
	return &t->by_link[(ino * 0x9e3779b97f4a7c15ull >> 20) % N_LINK_CHAINS];
}

static int inodes_grow(struct inodes *t)
{
	size_t old = t->size;
	struct inode **ids = t->by_id, **names = t->by_name;

	t->by_id = calloc(old * 2, sizeof(*t->by_id));
	t->by_name = calloc(old * 2, sizeof(*t->by_name));
	if (!t->by_id || !t->by_name) {
		free(t->by_id);
		free(t->by_name);
		t->by_id = ids;
		t->by_name = names;
		return -ENOMEM;
	}
	t->size = old * 2;
	for (size_t k = 0; k < old; k++) {
		for (struct inode *i = ids[k], *next; i; i = next) {
			size_t h = hash_id(t, i->id);

			next = i->id_next;
			i->id_next = t->by_id[h];
			t->by_id[h] = i;
		}
		for (struct inode *i = names[k], *next; i; i = next) {
			size_t h = hash_name(t, i->parent, i->name);

			next = i->name_next;
			i->name_next = t->by_name[h];
			t->by_name[h] = i;
		}
	}
	free(ids);
	free(names);
	return 0;
}

struct inodes *inodes_new(void)
{
	struct inodes *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	pthread_mutex_init(&t->mutex, NULL);
	t->size = 1024;
	t->next_id = 2;
	t->by_id = calloc(t->size, sizeof(*t->by_id));
	t->by_name = calloc(t->size, sizeof(*t->by_name));
	t->root = calloc(1, sizeof *t->root);
	if (!t->by_id || !t->by_name || !t->root) {
		free(t->root);
		free(t->by_id);
		free(t->by_name);
		free(t);
		return NULL;
	}
	t->root->id = INODE_ROOT;
	t->root->st_ino = INODE_ROOT;
	t->root->kind = INODE_DIR;
	t->root->fd = -1;
	t->root->refs = 1;
	t->root->upper = true;
	t->by_id[hash_id(t, INODE_ROOT)] = t->root;
	t->n = 1;
	return t;
}

static void inode_destroy(struct inode *i)
{
	if (i->fd >= 0)
		close(i->fd);
	str_free(&i->text);
	dist_unref(i->dist);
	free(i->name);
	free(i);
}

void inodes_free(struct inodes *t)
{
	if (!t)
		return;
	for (size_t k = 0; k < t->size; k++)
		for (struct inode *i = t->by_id[k], *next; i; i = next) {
			next = i->id_next;
			inode_destroy(i);
		}
	for (size_t k = 0; k < t->n_slots; k++)
		dist_unref(t->slots[k].dist);
	free(t->slots);
	free(t->by_id);
	free(t->by_name);
	pthread_mutex_destroy(&t->mutex);
	free(t);
}

struct inode *inodes_root(struct inodes *t)
{
	return t->root;
}

size_t inodes_count(struct inodes *t)
{
	pthread_mutex_lock(&t->mutex);
	size_t n = t->n;
	pthread_mutex_unlock(&t->mutex);
	return n;
}

struct inode *inode_get(struct inodes *t, uint64_t id)
{
	struct inode *i;

	pthread_mutex_lock(&t->mutex);
	for (i = t->by_id[hash_id(t, id)]; i && i->id != id; i = i->id_next)
		;
	pthread_mutex_unlock(&t->mutex);
	return i;
}

static struct inode *find_name(struct inodes *t, struct inode *parent, const char *name)
{
	struct inode *i = t->by_name[hash_name(t, parent, name)];

	while (i && (i->parent != parent || strcmp(i->name, name) != 0))
		i = i->name_next;
	return i;
}

struct inode *inode_find(struct inodes *t, struct inode *parent, const char *name)
{
	struct inode *i;

	pthread_mutex_lock(&t->mutex);
	i = find_name(t, parent, name);
	if (i)
		i->refs++;
	pthread_mutex_unlock(&t->mutex);
	return i;
}

struct inode *inode_find_link(struct inodes *t, uint64_t dev, uint64_t ino)
{
	struct inode *i;

	if (!atomic_load(&t->n_links))
		return NULL;
	pthread_mutex_lock(&t->mutex);
	for (i = *link_chain(t, ino); i && (i->upper_dev != dev || i->upper_ino != ino);)
		i = i->link_next;
	if (i)
		i->refs++;
	pthread_mutex_unlock(&t->mutex);
	return i;
}

void inode_set_link(struct inodes *t, struct inode *i, uint64_t dev, uint64_t ino)
{
	pthread_mutex_lock(&t->mutex);
	if (!i->upper_ino) {
		struct inode **chain = link_chain(t, ino);

		i->upper_dev = dev;
		i->upper_ino = ino;
		i->link_next = *chain;
		*chain = i;
		t->n_links++;
	}
	pthread_mutex_unlock(&t->mutex);
}

static void attach(struct inodes *t, struct inode *i, struct inode *parent)
{
	size_t h = hash_name(t, parent, i->name);

	i->parent = parent;
	i->gone = false;
	parent->refs++;
	i->name_next = t->by_name[h];
	t->by_name[h] = i;
	i->next = parent->children;
	i->prev = &parent->children;
	if (i->next)
		i->next->prev = &i->next;
	parent->children = i;
}

static void release(struct inodes *t, struct inode *i);

static void detach(struct inodes *t, struct inode *i)
{
	struct inode **p;

	if (!inode_parent(i))
		return;
	for (p = &t->by_name[hash_name(t, i->parent, i->name)]; *p != i; p = &(*p)->name_next)
		;
	*p = i->name_next;
	*i->prev = i->next;
	if (i->next)
		i->next->prev = i->prev;
	i->gone = true;
}

static void drop_parent(struct inodes *t, struct inode *parent)
{
	if (!parent)
		return;
	parent->refs--;
	release(t, parent);
}

/* Frees the object once nobody needs it, and its parent if that only waited for it. */
static void release(struct inodes *t, struct inode *i)
{
	struct inode **p;

	if (i->n_lookup || i->refs || i == t->root)
		return;
	detach(t, i);
	for (p = &t->by_id[hash_id(t, i->id)]; *p != i; p = &(*p)->id_next)
		;
	*p = i->id_next;
	if (i->upper_ino) {
		for (p = link_chain(t, i->upper_ino); *p != i; p = &(*p)->link_next)
			;
		*p = i->link_next;
		t->n_links--;
	}
	t->n--;
	drop_parent(t, i->parent);
	inode_destroy(i);
}

struct inode *inode_make(struct inodes *t, struct inode *parent, const char *name,
	enum inode_kind kind, void (*init)(struct inode *i, void *arg), void *arg)
{
	struct inode *i;
	size_t h;

	pthread_mutex_lock(&t->mutex);
	i = find_name(t, parent, name);
	if (i)
		goto found;
	if (t->n >= t->size)
		inodes_grow(t); /* a fuller table is slower, not wrong */
	i = calloc(1, sizeof *i);
	if (!i || !(i->name = strdup(name))) {
		free(i);
		i = NULL;
		goto out;
	}
	i->id = INODE_TABLE | t->next_id++;
	i->st_ino = i->id;
	i->kind = kind;
	i->fd = -1;
	i->size = -1;
	if (init)
		init(i, arg);
	h = hash_id(t, i->id);
	i->id_next = t->by_id[h];
	t->by_id[h] = i;
	t->n++;
	attach(t, i, parent);
found:
	i->refs++;
out:
	pthread_mutex_unlock(&t->mutex);
	return i;
}

void inode_ref(struct inodes *t, struct inode *i)
{
	pthread_mutex_lock(&t->mutex);
	i->refs++;
	pthread_mutex_unlock(&t->mutex);
}

void inode_put(struct inodes *t, struct inode *i)
{
	if (!i)
		return;
	pthread_mutex_lock(&t->mutex);
	i->refs--;
	release(t, i);
	pthread_mutex_unlock(&t->mutex);
}

void inode_lookup(struct inodes *t, struct inode *i)
{
	pthread_mutex_lock(&t->mutex);
	i->n_lookup++;
	pthread_mutex_unlock(&t->mutex);
}

void inode_forget(struct inodes *t, struct inode *i, uint64_t n)
{
	pthread_mutex_lock(&t->mutex);
	i->n_lookup -= n < i->n_lookup ? n : i->n_lookup;
	release(t, i);
	pthread_mutex_unlock(&t->mutex);
}

void inode_detach(struct inodes *t, struct inode *i)
{
	pthread_mutex_lock(&t->mutex);
	i->refs++;
	detach(t, i);
	i->refs--;
	release(t, i);
	pthread_mutex_unlock(&t->mutex);
}

int inode_move(struct inodes *t, struct inode *i, struct inode *parent, const char *name)
{
	char *copy = strdup(name);
	struct inode *old, *left;

	if (!copy)
		return -ENOMEM;
	pthread_mutex_lock(&t->mutex);
	i->refs++;
	parent->refs++;
	old = find_name(t, parent, name);
	if (old && old != i) {
		old->refs++;
		detach(t, old);
		old->refs--;
		release(t, old);
	}
	detach(t, i);
	left = i->parent;
	free(i->name);
	i->name = copy;
	attach(t, i, parent);
	drop_parent(t, left);
	parent->refs--;
	i->refs--;
	release(t, i);
	pthread_mutex_unlock(&t->mutex);
	return 0;
}

/* Gives a detached object its place, and takes `name`. */
static void put_in_place(struct inodes *t, struct inode *i, struct inode *parent, char **name)
{
	struct inode *left = i->parent;

	free(i->name);
	i->name = steal_ptr(*name);
	attach(t, i, parent);
	drop_parent(t, left);
}

int inode_exchange(struct inodes *t, struct inode *a_dir, const char *a_name, struct inode *b_dir,
	const char *b_name)
{
	auto_free char *to_a = strdup(a_name), *to_b = strdup(b_name);
	struct inode *a, *b;

	if (!to_a || !to_b)
		return -ENOMEM;
	pthread_mutex_lock(&t->mutex);
	a = find_name(t, a_dir, a_name);
	b = find_name(t, b_dir, b_name);
	if (a)
		detach(t, a);
	if (b)
		detach(t, b);
	if (a)
		put_in_place(t, a, b_dir, &to_b);
	if (b)
		put_in_place(t, b, a_dir, &to_a);
	pthread_mutex_unlock(&t->mutex);
	return 0;
}

void inode_each_child(
	struct inodes *t, struct inode *dir, void (*f)(struct inode *, void *arg), void *arg)
{
	pthread_mutex_lock(&t->mutex);
	for (struct inode *i = dir->children; i; i = i->next)
		f(i, arg);
	pthread_mutex_unlock(&t->mutex);
}

int inode_children(struct inodes *t, struct inode *dir, struct inode ***ret, size_t *ret_n)
{
	struct inode **all;
	size_t n = 0;

	pthread_mutex_lock(&t->mutex);
	for (struct inode *i = dir->children; i; i = i->next)
		n++;
	all = calloc(n + 1, sizeof(*all));
	n = 0;
	for (struct inode *i = dir->children; all && i; i = i->next) {
		i->refs++;
		all[n++] = i;
	}
	pthread_mutex_unlock(&t->mutex);
	if (!all)
		return -ENOMEM;
	*ret = all;
	*ret_n = n;
	return 0;
}

static pthread_mutex_t *file_lock(const struct inode *i)
{
	return &file_locks[(i->id ^ i->id >> 6) % N_FILE_LOCKS];
}

void inode_lock(struct inode *i)
{
	pthread_mutex_lock(file_lock(i));
}

void inode_unlock(struct inode *i)
{
	pthread_mutex_unlock(file_lock(i));
}

int inode_path(const struct inode *i, struct str *out)
{
	const struct inode *up = i;
	size_t n = 0, end;

	for (; up->id != INODE_ROOT; up = inode_parent(up)) {
		n += 1 + strlen(up->name);
		if (!inode_parent(up))
			return -ENOENT;
	}
	if (!n)
		return 0;
	n -= !out->len; /* no slash before the first */
	if (str_reserve(out, n) < 0)
		return -ENOMEM;
	end = out->len += n;
	out->p[end] = '\0';
	for (up = i; up->id != INODE_ROOT;
		up = inode_parent(up)) { /* from its end to its beginning */
		size_t k = strlen(up->name);

		end -= k;
		memcpy(out->p + end, up->name, k);
		if (end)
			out->p[--end] = '/';
	}
	return 0;
}

uint64_t inode_store_id(const struct dist *d, size_t entry)
{
	return (uint64_t)d->serial << 32 | (entry + 1);
}

int inode_store_lookup(struct inodes *t, struct dist *d, size_t entry)
{
	int r = 0;

	(void)entry;
	pthread_mutex_lock(&t->mutex);
	if (d->serial >= t->n_slots) {
		size_t n = (size_t)d->serial + 64;
		struct store_slot *s = realloc(t->slots, n * sizeof *s);

		if (!s) {
			r = -ENOMEM;
			goto out;
		}
		memset(s + t->n_slots, 0, (n - t->n_slots) * sizeof *s);
		t->slots = s;
		t->n_slots = n;
	}
	if (!t->slots[d->serial].n_lookup++)
		t->slots[d->serial].dist = dist_ref(d);
out:
	pthread_mutex_unlock(&t->mutex);
	return r;
}

void inode_store_forget(struct inodes *t, uint64_t id, uint64_t n)
{
	size_t serial = (size_t)(id >> 32);
	struct dist *gone = NULL;

	pthread_mutex_lock(&t->mutex);
	if (serial < t->n_slots && t->slots[serial].n_lookup) {
		struct store_slot *s = &t->slots[serial];

		s->n_lookup -= n < s->n_lookup ? n : s->n_lookup;
		if (!s->n_lookup) {
			gone = s->dist;
			s->dist = NULL;
		}
	}
	pthread_mutex_unlock(&t->mutex);
	dist_unref(gone);
}

int inode_store_get(struct inodes *t, uint64_t id, struct dist **ret, size_t *ret_entry)
{
	size_t serial = (size_t)(id >> 32), entry = (size_t)(id & 0xffffffff) - 1;
	int r = -ESTALE;

	pthread_mutex_lock(&t->mutex);
	if (serial < t->n_slots && t->slots[serial].dist &&
		entry < t->slots[serial].dist->manifest->n_entries) {
		*ret = dist_ref(t->slots[serial].dist);
		*ret_entry = entry;
		r = 0;
	}
	pthread_mutex_unlock(&t->mutex);
	return r;
}
