/* SPDX-License-Identifier: MIT
 *
 * A hash table of open files and, of those that nobody has pinned, a list by the time of
 * their last use. What is pinned is never closed, so the limit is one on what is kept for
 * later; a process short of descriptors all the same (EMFILE) gives up what it kept.
 */
#include "store/handle.h"

#include "base/cleanup.h"
#include "store/checksum.h"

#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

enum { LIMIT_MIN = 4, LIMIT_MAX = 1024, N_BUCKETS = 1024 };

struct handle {
	struct handles *owner;
	struct handle *next;               /* in its bucket */
	struct handle *older, *newer;      /* among the idle */
	struct digest id;
	enum handle_kind kind;
	int fd;
	unsigned pins;
	bool listed; /* in its bucket; else closed at the last unpin */
};

struct handles {
	pthread_mutex_t lock;
	size_t n, limit;
	struct handle *oldest, *newest;
	struct handle *buckets[N_BUCKETS];
};

int handles_new(struct handles **ret)
{
	struct handles *h = calloc(1, sizeof *h);
	struct rlimit limit;

	if (!h)
		return -ENOMEM;
	pthread_mutex_init(&h->lock, NULL);
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		limit.rlim_cur = 0;
	h->limit = limit.rlim_cur / 2 < LIMIT_MAX ? (size_t)limit.rlim_cur / 2 : LIMIT_MAX;
	if (h->limit < LIMIT_MIN)
		h->limit = LIMIT_MIN;
	*ret = h;
	return 0;
}

static struct handle **bucket(struct handles *h, enum handle_kind kind, const struct digest *id)
{
	return &h->buckets[(checksum_keyed(id->b, sizeof id->b) + kind) % N_BUCKETS];
}

static struct handle *find(struct handles *h, enum handle_kind kind, const struct digest *id)
{
	struct handle *p = *bucket(h, kind, id);

	while (p && !(p->kind == kind && digest_equal(&p->id, id)))
		p = p->next;
	return p;
}

static void idle_remove(struct handles *h, struct handle *p)
{
	*(p->older ? &p->older->newer : &h->oldest) = p->newer;
	*(p->newer ? &p->newer->older : &h->newest) = p->older;
	p->older = p->newer = NULL;
}

static void idle_add(struct handles *h, struct handle *p)
{
	p->older = h->newest;
	*(p->older ? &p->older->newer : &h->oldest) = p;
	h->newest = p;
}

static void unlist(struct handles *h, struct handle *p)
{
	struct handle **at = bucket(h, p->kind, &p->id);

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->listed = false;
	h->n--;
}

static void destroy(struct handle *p)
{
	close(p->fd);
	free(p);
}

/* Until at most `keep` are open, or no idle one is left. */
static void shrink(struct handles *h, size_t keep)
{
	while (h->n > keep && h->oldest) {
		struct handle *p = h->oldest;

		idle_remove(h, p);
		unlist(h, p);
		destroy(p);
	}
}

static void pin_locked(struct handles *h, struct handle *p)
{
	if (p->pins++ == 0)
		idle_remove(h, p);
}

static int insert(struct handles *h, enum handle_kind kind, const struct digest *id, int fd,
	struct handle **ret)
{
	struct handle *p, **at;

	pthread_mutex_lock(&h->lock);
	p = find(h, kind, id);
	if (p) { /* another thread was faster */
		pin_locked(h, p);
		pthread_mutex_unlock(&h->lock);
		close(fd);
		*ret = p;
		return 0;
	}
	p = calloc(1, sizeof *p);
	if (!p) {
		pthread_mutex_unlock(&h->lock);
		close(fd);
		return -ENOMEM;
	}
	*p = (struct handle){
		.owner = h, .id = *id, .kind = kind, .fd = fd, .pins = 1, .listed = true};
	at = bucket(h, kind, id);
	p->next = *at;
	*at = p;
	h->n++;
	shrink(h, h->limit);
	pthread_mutex_unlock(&h->lock);
	*ret = p;
	return 0;
}

int handle_pin(struct handles *h, enum handle_kind kind, const struct digest *id,
	int (*open_file)(const void *arg), const void *arg, struct handle **ret)
{
	struct handle *p;
	int fd;

	pthread_mutex_lock(&h->lock);
	p = find(h, kind, id);
	if (p)
		pin_locked(h, p);
	pthread_mutex_unlock(&h->lock);
	if (p) {
		*ret = p;
		return 0;
	}
	fd = open_file(arg);
	if (fd == -EMFILE || fd == -ENFILE) {
		pthread_mutex_lock(&h->lock);
		shrink(h, 0);
		pthread_mutex_unlock(&h->lock);
		fd = open_file(arg);
	}
	return fd < 0 ? fd : insert(h, kind, id, fd, ret);
}

int handle_fd(const struct handle *handle)
{
	return handle->fd;
}

void handle_unpin(struct handle *p)
{
	struct handles *h = p->owner;
	bool gone = false;

	pthread_mutex_lock(&h->lock);
	if (--p->pins == 0) {
		gone = !p->listed;
		if (!gone) {
			idle_add(h, p);
			shrink(h, h->limit);
		}
	}
	pthread_mutex_unlock(&h->lock);
	if (gone)
		destroy(p);
}

void handle_forget(struct handles *h, enum handle_kind kind, const struct digest *id)
{
	struct handle *p;

	pthread_mutex_lock(&h->lock);
	p = find(h, kind, id);
	if (p)
		unlist(h, p);
	if (p && p->pins == 0)
		idle_remove(h, p);
	else
		p = NULL;
	pthread_mutex_unlock(&h->lock);
	if (p)
		destroy(p);
}

void handles_free(struct handles *h)
{
	if (!h)
		return;
	shrink(h, 0);
	pthread_mutex_destroy(&h->lock);
	free(h);
}
