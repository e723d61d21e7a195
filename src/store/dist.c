/* SPDX-License-Identifier: MIT
 *
 * One object for an address in a process, so that all environments share a manifest's
 * memory, and so that its serial can stand for it in inode numbers. What nobody refers
 * to is kept for a while (an environment is often made after one like it was deleted), up
 * to a number of entries, and is looked at again before it is handed out: another process
 * may have removed it, or replaced what was damaged.
 *
 * The last reference goes under the table's lock, so that no lookup can find an object
 * that is being freed; all others are counted without it.
 */
#include "store/dist.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "store/blob.h"
#include "store/checksum.h"
#include "store/handle.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { MANIFEST_MAX = 256 << 20, N_BUCKETS = 1024, IDLE_ENTRIES = 65536 };


struct dist_object {
	struct dist dist; /* first */
	struct store *store;
	char *dir;
	uint64_t pack_size;
	struct stat st; /* the manifest's file */
	_Atomic unsigned refs;
	/* protected by the table's lock */
	struct dist_object *next;
	struct dist_object *older, *newer; /* among the idle */
	struct bytecode *bytecode;
};

/* What store_pyc() found for a source; holds a reference while the source has one. */
struct bytecode {
	struct bytecode *next;
	struct dist_object *object;
	char key[];
};

struct dists {
	pthread_mutex_t lock;
	uint32_t last_serial;
	size_t idle_entries;
	struct dist_object *oldest, *newest;
	struct dist_object *buckets[N_BUCKETS];
};

/* paths */

int dist_path(const char *name, const char *version, const struct digest *address,
	struct str *out)
{
	char hex[DIGEST_HEX + 1];

	if (!tier_name_ok(name) || !tier_name_ok(version))
		return -EINVAL;
	digest_format(address, hex);
	return str_addf(out, "dists/%s/%s/%s", name, version, hex);
}

int dist_path_pyc(const struct digest *source, const char *key, struct str *out)
{
	char hex[DIGEST_HEX + 1];

	if (!tier_name_ok(key))
		return -EINVAL;
	digest_format(source, hex);
	return str_addf(out, "pyc/%s/%s", hex, key);
}

long dist_nanoseconds(const struct digest *address)
{
	uint32_t n = 0;

	for (int i = 0; i < 4; i++)
		n = n << 8 | address->b[i];
	return (long)(n % 1000000000u);
}

/* reading */

static int read_beside(const struct tier *t, const char *dir, const char *name, size_t max,
	struct str *ret, struct stat *st)
{
	auto_str struct str path = {0};
	int r = str_addf(&path, "%s/%s", dir, name);

	return r < 0 ? r : tier_read(t, path.p, max, ret, st);
}

static int read_address(const struct tier *t, const char *dir, struct digest *ret)
{
	auto_str struct str s = {0};
	int r = read_beside(t, dir, "address", DIGEST_HEX + 1, &s, NULL);

	if (r < 0)
		return r;
	if (s.len != DIGEST_HEX + 1 || s.p[DIGEST_HEX] != '\n' ||
		digest_parse(s.p, DIGEST_HEX, ret) < 0)
		return -EBADMSG;
	return 0;
}

int dist_read(const struct tier *t, const char *dir, const struct digest *address,
	struct manifest **ret, struct digest *ret_address, struct stat *ret_st, struct diag *diag)
{
	auto_str struct str text = {0};
	struct digest want, is;
	struct stat st;
	int r;

	r = read_beside(t, dir, "manifest", MANIFEST_MAX, &text, &st);
	if (r == 0 && address)
		want = *address;
	else if (r == 0)
		r = read_address(t, dir, &want);
	if (r == 0)
		r = digest_buf(text.p, text.len, &is);
	if (r < 0)
		return diag_errno(diag, r, "%s/%s/manifest", t->path, dir);
	if (!digest_equal(&is, &want))
		return diag_set(diag, -EBADMSG,
			"%s/%s/manifest is damaged: its SHA-256 is another; add the distribution again",
			t->path, dir);
	r = manifest_parse(text.p, text.len, ret, diag);
	if (r < 0)
		return r;
	*ret_address = want;
	*ret_st = st;
	return 0;
}

int dist_open_pack(const struct tier *t, const char *dir, uint64_t size, int *ret_fd)
{
	auto_str struct str path = {0};
	auto_close int fd = -1;
	struct stat st;
	int r = str_addf(&path, "%s/pack", dir);

	if (r == 0)
		r = tier_open_file(t, path.p, &fd, &st);
	if (r < 0)
		return r;
	if ((uint64_t)st.st_size != size)
		return -EBADMSG;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int dist_is_whole(const struct tier *t, const char *dir, const struct manifest *m)
{
	auto_close int fd = -1;
	uint64_t size = manifest_layout(m, NULL);

	if (size && dist_open_pack(t, dir, size, &fd) < 0)
		return 0;
	for (size_t i = 0; i < m->n_entries; i++)
		if (m->entries[i].size > PACK_FILE_MAX &&
			!blob_is_there(t, &m->entries[i].digest, m->entries[i].size))
			return 0;
	return 1;
}

/* objects */

static void object_free(struct dist_object *o)
{
	if (!o)
		return;
	manifest_free((struct manifest *)o->dist.manifest);
	free((uint64_t *)o->dist.offsets);
	free(o->dir);
	free(o);
}
CLEANUP_DEFINE(dist_object, object_free)

static int object_load(struct store *s, size_t tier, const char *dir, const struct digest *address,
	struct dist_object **ret, struct diag *diag)
{
	auto_of(dist_object) struct dist_object *o = calloc(1, sizeof *o);
	struct manifest *m;
	uint64_t *offsets;
	int r;

	if (!o || !(o->dir = strdup(dir)))
		return -ENOMEM;
	r = dist_read(&s->tiers[tier], dir, address, &m, &o->dist.address, &o->st, diag);
	if (r < 0)
		return r;
	o->dist.manifest = m;
	offsets = calloc(m->n_entries + 1, sizeof *offsets);
	if (!offsets)
		return -ENOMEM;
	o->dist.offsets = offsets;
	o->dist.tier = tier;
	o->dist.mtime = o->st.st_mtim;
	o->pack_size = manifest_layout(m, offsets);
	o->store = s;
	o->refs = 1;
	*ret = steal_ptr(o);
	return 0;
}

/* the table; all under its lock */

static struct dist_object **bucket(struct dists *t, const struct digest *address)
{
	return &t->buckets[checksum_keyed(address->b, sizeof address->b) % N_BUCKETS];
}

static void idle_remove(struct dists *t, struct dist_object *o)
{
	*(o->older ? &o->older->newer : &t->oldest) = o->newer;
	*(o->newer ? &o->newer->older : &t->newest) = o->older;
	o->older = o->newer = NULL;
	t->idle_entries -= o->dist.manifest->n_entries;
}

static void idle_add(struct dists *t, struct dist_object *o)
{
	o->older = t->newest;
	*(o->older ? &o->older->newer : &t->oldest) = o;
	t->newest = o;
	t->idle_entries += o->dist.manifest->n_entries;
}

static void idle_drop(struct dists *t, struct dist_object *o)
{
	struct dist_object **at = bucket(t, &o->dist.address);

	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	idle_remove(t, o);
	object_free(o);
}

/* The last reference is gone. Bytecode has no bytecode, so this goes down once at most. */
static void became_idle(struct dists *t, struct dist_object *o)
{
	struct bytecode *b, *next;

	for (b = o->bytecode; b; b = next) {
		next = b->next;
		if (atomic_fetch_sub(&b->object->refs, 1) == 1)
			became_idle(t, b->object);
		free(b);
	}
	o->bytecode = NULL;
	idle_add(t, o);
	while (t->idle_entries > IDLE_ENTRIES && t->oldest != o)
		idle_drop(t, t->oldest);
}

static bool is_same(const struct dist_object *o)
{
	auto_str struct str path = {0};
	struct stat st;

	if (str_addf(&path, "%s/manifest", o->dir) < 0 ||
		fstatat(o->store->tiers[o->dist.tier].fd, path.p, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	return st.st_ino == o->st.st_ino && st.st_size == o->st.st_size &&
	       st.st_mtim.tv_sec == o->st.st_mtim.tv_sec &&
	       st.st_mtim.tv_nsec == o->st.st_mtim.tv_nsec;
}

static struct dist_object *table_find(struct dists *t, const struct digest *address)
{
	struct dist_object *o = *bucket(t, address);

	while (o && !digest_equal(&o->dist.address, address))
		o = o->next;
	if (!o)
		return NULL;
	if (o->refs == 0) {
		if (!is_same(o)) {
			idle_drop(t, o);
			return NULL;
		}
		idle_remove(t, o);
	}
	o->refs++;
	return o;
}

/* Consumes `o`; returns it, or the one that is there already, with a reference. */
static int table_insert(struct dists *t, struct dist_object *o, struct dist_object **ret)
{
	struct dist_object *there = table_find(t, &o->dist.address), **at;

	if (there || t->last_serial == UINT32_MAX) {
		object_free(o);
		*ret = there;
		return there ? 0 : -EOVERFLOW;
	}
	/* a pack that was open under this name may be another one's */
	handle_forget(o->store->handles, HANDLE_PACK, &o->dist.address);
	o->dist.serial = ++t->last_serial;
	at = bucket(t, &o->dist.address);
	o->next = *at;
	*at = o;
	*ret = o;
	return 0;
}

int dists_new(struct dists **ret)
{
	struct dists *t = calloc(1, sizeof *t);

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	*ret = t;
	return 0;
}

void dists_free(struct dists *t)
{
	if (!t)
		return;
	while (t->oldest)
		idle_drop(t, t->oldest);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* what others see */

static struct dist_object *object_of(struct dist *d)
{
	return (struct dist_object *)d;
}

struct dist *dist_ref(struct dist *d)
{
	object_of(d)->refs++;
	return d;
}

void dist_unref(struct dist *d)
{
	struct dist_object *o = object_of(d);
	struct dists *t;
	unsigned n;

	if (!d)
		return;
	t = o->store->dists;
	n = o->refs;
	while (n > 1)
		if (atomic_compare_exchange_weak(&o->refs, &n, n - 1))
			return;
	pthread_mutex_lock(&t->lock);
	if (atomic_fetch_sub(&o->refs, 1) == 1)
		became_idle(t, o);
	pthread_mutex_unlock(&t->lock);
}

int store_dist(struct store *s, const char *name, const char *version,
	const struct digest *address, struct dist **ret, struct diag *diag)
{
	auto_str struct str dir = {0};
	struct dist_object *o;
	int first = -ENOENT, r;

	r = dist_path(name, version, address, &dir);
	if (r < 0)
		return diag_errno(diag, r, "%s %s", name, version);
	pthread_mutex_lock(&s->dists->lock);
	o = table_find(s->dists, address);
	pthread_mutex_unlock(&s->dists->lock);
	for (size_t i = 0; !o && i < s->n_tiers; i++) {
		struct diag why = {0};

		r = object_load(s, i, dir.p, address, &o, &why);
		if (r == 0) {
			pthread_mutex_lock(&s->dists->lock);
			r = table_insert(s->dists, o, &o);
			pthread_mutex_unlock(&s->dists->lock);
			if (r < 0)
				return diag_errno(diag, r, "%s %s", name, version);
		} else if (r != -ENOENT && first == -ENOENT) {
			first = r;
			diag_set(diag, r, "%s", diag_text(&why, r));
		}
	}
	if (!o)
		return first != -ENOENT ? first
					: diag_set(diag, -ENOENT,
						  "%s %s (%s) is in no store; add its wheel", name,
						  version, strrchr(dir.p, '/') + 1);
	if (strcmp(o->dist.manifest->name, name) != 0 ||
		strcmp(o->dist.manifest->version, version) != 0) {
		r = diag_set(diag, -EPROTO, "%s is %s %s, not %s %s", strrchr(dir.p, '/') + 1,
			o->dist.manifest->name, o->dist.manifest->version, name, version);
		dist_unref(&o->dist);
		return r;
	}
	*ret = &o->dist;
	return 0;
}

/* Under the table's lock; the reference is the caller's. */
static struct dist_object *bytecode_find(struct dist_object *source, const char *key)
{
	for (struct bytecode *b = source->bytecode; b; b = b->next)
		if (strcmp(b->key, key) == 0) {
			b->object->refs++;
			return b->object;
		}
	return NULL;
}

int store_pyc(struct store *s, const struct dist *source, const char *key, struct dist **ret)
{
	struct dist_object *from = object_of((struct dist *)source), *o, *there;
	auto_str struct str dir = {0};
	struct bytecode *b;
	int r;

	r = dist_path_pyc(&source->address, key, &dir);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->dists->lock);
	o = bytecode_find(from, key);
	pthread_mutex_unlock(&s->dists->lock);
	if (o) {
		*ret = &o->dist;
		return 0;
	}
	for (size_t i = 0; !o && i < s->n_tiers; i++) {
		r = object_load(s, i, dir.p, NULL, &o, NULL);
		if (r == -ENOMEM)
			return r;
	}
	if (!o)
		return -ENOENT;
	b = malloc(sizeof *b + strlen(key) + 1);
	if (!b) {
		object_free(o);
		return -ENOMEM;
	}
	pthread_mutex_lock(&s->dists->lock);
	r = table_insert(s->dists, o, &o);
	there = r == 0 ? bytecode_find(from, key) : NULL;
	if (there)
		o->refs--; /* the same object, or one that was replaced meanwhile */
	if (there || r < 0) {
		free(b);
	} else {
		*b = (struct bytecode){.next = from->bytecode, .object = o};
		strcpy(b->key, key);
		from->bytecode = b;
		o->refs++;
	}
	pthread_mutex_unlock(&s->dists->lock);
	if (r == 0)
		*ret = there ? &there->dist : &o->dist;
	return r;
}

/* bytes */

struct opening {
	const struct dist_object *object;
	const struct entry *entry;
};

static int open_pack(const void *arg)
{
	const struct opening *x = arg;
	const struct dist_object *o = x->object;
	int fd, r = dist_open_pack(&o->store->tiers[o->dist.tier], o->dir, o->pack_size, &fd);

	return r < 0 ? r : fd;
}

/* The distribution's own tier has it; should it be damaged there, another tier may help. */
static int open_blob(const void *arg)
{
	const struct opening *x = arg;
	const struct store *s = x->object->store;
	size_t own = x->object->dist.tier;
	int fd, first, r;

	first = blob_open(&s->tiers[own], &x->entry->digest, x->entry->size, &fd);
	r = first;
	for (size_t i = 0; r < 0 && i < s->n_tiers; i++)
		if (i != own)
			r = blob_open(&s->tiers[i], &x->entry->digest, x->entry->size, &fd);
	return r < 0 ? first : fd;
}

int dist_extent(struct dist *d, size_t entry, struct extent *ret)
{
	struct dist_object *o = object_of(d);
	const struct entry *e = &d->manifest->entries[entry];
	const struct opening x = {.object = o, .entry = e};
	struct handle *handle;
	int r;

	if (e->size == 0) {
		*ret = (struct extent){.fd = -1};
		return 0;
	}
	if (e->size <= PACK_FILE_MAX)
		r = handle_pin(
			o->store->handles, HANDLE_PACK, &d->address, open_pack, &x, &handle);
	else
		r = handle_pin(o->store->handles, HANDLE_BLOB, &e->digest, open_blob, &x, &handle);
	if (r == -ENOENT || r == -EBADMSG || r == -EPERM)
		return -EIO;
	if (r < 0)
		return r;
	*ret = (struct extent){
		.fd = handle_fd(handle),
		.off = e->size <= PACK_FILE_MAX ? (off_t)d->offsets[entry] : 0,
		.size = e->size,
		.pin = handle,
	};
	return 0;
}

int dist_slurp(struct dist *d, size_t entry, size_t max, struct str *out)
{
	struct extent e;
	ssize_t n;
	int r = dist_extent(d, entry, &e);

	if (r < 0)
		return r;
	r = e.size > max ? -EFBIG : str_reserve(out, (size_t)e.size);
	if (r == 0) {
		n = io_pread_full(e.fd, out->p + out->len, (size_t)e.size, e.off);
		if (n >= 0 && (uint64_t)n == e.size) {
			out->len += (size_t)n;
			out->p[out->len] = '\0';
		} else {
			r = n < 0 ? (int)n : -EIO;
		}
	}
	extent_release(&e);
	return r;
}

void extent_release(struct extent *e)
{
	if (e->pin)
		handle_unpin(e->pin);
	*e = (struct extent){.fd = -1};
}
