/* SPDX-License-Identifier: MIT
 *
 * The pool. Work waits in two places: wheels that are not open yet, the largest file first, and
 * pieces of open ones, in a heap by cost. A free thread opens a wheel while few are open, else
 * takes the most expensive piece of all: the long ones begin early, the short ones fill the end.
 * Few are open at once because each costs descriptors and, per thread, a handle of libzip.
 */
#include "py/wheel.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "py/wheel_job.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

enum { OPEN_MAX = 48, THREADS_MAX = 64 };

struct wheel { /* fields below `job` are protected by the pool's lock */
	struct wheel_job job;
	struct archive **archives; /* by thread, each that thread's alone until the end */
	void *tag;
	uint64_t size; /* of the file, as far as known before opening it */
	size_t left;   /* pieces not done */
	int err;
	struct diag diag;
	struct wheel *next;
};

struct piece {
	struct wheel *wheel;
	const struct wheel_piece *piece;
};

struct wheel_pool {
	struct ingest *in;
	struct wheel_watch watch;
	pthread_mutex_t lock;	   /* protects all below; never held while working */
	pthread_mutex_t done_lock; /* makes watch.done one call at a time; taken without `lock` */
	pthread_cond_t changed;
	struct wheel *waiting; /* sorted by size, descending */
	struct piece *heap;
	size_t n_heap, cap_heap;
	size_t n_open;
	bool finishing;
	unsigned n_threads, n_started;
	pthread_t threads[THREADS_MAX];
};

struct worker {
	struct wheel_pool *pool;
	unsigned index;
};

static void wheel_free(struct wheel *w, unsigned n_threads)
{
	for (unsigned i = 0; w->archives && i < n_threads; i++)
		archive_free(w->archives[i]);
	free(w->archives);
	wheel_job_clear(&w->job);
	free(w);
}

/* the heap */

static void heap_push(struct wheel_pool *p, struct piece x)
{
	size_t i = p->n_heap++;

	for (; i > 0; i = (i - 1) / 2) {
		size_t up = (i - 1) / 2;

		if (p->heap[up].piece->cost >= x.piece->cost)
			break;
		p->heap[i] = p->heap[up];
	}
	p->heap[i] = x;
}

static struct piece heap_pop(struct wheel_pool *p)
{
	struct piece top = p->heap[0], x = p->heap[--p->n_heap];
	size_t i = 0, down;

	while ((down = 2 * i + 1) < p->n_heap) {
		if (down + 1 < p->n_heap &&
			p->heap[down + 1].piece->cost > p->heap[down].piece->cost)
			down++;
		if (x.piece->cost >= p->heap[down].piece->cost)
			break;
		p->heap[i] = p->heap[down];
		i = down;
	}
	p->heap[i] = x;
	return top;
}

static void moved(struct wheel_pool *p, uint64_t bytes)
{
	if (p->watch.moved && bytes)
		p->watch.moved(p->watch.arg, bytes);
}

/* Called and returns with the lock held; gives it up meanwhile. The wheel is gone after it. */
static void close_wheel(struct wheel_pool *p, struct wheel *w)
{
	struct wheel_result result = {.tag = w->tag, .diag = &w->diag};

	pthread_mutex_unlock(&p->lock);
	if (w->err == 0)
		w->err = wheel_job_finish(&w->job, &result.address, &w->diag);
	result.path = w->job.path;
	result.err = w->err;
	result.wheel = w->job.digest;
	if (p->watch.done) {
		pthread_mutex_lock(&p->done_lock);
		p->watch.done(p->watch.arg, &result);
		pthread_mutex_unlock(&p->done_lock);
	}
	wheel_free(w, p->n_threads);
	pthread_mutex_lock(&p->lock);
	p->n_open--;
	pthread_cond_broadcast(&p->changed);
}

static void open_wheel(struct wheel_pool *p, unsigned index)
{
	struct wheel *w = p->waiting;
	int r;

	p->waiting = w->next;
	p->n_open++;
	pthread_mutex_unlock(&p->lock);
	r = wheel_job_open(&w->job, &w->archives[index], &w->diag);
	moved(p, r < 0 ? w->size : w->job.overhead);
	pthread_mutex_lock(&p->lock);
	if (r == 0)
		r = array_grow(p->heap, p->cap_heap, p->n_heap + w->job.n_pieces);
	w->err = r;
	w->left = r < 0 ? 0 : w->job.n_pieces;
	for (size_t i = 0; i < w->left; i++)
		heap_push(p, (struct piece){w, &w->job.pieces[i]});
	if (w->left)
		pthread_cond_broadcast(&p->changed);
	else
		close_wheel(p, w);
}

static void run_piece(struct wheel_pool *p, unsigned index, struct hasher *h)
{
	struct piece x = heap_pop(p);
	struct wheel *w = x.wheel;
	uint64_t packed = x.piece->packed;
	struct diag diag = {0};
	bool last;
	int r = 0;

	if (w->err == 0) {
		pthread_mutex_unlock(&p->lock);
		r = h ? wheel_job_run(&w->job, x.piece, &w->archives[index], h, &diag) : -ENOMEM;
		pthread_mutex_lock(&p->lock);
	}
	if (r < 0 && w->err == 0) {
		w->err = r;
		w->diag = diag;
	}
	last = --w->left == 0; /* if not, who takes the last may free it from here on */
	pthread_mutex_unlock(&p->lock);
	moved(p, packed);
	pthread_mutex_lock(&p->lock);
	if (last)
		close_wheel(p, w);
}

static void *work(void *arg)
{
	struct worker *self = arg;
	struct wheel_pool *p = self->pool;
	struct hasher *h = hasher_new();

	pthread_mutex_lock(&p->lock);
	for (;;) {
		if (p->waiting && p->n_open < OPEN_MAX)
			open_wheel(p, self->index);
		else if (p->n_heap)
			run_piece(p, self->index, h);
		else if (p->finishing && !p->waiting && !p->n_open)
			break;
		else
			pthread_cond_wait(&p->changed, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	hasher_free(h);
	free(self);
	return NULL;
}

static unsigned usable_cores(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) < 0 ? 1 : (unsigned)CPU_COUNT(&set);
}

static void pool_free(struct wheel_pool *p)
{
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->done_lock);
	pthread_mutex_destroy(&p->lock);
	free(p->heap);
	free(p);
}

int wheel_pool_new(struct ingest *in, unsigned threads, const struct wheel_watch *watch,
	struct wheel_pool **ret)
{
	struct wheel_pool *p = calloc(1, sizeof *p);
	unsigned started = 0;
	int r = 0;

	if (!p)
		return -ENOMEM;
	if (!threads)
		threads = usable_cores();
	p->in = in;
	p->n_threads = threads < THREADS_MAX ? threads : THREADS_MAX;
	if (watch)
		p->watch = *watch;
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->done_lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	for (; r == 0 && started < p->n_threads; started += r == 0) {
		struct worker *w = malloc(sizeof *w);

		if (!w) {
			r = -ENOMEM;
			break;
		}
		*w = (struct worker){p, started};
		r = -pthread_create(&p->threads[started], NULL, work, w);
		if (r < 0)
			free(w);
	}
	if (!started) {
		pool_free(p);
		return r;
	}
	pthread_mutex_lock(&p->lock);
	p->n_started = started; /* fewer do the work as well */
	pthread_mutex_unlock(&p->lock);
	*ret = p;
	return 0;
}

int wheel_pool_add(struct wheel_pool *p, const char *path, const struct digest *expect, bool named,
	void *tag)
{
	struct wheel *w = calloc(1, sizeof *w), **at;
	struct stat st;

	if (!w)
		return -ENOMEM;
	w->job.fd = -1;
	w->job.in = p->in;
	w->job.named = named;
	w->job.path = strdup(path);
	w->archives = calloc(p->n_threads, sizeof(*w->archives));
	w->tag = tag;
	if (!w->job.path || !w->archives) {
		wheel_free(w, p->n_threads);
		return -ENOMEM;
	}
	if (expect) {
		w->job.expected = true;
		w->job.expect = *expect;
	}
	if (stat(path, &st) == 0 && st.st_size > 0) /* if not, opening it tells */
		w->size = (uint64_t)st.st_size;
	pthread_mutex_lock(&p->lock);
	for (at = &p->waiting; *at && (*at)->size >= w->size;)
		at = &(*at)->next;
	w->next = *at;
	*at = w;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

void wheel_pool_finish(struct wheel_pool *p)
{
	unsigned n;

	pthread_mutex_lock(&p->lock);
	p->finishing = true;
	n = p->n_started;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < n; i++)
		pthread_join(p->threads[i], NULL);
	pool_free(p);
}

/* one wheel */

struct single {
	int err;
	struct digest address, wheel;
	struct diag *diag;
};

static void single_done(void *arg, const struct wheel_result *result)
{
	struct single *s = arg;

	s->err = result->err;
	s->address = result->address;
	s->wheel = result->wheel;
	if (s->diag && result->err < 0)
		*s->diag = *result->diag;
}

int wheel_ingest(struct ingest *in, const char *path, const struct digest *expect, unsigned threads,
	struct digest *ret_address, struct digest *ret_wheel, struct diag *diag)
{
	struct single s = {.diag = diag};
	struct wheel_watch watch = {.done = single_done, .arg = &s};
	struct wheel_pool *p;
	int r = wheel_pool_new(in, threads, &watch, &p);

	if (r < 0)
		return diag_errno(diag, r, "%s: starting threads", path);
	r = wheel_pool_add(p, path, expect, true, NULL);
	wheel_pool_finish(p);
	if (r < 0 || s.err < 0)
		return r < 0 ? r : s.err;
	*ret_address = s.address;
	*ret_wheel = s.wheel;
	return 0;
}
