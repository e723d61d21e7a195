/* SPDX-License-Identifier: MIT
 *
 * An environment's life. It begins where a pyvenv.cfg with a home appears in a directory that is no
 * part of another environment's view, changes its lower tree when a new text is published, and ends
 * when the file is deleted. One function, env_publish(), puts a text in place; whatever a writer
 * did before that (a draft, a rename) only prepares it. Lower trees are made outside of the
 * structure lock: it can take milliseconds the first time.
 */
#include "base/array.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "view/generate.h"
#include "view/generations.h"
#include "view/plan.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { ASIDE_NS = 1000 * 1000 * 1000, ASIDE_S = 10, GHOST_S = 30 };

bool env_name_ok(const char *name)
{
	/* they break PATH, shebangs and terminals (reference: CPython's venv refuses os.pathsep
	 * too) */
	for (const unsigned char *p = (const unsigned char *)name; *p; p++)
		if (*p == ':' || *p < ' ' || *p == 0x7f)
			return false;
	return true;
}

struct env *env_of(const struct inode *i)
{
	for (; i; i = inode_parent(i))
		if (i->env)
			return i->env;
	return NULL;
}

bool env_is_place(const struct inode *dir)
{
	return dir->kind == INODE_DIR && dir->id != INODE_ROOT && (dir->env || !dir->lower);
}

static void env_free(struct view *v, struct env *env)
{
	lower_unref(env->lower);
	str_free(&env->text);
	str_free(&env->gone);
	free(env->prompt);
	free(env->fault);
	inode_put(v->inodes, env->dir);
	free(env);
}

static void set_fault(struct env *env, const char *text)
{
	free(env->fault);
	env->fault = text ? strdup(text) : NULL;
}

static int read_cfg(int dirfd, struct str *text, struct timespec *time)
{
	struct stat st;

	if (fstatat(dirfd, CFG_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOENT;
	*time = st.st_mtim;
	return io_slurp_at(dirfd, CFG_NAME, CFG_MAX, text);
}

/* An ordinary environment made by another tool before the mount: it has its own interpreter. */
static bool is_ordinary(int dirfd, const struct cfg *cfg)
{
	struct stat st;

	return cfg->lock_kind == CFG_LOCK_ABSENT &&
	       fstatat(dirfd, "bin", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Structure lock for writing. Takes plan's lower. */
static struct env *env_begin(struct view *v, struct inode *dir, const struct str *text,
	struct timespec time, struct env_plan *p)
{
	struct env *env = dir->env;

	if (!env) {
		env = calloc(1, sizeof *env);
		if (!env)
			return NULL;
		inode_ref(v->inodes, dir);
		env->dir = dir;
		env->next = v->envs;
		env->prev = &v->envs;
		if (env->next)
			env->next->prev = &env->next;
		v->envs = env;
		dir->env = env;
	}
	str_truncate(&env->text, 0);
	if (str_add_mem(&env->text, text->p, text->len) < 0)
		return NULL;
	env->time = time;
	env->state = ENV_LIVE;
	free(env->prompt);
	env->prompt = p->cfg.prompt ? strdup(p->cfg.prompt) : NULL;
	env->lock_kind = p->cfg.lock_kind;
	env->lock = p->cfg.lock;
	set_fault(env, p->fault);
	return env;
}

void env_end(struct view *v, struct env *env)
{
	env->dir->env = NULL;
	env->dir->lower = NULL;
	*env->prev = env->next;
	if (env->next)
		env->next->prev = env->prev;
	env_free(v, env);
}

static void env_expire(struct view *v, struct env *env)
{
	if (env->state == ENV_LIVE || now_monotonic() < env->until)
		return;
	if (env->state == ENV_ASIDE) {
		env->state = ENV_GHOST;
		env_switch(v, env, NULL, true);
	}
	env_end(v, env);
}

int env_check(struct view *v, struct inode *dir)
{
	auto_str struct str text = {0};
	auto_close int fd = -1;
	struct timespec time;
	struct env_plan p = {0};
	bool stale, place;
	int r;

	pthread_rwlock_rdlock(&v->lock);
	stale = dir->env && dir->env->state != ENV_LIVE && now_monotonic() >= dir->env->until;
	place = env_is_place(dir) && dir->upper && !dir->env_checked;
	if (place)
		fd = upper_open(v, dir);
	pthread_rwlock_unlock(&v->lock);
	if (stale) {
		pthread_rwlock_wrlock(&v->lock);
		if (dir->env)
			env_expire(v, dir->env);
		pthread_rwlock_unlock(&v->lock);
		return 0;
	}
	if (!place)
		return 0;
	if (fd < 0)
		return fd;
	r = read_cfg(fd, &text, &time);
	if (r == 0)
		r = cfg_parse(text.p, text.len, &p.cfg, NULL);
	if (r == 0 && !is_ordinary(fd, &p.cfg)) {
		r = env_plan_lower(v, &p, false);
		if (r == 0 && !p.have_lower && p.cfg.lock_kind == CFG_LOCK_DIGEST)
			r = env_plan_generation(v, &p, fd);
		if (r == 0 && !p.have_lower)
			r = env_plan_without_dists(v, &p);
		if (r == 0 && p.lower && !v->read_only)
			asides_drop(fd, p.lower);
	}
	if (r == -ENOMEM || r == -EIO || r == -EMFILE) {
		env_plan_free(&p);
		return r;
	}
	pthread_rwlock_wrlock(&v->lock);
	if (!dir->env_checked && r == 0 && !dir->env) {
		struct env *env = env_begin(v, dir, &text, time, &p);

		if (env) {
			env->lower = steal_ptr(p.lower);
			dir->lower = env->lower ? lower_root(env->lower) : NULL;
			if (!v->read_only) /* what an earlier daemon did not come to */
				env_changed(v, dir);
		}
	}
	dir->env_checked = true;
	pthread_rwlock_unlock(&v->lock);
	env_plan_free(&p);
	return 0;
}

static int refuse(int dirfd, const struct str *text, struct env *env, const struct diag *why)
{
	if (mkdirat(dirfd, ".venvfs", 0700) == 0 || errno == EEXIST) {
		auto_close int fd =
			io_open_beneath(dirfd, ".venvfs", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);

		if (fd >= 0)
			io_publish_at(fd, "rejected", text->p ? text->p : "", text->len, 0644);
	}
	set_fault(env, diag_text(why, -EINVAL));
	return -EINVAL;
}

/* The text as it is to be stored: an environment of ours keeps its key. */
static int complete_text(struct view *v, struct inode *dir, struct str *text, struct cfg *cfg)
{
	bool ours, ordinary;
	struct digest lock = {0};
	int r = 0;

	pthread_rwlock_rdlock(&v->lock);
	ordinary =
		dir->env && dir->env->state != ENV_GHOST && dir->env->lock_kind == CFG_LOCK_ABSENT;
	/* virtualenv unlinks the file and writes a new one, and means to keep what is installed;
	 * what clears an environment removes other names as well */
	ours = dir->env && dir->env->lock_kind == CFG_LOCK_DIGEST &&
	       (dir->env->state != ENV_GHOST || !dir->env->gone.len);
	if (ours)
		lock = dir->env->lock;
	pthread_rwlock_unlock(&v->lock);
	if (cfg->lock_kind != CFG_LOCK_ABSENT || ordinary)
		return 0;
	r = cfg_set_lock(text, ours ? &lock : NULL);
	cfg->lock_kind = ours ? CFG_LOCK_DIGEST : CFG_LOCK_NONE;
	cfg->lock = lock;
	return r == 0 && text->len > CFG_MAX ? -EFBIG : r;
}

static bool env_generation(const struct env *env, struct generation *ret)
{
	struct cfg cfg = {.lock_kind = CFG_LOCK_ABSENT};

	if (env) {
		cfg.lock_kind = env->lock_kind;
		cfg.lock = env->lock;
	}
	return generation_of_cfg(&cfg, ret);
}

static int write_cfg(struct view *v, struct inode *dir, int fd, struct str *text,
	const struct cfg *new, const struct caller *who, struct timespec *time)
{
	struct generation left, next;
	struct stat st;
	bool leaving;
	int r;

	pthread_rwlock_rdlock(&v->lock);
	leaving = env_generation(dir->env, &left) &&
		  !(generation_of_cfg(new, &next) && generation_equal(&left, &next));
	pthread_rwlock_unlock(&v->lock);
	r = leaving ? generations_leave(fd, &left) : 0;
	if (r == 0)
		r = io_publish_at(fd, CFG_NAME, text->p, text->len, 0644);
	if (r == 0)
		r = upper_own(v, fd, CFG_NAME, who);
	if (r == 0 && fstatat(fd, CFG_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r == 0)
		*time = st.st_mtim;
	return r;
}

static void adopt_plan(struct view *v, struct inode *dir, struct str *text, struct timespec time,
	struct env_plan *p, bool dir_locked)
{
	struct env *env = env_begin(v, dir, text, time, p);
	struct inode *cfg;

	dir->env_checked = true;
	if (env && p->have_lower) {
		env_switch(v, env, steal_ptr(p->lower), !dir_locked);
		pycs_drop(v, env);
	}
	cfg = inode_find(v->inodes, dir, CFG_NAME);
	if (cfg) {
		events_inval(v->events, cfg->id);
		inode_put(v->inodes, cfg);
	}
}

void env_changed(struct view *v, const struct inode *i)
{
	struct env *env = env_of(i);

	if (!env)
		return;
	env->changes++;
	env->changed_at = now_monotonic();
	if (atomic_exchange(&env->unharvested, true))
		return;
	pthread_mutex_lock(&v->mutex);
	pthread_cond_signal(&v->changed);
	pthread_mutex_unlock(&v->mutex);
}

/* A file beside pyvenv.cfg that is to take its place: durable, with its owner and mode. */
static int write_beside(int dirfd, const char *tmp, const struct str *text)
{
	auto_close int fd = -1;
	struct stat st;
	int r;

	if (fstatat(dirfd, CFG_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = io_write_full(fd, text->p, text->len);
	if (r == 0 && fchmod(fd, st.st_mode & 07777) < 0)
		r = -errno;
	if (r == 0 && geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) < 0)
		r = -errno;
	return r == 0 && fsync(fd) < 0 ? -errno : r;
}

int env_republish(
	struct view *v, struct inode *dir, struct str *text, struct env_plan *p, uint64_t changes)
{
	auto_close int fd = -1;
	struct generation left;
	bool leaving;
	struct stat st;
	char tmp[64];
	int r;

	pthread_rwlock_rdlock(&v->lock);
	fd = upper_open(v, dir);
	leaving = env_generation(dir->env, &left);
	pthread_rwlock_unlock(&v->lock);
	if (fd < 0)
		return fd;
	upper_temp_name(tmp);
	r = leaving ? generations_leave(fd, &left) : 0;
	if (r == 0)
		r = write_beside(fd, tmp, text);
	if (r == 0) {
		pthread_rwlock_wrlock(&v->lock);
		if (!dir->env || dir->env->state != ENV_LIVE || dir->env->changes != changes ||
			dir->env->fault)
			r = -EAGAIN;
		else if (renameat(fd, tmp, fd, CFG_NAME) < 0 ||
			 fstatat(fd, CFG_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = -errno;
		else
			adopt_plan(v, dir, text, st.st_mtim, p, false);
		pthread_rwlock_unlock(&v->lock);
	}
	if (r < 0)
		unlinkat(fd, tmp, 0);
	else
		r = io_fsync_dir_at(fd, ".");
	events_expire(v->events, dir->id, CFG_NAME);
	events_wait(v->events);
	return r;
}

int env_publish(struct view *v, struct inode *dir, struct str *text, const struct caller *who,
	bool dir_locked)
{
	struct lower *old = NULL, *new = NULL;
	auto_close int fd = -1;
	struct timespec time;
	struct env_plan p = {0};
	struct diag why = {0};
	bool live, keyless;
	int r;

	pthread_rwlock_rdlock(&v->lock);
	fd = upper_open(v, dir);
	live = dir->env && dir->env->state != ENV_GHOST;
	pthread_rwlock_unlock(&v->lock);
	if (fd < 0)
		return fd;
	r = cfg_parse(text->p ? text->p : "", text->len, &p.cfg, &why);
	if (r < 0) {
		if (live) {
			pthread_rwlock_wrlock(&v->lock);
			r = dir->env ? refuse(fd, text, dir->env, &why) : -EINVAL;
			pthread_rwlock_unlock(&v->lock);
		} else { /* a file like any other */
			r = io_publish_at(fd, CFG_NAME, text->p ? text->p : "", text->len, 0644);
		}
		cfg_free(&p.cfg);
		return r;
	}
	keyless = p.cfg.lock_kind == CFG_LOCK_ABSENT;
	r = complete_text(v, dir, text, &p.cfg);
	if (r == 0 && p.cfg.lock_kind != CFG_LOCK_ABSENT) {
		r = env_plan_lower(v, &p, false);
		if (r == 0 && !p.have_lower && !live)
			r = env_plan_without_dists(v, &p);
		if (r == 0 && keyless && !live && p.cfg.lock_kind == CFG_LOCK_NONE)
			r = env_plan_leave(&p, fd);
	}
	if (r == 0)
		r = write_cfg(v, dir, fd, text, &p.cfg, who, &time);
	if (r == 0) {
		pthread_rwlock_wrlock(&v->lock);
		old = dir->env ? lower_ref(dir->env->lower) : NULL;
		adopt_plan(v, dir, text, time, &p, dir_locked);
		new = dir->env ? lower_ref(dir->env->lower) : NULL;
		upper_touch(v, dir);
		pthread_rwlock_unlock(&v->lock);
		if (!dir_locked)
			events_expire(v->events, dir->id, CFG_NAME);
		events_wait(v->events);
		if (dir_locked) { /* delivered when the handler has answered */
			events_expire(v->events, dir->id, CFG_NAME);
			switch_expire_top(v, dir, old, new);
		}
		lower_unref(old);
		lower_unref(new);
	}
	env_plan_free(&p);
	return r;
}

int env_unlink_cfg(struct view *v, struct inode *dir)
{
	auto_close int fd = -1;
	struct lower *old = NULL;
	struct env *env;
	int r = 0;

	pthread_rwlock_wrlock(&v->lock);
	env = dir->env;
	fd = upper_open(v, dir);
	if (fd < 0)
		r = fd;
	else if (unlinkat(fd, CFG_NAME, 0) < 0 && !(errno == ENOENT && env))
		r = -errno;
	if (r == 0 && env) {
		struct inode *i = inode_find(v->inodes, dir, CFG_NAME);

		env->state = ENV_GHOST;
		env->until = now_monotonic() + GHOST_S * 1000000000ll;
		str_free(&env->gone);
		old = lower_ref(env->lower);
		env_switch(v, env, lower_ref(env->lower), false);
		if (i) {
			inode_detach(v->inodes, i);
			inode_put(v->inodes, i);
		}
	}
	if (r == 0)
		upper_touch(v, dir);
	pthread_rwlock_unlock(&v->lock);
	if (r == 0) {
		events_wait(v->events);
		switch_expire_top(v, dir, old, NULL);
	}
	lower_unref(old);
	return r;
}

void env_aside(struct view *v, struct env *env, const struct caller *who)
{
	(void)v;
	env->state = ENV_ASIDE;
	env->aside_tid = who->tid;
	env->until = now_monotonic() + ASIDE_S * 1000000000ll;
}

static void moved_child(struct inode *i, void *arg)
{
	struct view *v = arg;

	if (i->kind == INODE_GENERATED) {
		i->size = -1;
		events_inval(v->events, i->id);
	}
}

void env_moved(struct view *v, struct inode *dir)
{
	inode_each_child(v->inodes, dir, moved_child, v);
}

int env_generate_at(struct view *v, struct inode *dir, const struct lower_entry *e, struct str *out)
{
	auto_str struct str path = {0};
	struct env *env = env_of(dir);
	int r = str_add(&path, v->root);

	if (r == 0 && env)
		r = inode_path(env->dir, &path);
	if (r == 0)
		r = generate(env ? env->lower : NULL, e,
			&(struct generate_env){.path = path.p, .prompt = env ? env->prompt : NULL},
			out);
	return r;
}

int env_generate(struct view *v, struct inode *i, struct str *out)
{
	struct inode *dir = inode_parent(i);
	struct merged m;
	int r;

	if (!dir)
		return -ENOENT;
	r = merge_lookup(v, dir, i->name, &m);
	if (r < 0)
		return r;
	if (!m.lower || m.lower->type != LOWER_GENERATED)
		return -ENOENT;
	return env_generate_at(v, dir, m.lower, out);
}

/* Trees made anew once, however many environments share them. */
struct renewed {
	struct lower *old, *new;
};

static int renew(
	struct view *v, struct inode *dir, struct renewed *done, size_t *n_done, size_t max)
{
	auto_str struct str text = {0};
	struct env_plan p = {0};
	struct lower *old = NULL;
	struct env *env;
	bool faulty = false, shared;
	int r = -ENOENT;

	pthread_rwlock_rdlock(&v->lock);
	env = dir->env;
	if (env && env->state == ENV_LIVE && env->lower) {
		r = str_add_mem(&text, env->text.p, env->text.len);
		old = lower_ref(env->lower);
		faulty = env->fault;
	}
	pthread_rwlock_unlock(&v->lock);
	for (size_t k = 0; r == 0 && !faulty && !p.lower && k < *n_done; k++)
		if (done[k].old == old)
			p.lower = lower_ref(done[k].new);
	p.have_lower = shared = p.lower;
	if (r == 0 && !p.lower) {
		r = cfg_parse(text.p, text.len, &p.cfg, NULL);
		if (r == 0)
			r = env_plan_lower(v, &p, true);
		if (r == 0 && p.have_lower && !faulty && lower_is_same(old, p.lower)) {
			lower_unref(p.lower); /* so that the kernel need not forget a name */
			p.lower = lower_ref(old);
		}
	}
	if (r == 0 && p.have_lower) {
		pthread_rwlock_wrlock(&v->lock);
		env = dir->env;
		if (env && env->state == ENV_LIVE && env->lower == old) {
			if (!faulty && !shared && *n_done < max)
				done[(*n_done)++] = (struct renewed){
					.old = lower_ref(old), .new = lower_ref(p.lower)};
			if (p.lower != old) {
				set_fault(env, NULL);
				env_switch(v, env, steal_ptr(p.lower), true);
				pycs_drop(v, env);
			}
		}
		pthread_rwlock_unlock(&v->lock);
	}
	lower_unref(old);
	env_plan_free(&p);
	return r;
}

void view_refresh(struct view *v)
{
	struct inode **dirs = NULL;
	struct renewed *done = NULL;
	size_t n = 0, cap = 0, n_done = 0;

	pthread_rwlock_rdlock(&v->lock);
	for (struct env *e = v->envs; e; e = e->next) {
		if (array_grow(dirs, cap, n + 1) < 0)
			break;
		inode_ref(v->inodes, e->dir);
		dirs[n++] = e->dir;
	}
	pthread_rwlock_unlock(&v->lock);
	done = calloc(n + 1, sizeof *done);
	for (size_t k = 0; k < n; k++) {
		if (done)
			renew(v, dirs[k], done, &n_done, n);
		inode_put(v->inodes, dirs[k]);
	}
	for (size_t k = 0; k < n_done; k++) {
		lower_unref(done[k].old);
		lower_unref(done[k].new);
	}
	free(done);
	free(dirs);
	events_wait(v->events);
}
