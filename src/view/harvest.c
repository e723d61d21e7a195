/* SPDX-License-Identifier: MIT
 *
 * Four steps, of which each leaves the environment showing what it showed: the upper is read; whole
 * distributions in it go into the store; pyvenv.cfg gets the new lock, with the private files still
 * lying over it; and what the new lower tree has as well goes (tidy.c). Only the last two hold
 * the structure lock, for moments. A count of changes tells whether anybody wrote meanwhile: then
 * what is left is for the next time. Killed anywhere, nothing is lost and nothing is there twice
 * that the next harvest does not find.
 */
#include "base/array.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "py/scheme.h"
#include "view/crop.h"
#include "view/plan.h"
#include "view/scripts.h"
#include "view/state.h"

#include <fcntl.h>
#include <string.h>

enum { TRIES = 3 };

struct harvesting {
	struct view *v;
	struct inode *dir; /* referenced */
	struct harvest *ret;
	uint64_t changes;
	int upper;
	struct lower *lower; /* referenced */
	struct str path, text;
	struct held_table held;
	struct lock *lock; /* the new one */
	bool lock_changed;
	struct crop *crops;
	size_t n_crops, cap_crops;
	struct ingest *ingest; /* begun when first needed */
};

void harvest_free(struct harvest *h)
{
	for (size_t i = 0; i < h->n; i++) {
		free(h->items[i].name);
		free(h->items[i].version);
		free(h->items[i].why);
	}
	free(h->items);
	*h = (struct harvest){0};
}

static int report(struct harvesting *k, enum harvest_what what, const char *name,
	const char *version, const struct digest *address, const char *why)
{
	struct harvest *h = k->ret;
	struct harvest_item item = {.what = what};

	if (array_grow(h->items, h->cap, h->n + 1) < 0)
		return -ENOMEM;
	item.name = strdup(name);
	item.version = strdup(version);
	item.why = why ? strdup(why) : NULL;
	if (address)
		item.address = *address;
	h->items[h->n++] = item;
	return item.name && item.version && (!why || item.why) ? 0 : -ENOMEM;
}

/* the environment */

static int look(struct harvesting *k)
{
	struct view *v = k->v;
	struct env *env;
	int r = env_check(v, k->dir);

	pthread_rwlock_rdlock(&v->lock);
	env = k->dir->env;
	if (r == 0)
		r = !env || env->state != ENV_LIVE		       ? -ENOENT
		    : env->lock_kind == CFG_LOCK_ABSENT || !env->lower ? -EPERM
		    : env->fault				       ? -EBUSY
								       : 0;
	if (r == 0) {
		env->unharvested = false;
		k->changes = env->changes;
		k->lower = lower_ref(env->lower);
		r = str_add_mem(&k->text, env->text.p, env->text.len);
		if (r == 0)
			r = str_add(&k->path, v->root);
		if (r == 0)
			r = inode_path(k->dir, &k->path);
		if (r == 0)
			r = k->upper = upper_open(v, k->dir);
	}
	pthread_rwlock_unlock(&v->lock);
	return r < 0 ? r : 0;
}

/* what has grown */

static struct field_of field(const struct harvesting *k)
{
	return (struct field_of){.upper = k->upper,
		.held = &k->held,
		.lower = k->lower,
		.store = k->v->store,
		.path = k->path.p,
		.uid = k->v->uid};
}

/* "SITE/NAME.dist-info" of "SITE/NAME.dist-info/RECORD", or NULL. */
static char *info_of(const char *site, const char *path)
{
	size_t n = strlen(site);
	const char *slash;

	if (strncmp(path, site, n) != 0 || path[n] != '/' || path[n + 1] == '~')
		return NULL;
	slash = strchr(path + n + 1, '/');
	if (!slash || strcmp(slash, "/RECORD") != 0 || slash - path < 10 ||
		memcmp(slash - 10, ".dist-info", 10) != 0)
		return NULL;
	return strndup(path, (size_t)(slash - path));
}

static int keep(struct harvesting *k, const char *info, int r, const struct diag *why)
{
	/* EACCES: not even its owner may read it */
	return r == -EINVAL || r == -EACCES
		       ? report(k, HARVEST_KEPT, path_base(info), "", NULL, diag_text(why, r))
		       : r;
}

static int read_crop(struct harvesting *k, const char *info)
{
	struct field_of f = field(k);
	struct crop crop;
	struct diag why = {0};
	int r = crop_read(&f, info, &crop, &why);

	if (r < 0)
		return keep(k, info, r, &why);
	for (size_t i = 0; i < k->n_crops; i++)
		if (strcmp(k->crops[i].line.name, crop.line.name) == 0) {
			diag_set(&why, -EINVAL, "%s is installed as well",
				path_base(k->crops[i].info));
			r = keep(k, info, -EINVAL, &why);
			crop_free(&crop);
			return r;
		}
	r = array_grow(k->crops, k->cap_crops, k->n_crops + 1);
	if (r < 0) {
		crop_free(&crop);
		return r;
	}
	k->crops[k->n_crops++] = crop;
	return 0;
}

static int read_crops(struct harvesting *k)
{
	auto_str struct str site = {0};
	int r = scheme_dir(lower_interpreter(k->lower), TREE_SITE, "", &site);

	for (size_t i = 0; r == 0 && i < k->held.n; i++) {
		auto_free char *info = NULL;

		if (k->held.p[i].kind == HELD_FILE)
			info = info_of(site.p, k->held.p[i].path);
		if (info)
			r = read_crop(k, info);
	}
	return r;
}

/* Whether DIR/NAME is of distribution `index`, and shows. */
static int shows(struct harvesting *k, size_t index, uint8_t tree, const char *name, bool *ret)
{
	struct field_of f = field(k);
	auto_str struct str path = {0};
	int r = scheme_dir(lower_interpreter(k->lower), tree,
		lower_dist(k->lower, index)->manifest->name, &path);

	if (r == 0)
		r = str_addf(&path, "%s%s", path.len ? "/" : "", name);
	if (r == 0 && lower_owner(crop_shown(&f, path.p)) == (int64_t)index)
		*ret = true;
	return r;
}

/* Its .dist-info has generated files too, which no manifest names. */
static int info_shows(struct harvesting *k, size_t index, bool *ret)
{
	const struct manifest *m = lower_dist(k->lower, index)->manifest;
	auto_str struct str path = {0};
	struct lower_dir *d = NULL;
	int r = scheme_dir(lower_interpreter(k->lower), TREE_SITE, m->name, &path);

	if (r == 0)
		r = str_addf(&path, "/%s", m->info);
	if (r == 0)
		r = lower_walk(k->lower, path.p, &d);
	if (r == 0 && d)
		r = lower_load(k->lower, d);
	for (size_t i = 0; r == 0 && d && !*ret && i < d->n; i++) {
		auto_str struct str name = {0};

		r = str_addf(&name, "%s/%s", m->info, d->entries[i].name);
		if (r == 0)
			r = shows(k, index, TREE_SITE, name.p, ret);
	}
	return r;
}

static int scripts_show(struct harvesting *k, size_t index, bool *ret)
{
	const struct manifest *m = lower_dist(k->lower, index)->manifest;
	struct script_names versions;
	int r = 0;

	script_names_init(lower_interpreter(k->lower), &versions);
	for (size_t i = 0; r == 0 && !*ret && i < m->n_entry_points; i++) {
		const char *names[SCRIPT_NAMES_MAX];
		size_t n = script_names_of(&versions, m, i, names);

		for (size_t j = 0; r == 0 && !*ret && j < n; j++)
			r = shows(k, index, TREE_BIN, names[j], ret);
	}
	return r;
}

/* Nothing of it shows any more, nor can come back by a directory that was renamed. */
static int is_hidden(struct harvesting *k, size_t index, bool *ret)
{
	const struct manifest *m = lower_dist(k->lower, index)->manifest;
	bool shown = k->held.redirects || !m->n_entries;
	int r = 0;

	for (size_t i = 0; r == 0 && !shown && i < m->n_entries; i++)
		r = shows(k, index, m->entries[i].tree, m->entries[i].path, &shown);
	if (r == 0 && !shown)
		r = info_shows(k, index, &shown);
	if (r == 0 && !shown)
		r = scripts_show(k, index, &shown);
	*ret = !shown;
	return r;
}

static const struct crop *crop_of(const struct harvesting *k, const char *name)
{
	for (size_t i = 0; i < k->n_crops; i++)
		if (strcmp(k->crops[i].line.name, name) == 0)
			return &k->crops[i];
	return NULL;
}

static int drop_crop(struct harvesting *k, const char *name, const char *why)
{
	for (size_t i = 0; i < k->n_crops; i++) {
		struct crop *c = &k->crops[i];
		int r;

		if (strcmp(c->line.name, name) != 0)
			continue;
		r = report(k, HARVEST_KEPT, path_base(c->info), "", NULL, why);
		crop_free(c);
		k->n_crops--;
		memmove(c, c + 1, (k->n_crops - i) * sizeof *c);
		return r;
	}
	return 0;
}

/* The lines that leave: of what was deleted, and of what another version has taken the place of. */
static int leave_lines(struct harvesting *k)
{
	k->lock = lock_new();
	if (!k->lock)
		return -ENOMEM;
	for (size_t i = 0; i < lower_n_dists(k->lower); i++) {
		const struct lock_line *line = lower_line(k->lower, i);
		const struct crop *crop = crop_of(k, line->name);
		bool hidden;
		int r = is_hidden(k, i, &hidden);

		if (r == 0 && !hidden && crop && strcmp(crop->line.version, line->version) != 0)
			r = drop_crop(k, line->name, "files of another version show beside it");
		if (r == 0 && hidden && !crop)
			r = report(k, HARVEST_REMOVED, line->name, line->version, &line->address,
				NULL);
		if (r == 0 && hidden)
			k->lock_changed = true;
		if (r == 0 && !hidden)
			r = lock_set(k->lock, line);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool same_line(const struct lock_line *a, const struct lock_line *b)
{
	return digest_equal(&a->address, &b->address) && a->requested == b->requested &&
	       a->has_origin == b->has_origin &&
	       (!a->has_origin || digest_equal(&a->origin, &b->origin)) &&
	       !a->installer == !b->installer &&
	       (!a->installer || strcmp(a->installer, b->installer) == 0);
}

static int store_crops(struct harvesting *k, struct diag *diag)
{
	struct field_of f = field(k);

	for (size_t i = 0; i < k->n_crops;) {
		struct crop *c = &k->crops[i];
		const struct lock_line *old = lock_find(k->lock, c->line.name);
		struct diag why = {0};
		int r = k->ingest ? 0 : ingest_begin(k->v->store, &k->ingest, diag);

		if (r < 0)
			return r;
		r = crop_store(&f, c, k->ingest, &why);
		if (r == 0 && old && !digest_equal(&old->address, &c->line.address)) {
			r = diag_set(&why, -EINVAL, "files of another build of it show beside it");
		}
		if (r == -EINVAL) {
			auto_free char *name = strdup(c->line.name);

			r = name ? drop_crop(k, name, diag_text(&why, r)) : -ENOMEM;
			if (r < 0)
				return r;
			continue;
		}
		if (r < 0)
			return diag_set(diag, r, "%s", diag_text(&why, r));
		i++;
	}
	return k->ingest ? ingest_commit(k->ingest, diag) : 0;
}

static int enter_lines(struct harvesting *k)
{
	for (size_t i = 0; i < k->n_crops; i++) {
		struct lock_line *line = &k->crops[i].line;
		const struct lock_line *old = lock_find(k->lock, line->name);
		int r = 0;

		if (old && same_line(old, line))
			continue;
		if (old && old->wheel_name && digest_equal(&old->address, &line->address)) {
			line->wheel = old->wheel; /* the same bytes: where they came from holds */
			line->wheel_name = strdup(old->wheel_name);
			r = line->wheel_name ? 0 : -ENOMEM;
		}
		if (r == 0)
			r = lock_set(k->lock, line);
		if (r == 0)
			r = report(
				k, HARVEST_ADDED, line->name, line->version, &line->address, NULL);
		if (r < 0)
			return r;
		k->lock_changed = true;
	}
	return 0;
}

/* the new lock */

static int switch_lock(struct harvesting *k, struct diag *diag)
{
	struct env_plan p = {0};
	struct digest id;
	int r = k->lock->n ? store_lock_put(k->v->store, k->lock, &id, diag) : 0;

	if (r == 0)
		r = cfg_set_lock(&k->text, k->lock->n ? &id : NULL);
	if (r == 0)
		r = cfg_parse(k->text.p, k->text.len, &p.cfg, diag);
	if (r == 0)
		r = env_plan_lower(k->v, &p, false);
	if (r == 0 && !p.have_lower)
		r = diag_set(diag, -EIO, "%s", p.fault ? p.fault : "the new lock can not be shown");
	if (r == 0)
		r = env_republish(k->v, k->dir, &k->text, &p, k->changes);
	env_plan_free(&p);
	return r;
}

/* the rest */

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct known_file *)a)->path, ((const struct known_file *)b)->path);
}

static int tidy_up(struct harvesting *k)
{
	struct known_file *known = NULL;
	size_t n = 0, max = 0;
	int r;

	for (size_t i = 0; i < k->n_crops; i++)
		max += k->crops[i].n_recorded;
	known = calloc(max + 1, sizeof *known);
	if (!known)
		return -ENOMEM;
	for (size_t i = 0; i < k->n_crops; i++)
		for (size_t j = 0; j < k->crops[i].n_recorded; j++)
			known[n++].path = k->crops[i].recorded[j];
	if (n)
		qsort(known, n, sizeof *known, by_path);
	for (size_t i = 0; i < k->n_crops; i++)
		for (size_t j = 0; j < k->crops[i].n_files; j++) {
			struct known_file key = {.path = k->crops[i].files[j].path};
			struct known_file *at = bsearch(&key, known, n, sizeof key, by_path);

			/* two that dispute a path are equal, or the upper has one's bytes */
			if (at && k->crops[i].files[j].held && !k->crops[i].files[j].mode_changed)
				at->digest = &k->crops[i].files[j].digest;
		}
	r = tidy(k->v, k->dir, k->changes, &k->held, known, n, &k->ret->n_dropped);
	free(known);
	return r;
}

static bool nothing_held(const struct held_table *t)
{
	return !t->temporaries && (t->n == 0 || (t->n == 1 && strcmp(t->p[0].path, CFG_NAME) == 0));
}

static int run(struct harvesting *k, struct diag *diag)
{
	int r = look(k);

	if (r == 0)
		r = held_read(k->upper, &k->held);
	if (r < 0 || nothing_held(&k->held))
		return r;
	r = read_crops(k);
	if (r == 0)
		r = leave_lines(k);
	if (r == 0)
		r = store_crops(k, diag);
	if (r == 0)
		r = enter_lines(k);
	if (r == 0 && k->lock_changed)
		r = switch_lock(k, diag);
	if (r < 0)
		return r;
	r = tidy_up(k);
	if (r == -EAGAIN) { /* the lock is right; what is in the upper twice is for the next time */
		pthread_rwlock_rdlock(&k->v->lock);
		env_changed(k->v, k->dir);
		pthread_rwlock_unlock(&k->v->lock);
		r = 0;
	}
	return r;
}

static void clear(struct harvesting *k)
{
	for (size_t i = 0; i < k->n_crops; i++)
		crop_free(&k->crops[i]);
	free(k->crops);
	ingest_free(k->ingest);
	lock_free(k->lock);
	held_free(&k->held);
	lower_unref(k->lower);
	str_free(&k->path);
	str_free(&k->text);
	if (k->upper >= 0)
		close(k->upper);
}

static int explain(const char *env, int r, struct diag *diag)
{
	switch (r) {
	case -ENOENT:
	case -ENOTDIR:
		return diag_set(diag, -ENOENT, "%s is no environment", env);
	case -EPERM:
		return diag_set(diag, r,
			"%s is an ordinary environment, without a venvfs-lock line in its "
			"pyvenv.cfg; `venvfs adopt` makes it one of ours",
			env);
	case -EAGAIN:
		return diag_set(diag, r,
			"%s is being changed at this moment; try again when what "
			"writes to it has ended",
			env);
	case -EBUSY:
		return diag_set(diag, r,
			"%s does not show what its pyvenv.cfg says; `venvfs show` tells why", env);
	default:
		return diag->text[0] ? r : diag_errno(diag, r, "%s can not be harvested", env);
	}
}

int view_harvest(struct view *v, const char *env, struct harvest *ret, struct diag *diag)
{
	struct inode *dir = NULL;
	int r = v->read_only ? -EROFS : view_walk(v, env, &dir);

	*ret = (struct harvest){0};
	pthread_mutex_lock(&v->harvest_mutex);
	for (int tries = 0; dir && tries < TRIES; tries++) {
		struct harvesting k = {.v = v, .dir = dir, .ret = ret, .upper = -1};

		harvest_free(ret);
		r = run(&k, diag);
		clear(&k);
		if (r != -EAGAIN)
			break;
	}
	pthread_mutex_unlock(&v->harvest_mutex);
	inode_put(v->inodes, dir);
	return r < 0 ? explain(env, r, diag) : 0;
}

/* when */

/* The environment that is due, or how long until one is. -ENOENT: none has changed. */
static int find_due(struct view *v, int64_t quiet, struct str *ret_env, int64_t *ret_until)
{
	struct env *due = NULL;
	int r = -ENOENT;

	pthread_rwlock_rdlock(&v->lock);
	for (struct env *e = v->envs; e; e = e->next)
		if (e->unharvested && e->state == ENV_LIVE && e->lower &&
			e->lock_kind != CFG_LOCK_ABSENT && !e->fault &&
			(!due || e->changed_at < due->changed_at))
			due = e;
	if (due && due->changed_at + quiet > now_monotonic()) {
		*ret_until = due->changed_at + quiet;
		r = -EAGAIN;
	} else if (due) {
		due->unharvested = false;
		r = inode_path(due->dir, ret_env);
	}
	pthread_rwlock_unlock(&v->lock);
	return r;
}

int view_harvest_wait(struct view *v, int64_t quiet, struct str *ret_env)
{
	for (;;) {
		int64_t until = now_monotonic() + 60 * 1000000000ll; /* missed or not */
		struct timespec t;
		int r = find_due(v, quiet, ret_env, &until);
		bool stopped;

		if (r != -ENOENT && r != -EAGAIN)
			return r;
		t = (struct timespec){until / 1000000000, until % 1000000000};
		pthread_mutex_lock(&v->mutex);
		stopped = v->harvest_stopped;
		if (!stopped)
			pthread_cond_timedwait(&v->changed, &v->mutex, &t);
		stopped = v->harvest_stopped;
		pthread_mutex_unlock(&v->mutex);
		if (stopped)
			return -ESHUTDOWN;
	}
}

void view_harvest_stop(struct view *v)
{
	pthread_mutex_lock(&v->mutex);
	v->harvest_stopped = true;
	pthread_cond_broadcast(&v->changed);
	pthread_mutex_unlock(&v->mutex);
}
