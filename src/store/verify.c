/* SPDX-License-Identifier: MIT
 *
 * Everything is read again, each blob once. A fault is told and the walk goes on: what one wants
 * to know of a damaged store is all that is damaged.
 */
#include "store/store.h"

#include "base/cleanup.h"
#include "store/blob.h"
#include "store/dist.h"
#include "store/root.h"
#include "store/tier.h"
#include "store/wheels.h"

#include <fcntl.h>
#include <string.h>

struct walk {
	struct store *store;
	const struct tier *tier;
	void (*bad)(void *arg, const char *what);
	void *arg;
	struct verify_stats stats;
};

CLEANUP_DEFINE(manifest, manifest_free)

static void fault(struct walk *w, const char *path, const char *why)
{
	auto_str struct str s = {0};

	w->stats.n_bad++;
	if (w->bad)
		w->bad(w->arg,
			str_addf(&s, "%s/%s: %s", w->tier->path, path, why) == 0 ? s.p : why);
}

static void fault_errno(struct walk *w, const char *path, int err)
{
	fault(w, path,
		err == -EBADMSG	  ? "damaged: other bytes than its name says"
		: err == -EPERM	  ? "belongs to another user, or others may write it"
		: err == -ENOTDIR ? "no directory"
		: err == -ENOENT  ? "missing"
				  : strerror(-err));
}

/* Lists a directory that must be trusted as a whole. */
static int list(struct walk *w, const char *path, struct names *ret)
{
	struct stat st;
	int r;

	if (fstatat(w->tier->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode) && !tier_trusts(&st))
		fault_errno(w, path, -EPERM);
	r = tier_list(w->tier, path, ret);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		fault_errno(w, path, r);
	return 0;
}

static int check_file(struct walk *w, const struct manifest *m, size_t i, const uint64_t *offsets,
	int pack, const char *dir)
{
	const struct entry *e = &m->entries[i];
	auto_str struct str path = {0};
	struct digest is;
	int r;

	w->stats.n_files++;
	if (e->size > PACK_FILE_MAX) { /* its bytes are looked at as a blob */
		if (blob_is_there(w->tier, &e->digest, e->size))
			return 0;
		r = -ENOENT;
	} else {
		if (pack < 0 && e->size)
			return 0; /* told already */
		r = e->size ? digest_fd(pack, (off_t)offsets[i], e->size, &is)
			    : digest_buf("", 0, &is);
		w->stats.bytes += e->size;
		if (r == 0 && digest_equal(&is, &e->digest))
			return 0;
		if (r == 0)
			r = -EBADMSG;
	}
	if (r == -ENOMEM || str_addf(&path, "%s: %s/%s", dir, tree_name(e->tree), e->path) < 0)
		return -ENOMEM;
	fault_errno(w, path.p, r);
	return 0;
}

static int check_dist(struct walk *w, const char *dir, const struct digest *address,
	const char *name, const char *version)
{
	auto_of(manifest) struct manifest *m = NULL;
	auto_free uint64_t *offsets = NULL;
	auto_close int pack = -1;
	struct digest is;
	struct stat st;
	struct diag why = {0};
	uint64_t size;
	int r = dist_read(w->tier, dir, address, &m, &is, &st, &why);

	w->stats.n_dists++;
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		w->stats.n_bad++;
		if (w->bad)
			w->bad(w->arg, diag_text(&why, r));
		return 0;
	}
	if (name && (strcmp(m->name, name) != 0 || strcmp(m->version, version) != 0))
		fault(w, dir, "lies under another name or version than its own");
	offsets = calloc(m->n_entries + 1, sizeof *offsets);
	if (!offsets)
		return -ENOMEM;
	size = manifest_layout(m, offsets);
	r = size ? dist_open_pack(w->tier, dir, size, &pack) : 0;
	if (r < 0) {
		auto_str struct str path = {0};

		if (str_addf(&path, "%s/pack", dir) < 0)
			return -ENOMEM;
		fault_errno(w, path.p, r);
	}
	r = 0;
	for (size_t i = 0; r == 0 && i < m->n_entries; i++)
		r = check_file(w, m, i, offsets, pack, dir);
	return r;
}

static int check_names(struct walk *w, const char *dir, const char *const *known, size_t n_known)
{
	auto_names struct names names = {0};
	int r = list(w, dir, &names);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		auto_str struct str path = {0};
		bool ok = false;

		for (size_t k = 0; k < n_known; k++)
			ok = ok || strcmp(names.v[i], known[k]) == 0;
		if (ok)
			continue;
		if (str_addf(&path, "%s/%s", dir, names.v[i]) < 0)
			return -ENOMEM;
		fault(w, path.p, "belongs to no part of a store");
	}
	return r;
}

static int check_wheels(struct walk *w, const char *dir)
{
	auto_str struct str text = {0}, path = {0};
	struct wheel_line line;
	const char *p;
	int r = wheels_read(w->tier, dir, &text);

	if (r == -ENOENT)
		return 0;
	p = text.p;
	while (r == 0 && p)
		r = wheels_next(&p, text.p + text.len, &line);
	if (r == -ENOENT || r == -ENOMEM)
		return r == -ENOENT ? 0 : r;
	if (str_addf(&path, "%s/wheels", dir) < 0)
		return -ENOMEM;
	fault_errno(w, path.p, r);
	return 0;
}

static int check_version(struct walk *w, const char *name, const char *version)
{
	static const char *const files[] = {"manifest", "pack", "wheels"};
	auto_names struct names addresses = {0};
	auto_str struct str path = {0};
	int r = str_addf(&path, "dists/%s/%s", name, version);

	if (r == 0)
		r = list(w, path.p, &addresses);
	for (size_t i = 0; r == 0 && i < addresses.n; i++) {
		auto_str struct str dir = {0};
		struct digest address;

		if (str_addf(&dir, "%s/%s", path.p, addresses.v[i]) < 0)
			return -ENOMEM;
		if (digest_parse(addresses.v[i], strlen(addresses.v[i]), &address) < 0) {
			fault(w, dir.p, "no address");
			continue;
		}
		r = check_dist(w, dir.p, &address, name, version);
		if (r == 0)
			r = check_wheels(w, dir.p);
		if (r == 0)
			r = check_names(w, dir.p, files, sizeof files / sizeof *files);
	}
	return r;
}

static int check_dists(struct walk *w)
{
	auto_names struct names names = {0};
	int r = list(w, "dists", &names);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		auto_names struct names versions = {0};
		auto_str struct str path = {0};

		r = str_addf(&path, "dists/%s", names.v[i]);
		if (r == 0)
			r = list(w, path.p, &versions);
		for (size_t k = 0; r == 0 && k < versions.n; k++)
			r = check_version(w, names.v[i], versions.v[k]);
	}
	return r;
}

static int check_pycs(struct walk *w)
{
	static const char *const files[] = {"address", "manifest", "pack"};
	auto_names struct names sources = {0};
	int r = list(w, "pyc", &sources);

	for (size_t i = 0; r == 0 && i < sources.n; i++) {
		auto_names struct names keys = {0};
		auto_str struct str path = {0};

		r = str_addf(&path, "pyc/%s", sources.v[i]);
		if (r == 0)
			r = list(w, path.p, &keys);
		for (size_t k = 0; r == 0 && k < keys.n; k++) {
			auto_str struct str dir = {0};

			r = str_addf(&dir, "%s/%s", path.p, keys.v[k]);
			if (r == 0)
				r = check_dist(w, dir.p, NULL, NULL, NULL);
			if (r == 0)
				r = check_names(w, dir.p, files, sizeof files / sizeof *files);
		}
	}
	return r;
}

static int check_blob(struct walk *w, const char *path, const struct digest *id)
{
	auto_close int fd = -1;
	struct digest is;
	struct stat st;
	int r = tier_open_file(w->tier, path, &fd, &st);

	w->stats.n_blobs++;
	if (r == 0)
		r = digest_fd(fd, 0, (uint64_t)st.st_size, &is);
	if (r == 0)
		w->stats.bytes += (uint64_t)st.st_size;
	if (r == 0 && !digest_equal(&is, id))
		r = -EBADMSG;
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		fault_errno(w, path, r);
	return 0;
}

static int check_line(struct walk *w, const char *path, const struct lock_line *l)
{
	auto_str struct str why = {0}, text = {0};

	if (store_has_dist(w->store, l->name, l->version, &l->address) < 0) {
		if (str_addf(&why, "names %s %s, which is in no store", l->name, l->version) < 0)
			return -ENOMEM;
		fault(w, path, why.p);
	} else if (l->has_origin && store_blob_get(w->store, &l->origin, &text) < 0) {
		if (str_addf(&why, "names an origin of %s that is in no store", l->name) < 0)
			return -ENOMEM;
		fault(w, path, why.p);
	}
	return 0;
}

static int check_lock(struct walk *w, const char *path, const struct digest *id)
{
	auto_str struct str text = {0};
	struct lock *lock = NULL;
	struct digest is;
	struct diag why = {0};
	int r = tier_read(w->tier, path, 16 << 20, &text, NULL);

	w->stats.n_locks++;
	if (r == 0)
		r = digest_buf(text.p ? text.p : "", text.len, &is);
	if (r == 0 && !digest_equal(&is, id))
		r = -EBADMSG;
	if (r == 0)
		r = lock_parse(text.p ? text.p : "", text.len, &lock, &why);
	if (r == -ENOMEM)
		return r;
	if (r < 0 && *why.text)
		fault(w, path, why.text);
	else if (r < 0)
		fault_errno(w, path, r);
	r = 0;
	for (size_t i = 0; lock && r == 0 && i < lock->n; i++)
		r = check_line(w, path, &lock->lines[i]);
	lock_free(lock);
	return r;
}

/* Objects under KIND/ab/<62 hex>. */
static int check_objects(struct walk *w, const char *kind,
	int (*check)(struct walk *w, const char *path, const struct digest *id))
{
	auto_names struct names shards = {0};
	int r = list(w, kind, &shards);

	for (size_t i = 0; r == 0 && i < shards.n; i++) {
		auto_names struct names rest = {0};
		auto_str struct str shard = {0};

		r = str_addf(&shard, "%s/%s", kind, shards.v[i]);
		if (r == 0)
			r = list(w, shard.p, &rest);
		for (size_t k = 0; r == 0 && k < rest.n; k++) {
			auto_str struct str path = {0};
			struct digest id;

			if (str_addf(&path, "%s/%s", shard.p, rest.v[k]) < 0)
				return -ENOMEM;
			if (blob_path_parse(shards.v[i], rest.v[k], &id) < 0)
				fault(w, path.p, "no SHA-256 is its name");
			else
				r = check(w, path.p, &id);
		}
	}
	return r;
}

static int check_roots(struct walk *w)
{
	auto_names struct names names = {0};
	int r = list(w, "roots", &names);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		auto_str struct str path = {0}, root = {0};

		r = root_read(w->tier, names.v[i], &root);
		if (r == -ENOMEM || str_addf(&path, "roots/%s", names.v[i]) < 0)
			return -ENOMEM;
		if (r < 0)
			fault_errno(w, path.p, r);
		r = 0;
	}
	return r;
}

static int check_tier(struct walk *w)
{
	static const char *const top[] = {"CACHEDIR.TAG", "blobs", "dists", "locks", "notes", "pyc",
		"roots", "store-version", "tmp"};
	int r = check_names(w, ".", top, sizeof top / sizeof *top);

	if (r == 0)
		r = check_objects(w, "blobs", check_blob);
	if (r == 0)
		r = check_dists(w);
	if (r == 0)
		r = check_pycs(w);
	if (r == 0)
		r = check_objects(w, "locks", check_lock);
	if (r == 0)
		r = check_roots(w);
	return r;
}

int store_verify(struct store *s, void (*bad)(void *arg, const char *what), void *arg,
	struct verify_stats *ret, struct diag *diag)
{
	struct walk w = {.store = s, .bad = bad, .arg = arg};

	for (size_t i = 0; i < s->n_tiers; i++) {
		int r;

		w.tier = &s->tiers[i];
		r = tier_exists(w.tier) ? check_tier(&w) : 0;
		if (r < 0)
			return diag_errno(diag, r, "%s", w.tier->path);
	}
	*ret = w.stats;
	return 0;
}
