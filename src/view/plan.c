/* SPDX-License-Identifier: MIT
 *
 * From a parsed pyvenv.cfg to a lower tree. Environments with the same lock and interpreter share
 * one, so a thousand clones cost one tree; a lock that nobody has falls back to the last one that
 * could be had.
 */
#include "view/plan.h"

#include "base/cleanup.h"
#include "view/generations.h"
#include "view/listing.h"

#include <fcntl.h>
#include <string.h>

void env_plan_free(struct env_plan *p)
{
	cfg_free(&p->cfg);
	lower_unref(p->lower);
	free(p->fault);
}

static bool same_python(const struct interpreter *a, const struct interpreter *b)
{
	return a == b ||
	       (strcmp(a->executable, b->executable) == 0 && strcmp(a->version, b->version) == 0);
}

/* An environment that has the same lock and interpreter shares its tree. */
static struct lower *shared_lower(
	struct view *v, const struct cfg *cfg, const struct interpreter *py)
{
	struct lower *found = NULL;

	pthread_rwlock_rdlock(&v->lock);
	for (struct env *e = v->envs; e && !found; e = e->next)
		if (e->lower && e->state == ENV_LIVE && !e->fault &&
			e->lock_kind == cfg->lock_kind &&
			(cfg->lock_kind != CFG_LOCK_DIGEST || digest_equal(&e->lock, &cfg->lock)) &&
			same_python(lower_interpreter(e->lower), py))
			found = lower_ref(e->lower);
	pthread_rwlock_unlock(&v->lock);
	return found;
}

int env_plan_lower(struct view *v, struct env_plan *p, bool fresh)
{
	struct interpreter *py = NULL;
	struct lock *lock = NULL;
	struct diag diag = {0};
	int r = interpreter_for_cfg(v->store, &p->cfg, &py, &diag);

	if (r == 0 && !fresh)
		p->lower = shared_lower(v, &p->cfg, py);
	if (r == 0 && !p->lower) {
		if (p->cfg.lock_kind == CFG_LOCK_DIGEST)
			r = store_lock_get(v->store, &p->cfg.lock, &lock, &diag);
		else
			r = (lock = lock_new()) ? 0 : -ENOMEM;
		if (r == 0)
			r = lower_new(v->store, lock, py, true, &p->lower, &diag);
	}
	lock_free(lock);
	interpreter_unref(py);
	if (r < 0) {
		p->fault = strdup(diag_text(&diag, r));
		return r == -ENOMEM ? r : 0;
	}
	p->have_lower = true;
	return 0;
}

/* A lower with nothing of the store, for a lock that can not be had. */
int env_plan_without_dists(struct view *v, struct env_plan *p)
{
	struct cfg bare = p->cfg;
	char *fault = p->fault;
	int r;

	p->cfg.lock_kind = CFG_LOCK_NONE;
	p->fault = NULL;
	r = env_plan_lower(v, p, false);
	p->cfg.lock_kind = bare.lock_kind;
	if (fault) {
		free(p->fault);
		p->fault = fault;
	}
	return r;
}

/* The newest lock that .venvfs/generations tells of and that can be had. */
int env_plan_generation(struct view *v, struct env_plan *p, int dirfd)
{
	auto_free struct generation *left = NULL;
	struct digest wanted = p->cfg.lock;
	char *fault = p->fault;
	size_t n = 0;
	int r = generations_left(dirfd, &left, &n);

	p->fault = NULL;
	while (r == 0 && n-- && !p->have_lower) {
		if (left[n].none)
			continue;
		p->cfg.lock = left[n].lock;
		r = env_plan_lower(v, p, false);
		free(p->fault);
		p->fault = NULL;
	}
	p->cfg.lock = wanted;
	p->fault = fault;
	return r;
}

static int leave_bin(const struct env_plan *p, int dirfd)
{
	auto_close int fd = openat(dirfd, "bin", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct lower_dir *bin = NULL;
	struct listing l = {0};
	int r;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
	r = listing_read(fd, &l);
	if (r == 0)
		r = lower_walk(p->lower, "bin", &bin);
	if (r == 0 && bin)
		r = lower_load(p->lower, bin);
	for (size_t i = 0; r == 0 && bin && i < bin->n; i++)
		if (bin->entries[i].type == LOWER_LINK && !listing_have(&l, bin->entries[i].name))
			r = upper_whiteout(fd, bin->entries[i].name);
	listing_free(&l);
	return r;
}

static int leave_ignore(const struct env_plan *p, int dirfd)
{
	const struct lower_entry *e = NULL;
	int r = p->cfg.without_ignore
			? lower_lookup(p->lower, lower_root(p->lower), ".gitignore", &e)
			: 0;

	return r == 0 && e ? upper_whiteout(dirfd, e->name) : r;
}

int env_plan_leave(const struct env_plan *p, int dirfd)
{
	int r = leave_bin(p, dirfd);

	return r < 0 ? r : leave_ignore(p, dirfd);
}
