/* SPDX-License-Identifier: MIT
 *
 * The whole: opening a root before it is mounted over, looking again at the store, telling
 * how it is. The requests of view.h are in the files named after what they do.
 */
#include "view/view.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "view/listing.h"
#include "view/state.h"

#include <fcntl.h>
#include <string.h>

int64_t now_monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

struct timespec view_stamp(struct view *v)
{
	struct timespec t;
	int64_t now;

	clock_gettime(CLOCK_REALTIME, &t);
	now = t.tv_sec * 1000000000ll + t.tv_nsec;
	pthread_mutex_lock(&v->mutex);
	/* Python compares times as floats, which tell microseconds apart in our days */
	if (now < v->stamp + 1000)
		now = v->stamp + 1000;
	v->stamp = now;
	pthread_mutex_unlock(&v->mutex);
	return (struct timespec){.tv_sec = now / 1000000000, .tv_nsec = now % 1000000000};
}

/* What a daemon that was killed was removing. */
static void sweep(struct view *v)
{
	struct listing l = {0};

	if (listing_read(v->root_fd, &l) == 0)
		upper_sweep(v->root_fd, &l);
	listing_free(&l);
}

int view_new(
	const char *root, struct store *store, bool read_only, struct view **ret, struct diag *diag)
{
	struct view *v = calloc(1, sizeof *v);
	pthread_condattr_t monotonic;
	int r;

	if (!v)
		return -ENOMEM;
	pthread_rwlock_init(&v->lock, NULL);
	pthread_mutex_init(&v->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&v->changed, &monotonic);
	pthread_mutex_init(&v->harvest_mutex, NULL);
	pthread_condattr_destroy(&monotonic);
	v->store = store;
	v->read_only = read_only;
	v->uid = geteuid();
	v->gid = getegid();
	v->root = strdup(root);
	v->inodes = inodes_new();
	v->events = events_new();
	v->root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (v->root_fd < 0)
		r = diag_errno(diag, -errno, "%s", root);
	else if (fstat(v->root_fd, &v->root_st) < 0)
		r = diag_errno(diag, -errno, "%s", root);
	else
		r = v->root && v->inodes && v->events ? 0 : -ENOMEM;
	if (r < 0) {
		view_free(v);
		return r;
	}
	if (!read_only)
		sweep(v);
	*ret = v;
	return 0;
}

void view_free(struct view *v)
{
	if (!v)
		return;
	while (v->envs)
		env_end(v, v->envs);
	snapshots_free(v);
	inodes_free(v->inodes);
	events_free(v->events);
	if (v->root_fd >= 0)
		close(v->root_fd);
	pthread_rwlock_destroy(&v->lock);
	pthread_mutex_destroy(&v->mutex);
	pthread_cond_destroy(&v->changed);
	pthread_mutex_destroy(&v->harvest_mutex);
	free(v->root);
	free(v);
}

struct events *view_events(struct view *v)
{
	return v->events;
}

const char *view_root(const struct view *v)
{
	return v->root;
}

int view_root_fd(const struct view *v)
{
	return v->root_fd;
}

int view_status(struct view *v, struct str *out)
{
	size_t n = 0, faults = 0;
	int r = 0;

	pthread_rwlock_rdlock(&v->lock);
	for (struct env *e = v->envs; e; e = e->next)
		n++;
	r = str_addf(
		out, "\"envs\": %zu, \"inodes\": %zu, \"faults\": [", n, inodes_count(v->inodes));
	for (struct env *e = v->envs; e && r == 0; e = e->next) {
		auto_str struct str path = {0};

		if (!e->fault || out->len > 32 * 1024)
			continue;
		r = inode_path(e->dir, &path);
		if (r == 0)
			r = str_add(out, faults++ ? ", {\"env\": " : "{\"env\": ");
		if (r == 0)
			r = json_add_string(out, path.p);
		if (r == 0)
			r = str_add(out, ", \"fault\": ");
		if (r == 0)
			r = json_add_string(out, e->fault);
		if (r == 0)
			r = str_add(out, "}");
	}
	pthread_rwlock_unlock(&v->lock);
	return r < 0 ? r : str_add(out, "]");
}
