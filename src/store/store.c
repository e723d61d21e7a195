/* SPDX-License-Identifier: MIT
 *
 * The list of tiers, and what is kept in it by name alone: locks. Distributions are in dist.c,
 * small objects in blob.c, notes in note.c.
 */
#include "store/store.h"

#include "base/cleanup.h"
#include "store/blob.h"
#include "store/dist.h"
#include "store/handle.h"
#include "store/tier.h"

#include <string.h>

enum { LOCK_MAX = 16 << 20 };

CLEANUP_DEFINE(store, store_free)

static bool is_same_directory(const struct tier *a, const struct tier *b)
{
	struct stat x, y;

	return tier_exists(a) && tier_exists(b) && fstat(a->fd, &x) == 0 && fstat(b->fd, &y) == 0 &&
	       x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int store_open(
	const char *own, char *const *tiers, size_t n_tiers, struct store **ret, struct diag *diag)
{
	auto_of(store) struct store *s = calloc(1, sizeof *s);
	int r;

	if (!s || !(s->tiers = calloc(n_tiers + 1, sizeof *s->tiers)))
		return -ENOMEM;
	s->tiers[0].fd = -1;
	s->n_tiers = 1;
	r = handles_new(&s->handles);
	if (r == 0)
		r = dists_new(&s->dists);
	if (r == 0 && own)
		r = tier_open(own, true, &s->tiers[0], diag);
	for (size_t i = 0; r == 0 && i < n_tiers; i++) {
		struct tier *t = &s->tiers[s->n_tiers];
		bool again = false;

		r = tier_open(tiers[i], false, t, diag);
		if (r < 0)
			break;
		for (size_t k = 0; k < s->n_tiers; k++)
			again = again || is_same_directory(&s->tiers[k], t);
		if (again)
			tier_close(t); /* what is above has it all */
		else
			s->n_tiers++;
	}
	if (r < 0)
		return r;
	*ret = steal_ptr(s);
	return 0;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	dists_free(s->dists);
	handles_free(s->handles);
	for (size_t i = 0; i < s->n_tiers; i++)
		tier_close(&s->tiers[i]);
	free(s->tiers);
	free(s);
}

const char *store_path(const struct store *s, size_t tier)
{
	return tier < s->n_tiers ? s->tiers[tier].path ? s->tiers[tier].path : "" : NULL;
}

int store_fd(const struct store *s, size_t tier)
{
	return tier < s->n_tiers ? s->tiers[tier].fd : -1;
}

int store_lock_put(struct store *s, const struct lock *lock, struct digest *ret, struct diag *diag)
{
	auto_str struct str text = {0};
	int r = lock_format(lock, &text);

	if (r == 0)
		r = text.len > LOCK_MAX ? -EFBIG
					: blob_put(s, "locks", text.p ? text.p : "", text.len, ret);
	if (r == -EROFS)
		return diag_set(diag, r, "there is no store of your own to keep a lock in");
	return r < 0 ? diag_errno(diag, r, "can not keep a lock in %s", store_path(s, 0)) : 0;
}

int store_lock_get(struct store *s, const struct digest *id, struct lock **ret, struct diag *diag)
{
	auto_str struct str text = {0};
	char hex[DIGEST_HEX + 1];
	int r = blob_get(s, "locks", id, LOCK_MAX, &text);

	digest_format(id, hex);
	if (r == -ENOENT)
		return diag_set(diag, r, "lock sha256:%s is in no store", hex);
	if (r < 0)
		return diag_errno(diag, r, "lock sha256:%s", hex);
	return lock_parse(text.p ? text.p : "", text.len, ret, diag);
}
