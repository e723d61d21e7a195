/* SPDX-License-Identifier: MIT */
#include "store/usage.h"

#include "base/cleanup.h"
#include "base/disk.h"
#include "store/blob.h"
#include "store/dist.h"
#include "store/tier.h"

#include <errno.h>

/* 0 also where nothing is there. */
static int tell(const struct tier *t, const char *path, struct usage *u, usage_each each, void *arg)
{
	int r = tier_exists(t) ? disk_usage_at(t->fd, path, &u->disk) : -ENOENT;

	return r == 0 ? each(arg, u) : r == -ENOENT ? 0 : r;
}

/* Of the tier that serves it: the distribution's own first, as dist.c has it. */
static int tell_object(struct store *s, const char *kind, struct usage *u, size_t first,
	usage_each each, void *arg)
{
	char path[BLOB_PATH];
	uint64_t disk;

	blob_path(kind, &u->id, path);
	for (size_t i = 0; i <= s->n_tiers; i++) {
		size_t tier = i ? i - 1 : first;

		if (!tier_exists(&s->tiers[tier]) ||
			disk_usage_at(s->tiers[tier].fd, path, &disk) < 0)
			continue;
		u->tier = tier;
		u->disk = disk;
		return each(arg, u);
	}
	return 0;
}

static int tell_blobs(struct store *s, const struct manifest *m, size_t tier, bool derived,
	usage_each each, void *arg)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->n_entries; i++) {
		struct usage u = {
			.kind = USAGE_BLOB, .id = m->entries[i].digest, .derived = derived};

		if (m->entries[i].size > PACK_FILE_MAX)
			r = tell_object(s, "blobs", &u, tier, each, arg);
	}
	return r;
}

static int tell_bytecode(
	struct store *s, size_t tier, const struct digest *source, usage_each each, void *arg)
{
	struct usage u = {.kind = USAGE_BYTECODE, .id = *source, .derived = true, .tier = tier};
	const struct tier *t = &s->tiers[tier];
	auto_names struct names keys = {0};
	char path[sizeof "pyc/" + DIGEST_HEX] = "pyc/";
	int r;

	digest_format(source, path + 4);
	r = tier_list(t, path, &keys);
	if (r < 0 || !keys.n)
		return r == -ENOTDIR ? 0 : r;
	r = tell(t, path, &u, each, arg);
	for (size_t i = 0; r == 0 && i < keys.n; i++) {
		auto_str struct str dir = {0};
		struct manifest *m = NULL;
		struct digest address;
		struct stat st;

		if (str_addf(&dir, "%s/%s", path, keys.v[i]) < 0)
			return -ENOMEM;
		r = dist_read(t, dir.p, NULL, &m, &address, &st, NULL);
		if (r == 0) {
			r = tell_blobs(s, m, tier, true, each, arg);
			manifest_free(m);
		} else if (r != -ENOMEM) {
			r = 0; /* one that can not be read counts as none */
		}
	}
	return r;
}

int usage_of_dist(struct store *s, const struct dist *d, usage_each each, void *arg)
{
	struct usage u = {.kind = USAGE_DIST, .id = d->address, .tier = d->tier};
	auto_str struct str dir = {0};
	int r = dist_path(d->manifest->name, d->manifest->version, &d->address, &dir);

	if (r == 0)
		r = tell(&s->tiers[d->tier], dir.p, &u, each, arg);
	if (r == 0)
		r = tell_blobs(s, d->manifest, d->tier, false, each, arg);
	for (size_t i = 0; r == 0 && i < s->n_tiers; i++)
		r = tell_bytecode(s, i, &d->address, each, arg);
	return r;
}

int usage_of_lock(struct store *s, const struct digest *id, const struct lock *lock,
	usage_each each, void *arg)
{
	struct usage u = {.kind = USAGE_LOCK, .id = *id};
	int r = tell_object(s, "locks", &u, 0, each, arg);

	for (size_t i = 0; r == 0 && i < lock->n; i++)
		if (lock->lines[i].has_origin) {
			u = (struct usage){.kind = USAGE_BLOB, .id = lock->lines[i].origin};
			r = tell_object(s, "blobs", &u, 0, each, arg);
		}
	return r;
}
