/* SPDX-License-Identifier: MIT
 *
 * A list under a mutex, and two counters that tell a waiter when everything
 * queued before it is out. Memory running out drops an event: the kernel then
 * goes on with what it knows, which is old but was true.
 */
#include "view/events.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_WAITERS = 6, WAIT_NS = 250 * 1000 * 1000 };

struct events {
	pthread_mutex_t mutex;
	pthread_cond_t more, done;
	struct event *first, **last;
	uint64_t n_queued, n_done;
	unsigned n_waiting;
	bool stopped;
};

struct events *events_new(void)
{
	struct events *q = calloc(1, sizeof *q);

	if (!q)
		return NULL;
	pthread_mutex_init(&q->mutex, NULL);
	pthread_cond_init(&q->more, NULL);
	pthread_cond_init(&q->done, NULL);
	q->last = &q->first;
	return q;
}

void events_free(struct events *q)
{
	if (!q)
		return;
	for (struct event *e = q->first, *next; e; e = next) {
		next = e->next;
		free(e);
	}
	pthread_cond_destroy(&q->more);
	pthread_cond_destroy(&q->done);
	pthread_mutex_destroy(&q->mutex);
	free(q);
}

static void queue(struct events *q, enum event_kind kind, uint64_t ino, const char *name)
{
	size_t n = strlen(name) + 1;
	struct event *e = malloc(sizeof *e + n);

	if (!e)
		return;
	*e = (struct event){.kind = kind, .ino = ino};
	memcpy(e->name, name, n);
	pthread_mutex_lock(&q->mutex);
	*q->last = e;
	q->last = &e->next;
	q->n_queued++;
	pthread_cond_signal(&q->more);
	pthread_mutex_unlock(&q->mutex);
}

void events_expire(struct events *q, uint64_t dir, const char *name)
{
	queue(q, EVENT_EXPIRE, dir, name);
}

void events_drop(struct events *q, uint64_t dir, const char *name)
{
	queue(q, EVENT_DROP, dir, name);
}

void events_inval(struct events *q, uint64_t ino)
{
	queue(q, EVENT_INVAL, ino, "");
}

struct event *events_take(struct events *q)
{
	struct event *e;

	pthread_mutex_lock(&q->mutex);
	while (!q->first && !q->stopped)
		pthread_cond_wait(&q->more, &q->mutex);
	e = q->stopped ? NULL : q->first;
	if (e) {
		q->first = e->next;
		if (!q->first)
			q->last = &q->first;
	}
	pthread_mutex_unlock(&q->mutex);
	return e;
}

void events_done(struct events *q, struct event *e)
{
	free(e);
	pthread_mutex_lock(&q->mutex);
	q->n_done++;
	pthread_cond_broadcast(&q->done);
	pthread_mutex_unlock(&q->mutex);
}

void events_stop(struct events *q)
{
	pthread_mutex_lock(&q->mutex);
	q->stopped = true;
	pthread_cond_broadcast(&q->more);
	pthread_cond_broadcast(&q->done);
	pthread_mutex_unlock(&q->mutex);
}

void events_wait(struct events *q)
{
	struct timespec until;
	uint64_t goal;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += WAIT_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&q->mutex);
	goal = q->n_queued;
	if (q->n_waiting < MAX_WAITERS) {
		q->n_waiting++;
		while (q->n_done < goal && !q->stopped)
			if (pthread_cond_timedwait(&q->done, &q->mutex, &until) == ETIMEDOUT)
				break;
		q->n_waiting--;
	}
	pthread_mutex_unlock(&q->mutex);
}
