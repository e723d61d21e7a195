/* SPDX-License-Identifier: MIT
 *
 * All of a batch is written into the lease's directory: a directory for each distribution, and
 * large files beside those. What makes it durable is syncfs(), three times for a batch of any
 * size: bytes before any name of them shows, blobs before the manifests that need them, and
 * manifests before anybody is told. A distribution's directory appears by one rename, so pack and
 * manifest are there together.
 */
#include "store/ingest.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "store/blob.h"
#include "store/dist.h"
#include "store/field.h"
#include "store/lease.h"
#include "store/tier.h"
#include "store/wheels.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

/* What commit puts into place. */
struct staged {
	char *dir;   /* where it goes, in the store */
	char *clock; /* the directory in which no two manifests show the same second; NULL: any time
			does */
	unsigned serial;
	long nanoseconds;
	struct manifest *manifest;
	char *wheel; /* what it came from; NULL: no wheel */
	struct digest wheel_digest;
};

struct ingest {
	struct store *store;
	struct lease lease;
	_Atomic unsigned last_serial;
	pthread_mutex_t lock; /* of what follows */
	struct staged *staged;
	size_t n_staged, cap;
};

/* In the lease's directory, "d7" is the directory of the 7th, and "b7-12" its 12th entry. */
struct ingest_dist {
	struct ingest *ingest;
	struct manifest *manifest;
	uint64_t *offsets;
	unsigned serial;
	int dir, pack;
};

CLEANUP_DEFINE(manifest, manifest_free)
CLEANUP_DEFINE(ingest, ingest_free)
CLEANUP_DEFINE(ingest_dist, ingest_dist_free)

static void dir_name(unsigned serial, char ret[32])
{
	snprintf(ret, 32, "d%u", serial);
}

static void blob_name(unsigned serial, size_t i, char ret[48])
{
	snprintf(ret, 48, "b%u-%zu", serial, i);
}

static const char *own_path(const struct ingest *in)
{
	return in->store->tiers[0].path;
}

int ingest_begin(struct store *s, struct ingest **ret, struct diag *diag)
{
	auto_of(ingest) struct ingest *in = calloc(1, sizeof *in);
	int r;

	if (!in)
		return -ENOMEM;
	in->lease.fd = -1;
	in->store = s;
	pthread_mutex_init(&in->lock, NULL);
	r = lease_take(&s->tiers[0], &in->lease);
	if (r == -EROFS && !tier_exists(&s->tiers[0]))
		return diag_set(diag, r, "there is no store of your own to add to");
	if (r < 0)
		return diag_errno(diag, r, "can not add to the store %s", store_path(s, 0));
	*ret = steal_ptr(in);
	return 0;
}

static void staged_clear(struct staged *st)
{
	free(st->dir);
	free(st->clock);
	free(st->wheel);
	manifest_free(st->manifest);
}

void ingest_free(struct ingest *in)
{
	if (!in)
		return;
	for (size_t i = 0; i < in->n_staged; i++)
		staged_clear(&in->staged[i]);
	free(in->staged);
	lease_end(&in->lease);
	pthread_mutex_destroy(&in->lock);
	free(in);
}

/* filling */

int ingest_dist_new(
	struct ingest *in, struct manifest *manifest, struct ingest_dist **ret, struct diag *diag)
{
	auto_of(manifest) struct manifest *m = manifest;
	auto_of(ingest_dist) struct ingest_dist *d = calloc(1, sizeof *d);
	uint64_t size;
	char name[32];
	int r;

	if (!d)
		return -ENOMEM;
	*d = (struct ingest_dist){.ingest = in, .dir = -1, .pack = -1};
	r = manifest_sort(m, diag);
	if (r < 0)
		return r;
	d->offsets = calloc(m->n_entries + 1, sizeof *d->offsets);
	if (!d->offsets)
		return -ENOMEM;
	size = manifest_layout(m, d->offsets);
	d->serial = ++in->last_serial;
	d->manifest = steal_ptr(m);
	dir_name(d->serial, name);
	if (mkdirat(in->lease.fd, name, 0755) < 0)
		return diag_errno(diag, -errno, "%s/tmp/%s", own_path(in), in->lease.name);
	d->dir = io_open_beneath(in->lease.fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (d->dir < 0)
		return diag_errno(diag, d->dir, "%s/tmp/%s", own_path(in), in->lease.name);
	if (size) {
		d->pack = openat(d->dir, "pack", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
		if (d->pack < 0 || fchmod(d->pack, 0444) < 0 || ftruncate(d->pack, (off_t)size) < 0)
			return diag_errno(diag, -errno, "%s/tmp: a pack", own_path(in));
	}
	*ret = steal_ptr(d);
	return 0;
}

struct manifest *ingest_dist_manifest(struct ingest_dist *d)
{
	return d->manifest;
}

int ingest_dist_file(struct ingest_dist *d, size_t i, int *ret_fd, off_t *ret_off)
{
	const struct entry *e = &d->manifest->entries[i];
	auto_close int fd = -1;
	char name[48];

	if (e->size <= PACK_FILE_MAX) {
		*ret_fd = e->size ? d->pack : -1;
		*ret_off = (off_t)d->offsets[i];
		return 0;
	}
	blob_name(d->serial, i, name);
	fd = openat(d->ingest->lease.fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0 || fchmod(fd, 0444) < 0)
		return -errno;
	*ret_fd = steal_fd(&fd);
	*ret_off = 0;
	return 0;
}

int ingest_dist_file_done(struct ingest_dist *d, size_t i, int fd)
{
	if (d->manifest->entries[i].size <= PACK_FILE_MAX || fd < 0)
		return 0;
	return close(fd) < 0 ? -errno : 0;
}

void ingest_dist_free(struct ingest_dist *d)
{
	char name[48];

	if (!d)
		return;
	if (d->manifest) {
		for (size_t i = 0; i < d->manifest->n_entries; i++)
			if (d->manifest->entries[i].size > PACK_FILE_MAX) {
				blob_name(d->serial, i, name);
				unlinkat(d->ingest->lease.fd, name, 0);
			}
		dir_name(d->serial, name);
		io_remove_tree_at(d->ingest->lease.fd, name);
	}
	manifest_free(d->manifest);
	free(d->offsets);
	if (d->dir >= 0)
		close(d->dir);
	if (d->pack >= 0)
		close(d->pack);
	free(d);
}

/* staging */

static int write_text(int dir, const char *name, const char *text, size_t n)
{
	auto_close int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	int r;

	if (fd < 0 || fchmod(fd, 0444) < 0)
		return -errno;
	r = io_write_full(fd, text, n);
	if (r == 0 && close(steal_fd(&fd)) < 0)
		r = -errno;
	return r;
}

static int stage(struct ingest_dist *d, const char *dir, const char *clock, const char *wheel,
	const struct digest *wheel_digest, long nanoseconds)
{
	struct ingest *in = d->ingest;
	struct staged st = {.serial = d->serial, .nanoseconds = nanoseconds};
	int r = -ENOMEM;

	pthread_mutex_lock(&in->lock);
	st.dir = strdup(dir);
	st.clock = clock ? strdup(clock) : NULL;
	st.wheel = wheel ? strdup(wheel) : NULL;
	if (wheel)
		st.wheel_digest = *wheel_digest;
	if (st.dir && !clock == !st.clock && !wheel == !st.wheel &&
		array_grow(in->staged, in->cap, in->n_staged + 1) == 0) {
		st.manifest = steal_ptr(d->manifest); /* so that freeing `d` leaves the files */
		in->staged[in->n_staged++] = st;
		r = 0;
	} else {
		staged_clear(&st);
	}
	pthread_mutex_unlock(&in->lock);
	return r;
}

/* Every byte is read: adding a wheel again is how a damaged distribution is mended. */
static bool blob_is_good(const struct tier *t, const struct entry *e)
{
	auto_close int fd = -1;
	struct digest is;

	return blob_open(t, &e->digest, e->size, &fd) == 0 && digest_fd(fd, 0, e->size, &is) == 0 &&
	       digest_equal(&is, &e->digest);
}

static bool is_good(const struct tier *t, const char *dir, const struct manifest *m)
{
	auto_free uint64_t *offsets = calloc(m->n_entries + 1, sizeof *offsets);
	auto_close int pack = -1;
	uint64_t size = offsets ? manifest_layout(m, offsets) : 0;
	bool good = offsets && (!size || dist_open_pack(t, dir, size, &pack) == 0);

	for (size_t i = 0; good && i < m->n_entries; i++) {
		const struct entry *e = &m->entries[i];
		struct digest is;

		if (e->size > PACK_FILE_MAX)
			good = blob_is_good(t, e);
		else if (e->size)
			good = digest_fd(pack, (off_t)offsets[i], e->size, &is) == 0 &&
			       digest_equal(&is, &e->digest);
	}
	return good;
}

/* The very manifest, and all it names. In a tier below, sizes are enough: what is damaged there can
 * not be mended from here. */
static bool is_there(const struct tier *t, bool own, const char *dir, const struct manifest *m,
	const struct str *text)
{
	auto_str struct str path = {0}, there = {0};

	return str_addf(&path, "%s/manifest", dir) == 0 &&
	       tier_read(t, path.p, text->len, &there, NULL) == 0 && there.len == text->len &&
	       memcmp(there.p, text->p, text->len) == 0 && dist_is_whole(t, dir, m) &&
	       (!own || is_good(t, dir, m));
}

/* 1: a tier has it, and knows of the wheel, so there is nothing to add. 0: not. */
static int have_already(struct store *s, const char *dir, const struct manifest *m,
	const struct str *text, const char *file, const struct digest *wheel)
{
	for (size_t i = 0; i < s->n_tiers; i++) {
		const struct tier *t = &s->tiers[i];
		int r;

		if (!is_there(t, i == 0, dir, m, text))
			continue;
		if (!file || wheels_has(t, dir, file, wheel))
			return 1;
		if (i == 0) {
			r = wheels_add(t, dir, file, wheel);
			return r < 0 ? r : 1;
		}
	}
	return 0;
}

int ingest_dist_done(struct ingest_dist *dist, const char *wheel_name, const struct digest *wheel,
	struct digest *ret_address, struct diag *diag)
{
	auto_of(ingest_dist) struct ingest_dist *d = dist;
	struct store *s = d->ingest->store;
	auto_str struct str text = {0}, dir = {0}, clock = {0}, wheels = {0};
	struct digest address;
	int r = manifest_format(d->manifest, &text);

	if (r == 0)
		r = digest_buf(text.p, text.len, &address);
	if (r == 0)
		r = dist_path(d->manifest->name, d->manifest->version, &address, &dir);
	if (r == 0)
		r = str_addf(&clock, "dists/%s", d->manifest->name);
	if (r == 0 && wheel_name)
		r = wheels_format(wheel_name, wheel, &wheels);
	if (r == 0)
		r = have_already(s, dir.p, d->manifest, &text, wheel_name, wheel);
	if (r == 0)
		r = write_text(d->dir, "manifest", text.p, text.len);
	if (r == 0 && wheel_name)
		r = write_text(d->dir, "wheels", wheels.p, wheels.len);
	if (r == 0)
		r = stage(d, dir.p, clock.p, wheel_name, wheel, dist_nanoseconds(&address));
	if (r < 0)
		return diag_errno(diag, r, "%s %s into %s", d->manifest ? d->manifest->name : "",
			d->manifest ? d->manifest->version : "", own_path(d->ingest));
	*ret_address = address;
	return 0;
}

int ingest_pyc_done(
	struct ingest_dist *dist, const struct digest *source, const char *key, struct diag *diag)
{
	auto_of(ingest_dist) struct ingest_dist *d = dist;
	auto_str struct str text = {0}, dir = {0};
	struct digest address;
	char hex[DIGEST_HEX + 2];
	int r = manifest_format(d->manifest, &text);

	if (r == 0)
		r = digest_buf(text.p, text.len, &address);
	if (r == 0)
		r = dist_path_pyc(source, key, &dir);
	if (r == 0)
		r = write_text(d->dir, "manifest", text.p, text.len);
	if (r == 0) {
		digest_format(&address, hex);
		hex[DIGEST_HEX] = '\n';
		r = write_text(d->dir, "address", hex, DIGEST_HEX + 1);
	}
	if (r == 0)
		r = stage(d, dir.p, NULL, NULL, NULL, dist_nanoseconds(&address));
	return r < 0 ? diag_errno(diag, r, "bytecode into %s", own_path(d->ingest)) : 0;
}

/* committing */

static int sync_all(struct ingest *in)
{
	return syncfs(in->lease.fd) < 0 ? -errno : 0;
}

/* No fsync here: sync_all() follows. */
static int open_dir(struct ingest *in, const char *path, int *ret_fd)
{
	int at = in->store->tiers[0].fd, r = io_mkdirs_at(at, path, 0755);

	if (r == 0)
		r = io_open_beneath(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	return r < 0 ? r : (*ret_fd = r, 0);
}

/* Puts `from` of the lease where `path` is; what was there is then in the lease. */
static int swap(struct ingest *in, const char *from, int dir, const char *name)
{
	char old[64];

	if (renameat2(in->lease.fd, from, dir, name, RENAME_EXCHANGE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	snprintf(old, sizeof old, "old-%s", from);
	if (renameat(dir, name, in->lease.fd, old) < 0 ||
		renameat(in->lease.fd, from, dir, name) < 0)
		return -errno;
	return 0;
}

/* Puts `from` of the lease at `path` of the store, unless what is there is the same. */
static int put(struct ingest *in, const char *from, const char *path,
	bool (*same)(const struct ingest *in, const struct staged *st, const void *arg),
	const struct staged *st, const void *arg)
{
	auto_free char *parent = strdup(path);
	auto_close int dir = -1;
	char *name;
	int r;

	if (!parent)
		return -ENOMEM;
	name = strrchr(parent, '/');
	*name++ = '\0';
	r = open_dir(in, parent, &dir);
	if (r < 0)
		return r;
	if (renameat2(in->lease.fd, from, dir, name, RENAME_NOREPLACE) == 0)
		return 0;
	r = -errno;
	if (r == -EINVAL ||
		r == -ENOSYS) /* a file system that can not: EEXIST is seen another way */
		r = faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? -EEXIST
		    : renameat(in->lease.fd, from, dir, name) < 0	 ? -errno
									 : 0;
	if (r == -EEXIST)
		r = same(in, st, arg) ? 0 : swap(in, from, dir, name);
	return r;
}

static bool same_blob(const struct ingest *in, const struct staged *st, const void *arg)
{
	(void)st;
	return blob_is_good(&in->store->tiers[0], arg);
}

/* Bytecode is made anew where it was found wanting, so the new one it is. */
static bool same_dist(const struct ingest *in, const struct staged *st, const void *arg)
{
	auto_str struct str text = {0};

	(void)arg;
	return st->clock && manifest_format(st->manifest, &text) == 0 &&
	       is_there(&in->store->tiers[0], true, st->dir, st->manifest, &text);
}

static int put_blobs(struct ingest *in, const struct staged *st)
{
	for (size_t i = 0; i < st->manifest->n_entries; i++) {
		const struct entry *e = &st->manifest->entries[i];
		char from[48], path[BLOB_PATH];
		int r;

		if (e->size <= PACK_FILE_MAX)
			continue;
		blob_name(st->serial, i, from);
		blob_path("blobs", &e->digest, path);
		r = put(in, from, path, same_blob, st, e);
		if (r == -ENOENT && same_blob(in, st, e)) /* an earlier commit failed behind this */
			r = 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int second_taken(const struct tier *t, const char *clock, time_t second, bool *ret)
{
	auto_names struct names versions = {0};
	int r = tier_list(t, clock, &versions);

	*ret = false;
	for (size_t i = 0; r == 0 && i < versions.n; i++) {
		auto_names struct names addresses = {0};
		auto_str struct str dir = {0};

		r = str_addf(&dir, "%s/%s", clock, versions.v[i]);
		if (r == 0)
			r = tier_list(t, dir.p, &addresses);
		for (size_t k = 0; r == 0 && k < addresses.n; k++) {
			auto_str struct str path = {0};
			struct stat st;

			r = str_addf(&path, "%s/%s/manifest", dir.p, addresses.v[k]);
			if (r == 0 && fstatat(t->fd, path.p, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
				st.st_mtim.tv_sec == second)
				*ret = true;
		}
	}
	return r;
}

/* Tools cache what a file says by its size and time: so a time is never used twice under one name,
 * not even by two processes, and never lies in the future. */
static int set_time(struct ingest *in, const struct staged *st)
{
	const struct tier *t = &in->store->tiers[0];
	struct timespec times[2] = {{.tv_sec = time(NULL) - 1, .tv_nsec = st->nanoseconds}};
	bool taken = st->clock != NULL;
	char path[64];

	while (taken) {
		int r = second_taken(t, st->clock, times[0].tv_sec, &taken);

		if (r < 0)
			return r;
		if (taken)
			times[0].tv_sec--;
	}
	times[1] = times[0];
	snprintf(path, sizeof path, "d%u/manifest", st->serial);
	return utimensat(in->lease.fd, path, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int put_dist(struct ingest *in, const struct staged *st)
{
	auto_close int clock = -1;
	char from[32];
	int r = 0;

	if (st->clock) {
		r = open_dir(in, st->clock, &clock);
		if (r == 0 && flock(clock, LOCK_EX) < 0)
			r = -errno;
	}
	if (r == 0)
		r = set_time(in, st);
	if (r < 0)
		return r;
	dir_name(st->serial, from);
	r = put(in, from, st->dir, same_dist, st, NULL);
	/* where the same came first, from another wheel, also in this very batch */
	if (r == 0 && st->wheel)
		r = wheels_add(&in->store->tiers[0], st->dir, st->wheel, &st->wheel_digest);
	return r;
}

int ingest_commit(struct ingest *in, struct diag *diag)
{
	size_t n_put = 0;
	int r;

	pthread_mutex_lock(&in->lock);
	r = in->n_staged ? sync_all(in) : 0;
	for (size_t i = 0; r == 0 && i < in->n_staged; i++)
		r = put_blobs(in, &in->staged[i]);
	if (r == 0 && in->n_staged)
		r = sync_all(in);
	while (r == 0 && n_put < in->n_staged) {
		r = put_dist(in, &in->staged[n_put]);
		if (r == 0)
			staged_clear(&in->staged[n_put++]);
	}
	if (n_put && r == 0)
		r = sync_all(in);
	in->n_staged -= n_put;
	if (in->n_staged)
		memmove(in->staged, in->staged + n_put, in->n_staged * sizeof *in->staged);
	pthread_mutex_unlock(&in->lock);
	return r < 0 ? diag_errno(diag, r, "can not add to the store %s", own_path(in)) : 0;
}
