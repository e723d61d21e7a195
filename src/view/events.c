/* SPDX-License-Identifier: MIT
 *
 * A list under a mutex, and two counters: an event is out when as many are done as were queued up
 * to it. A waiter is woken at that count, and not by each event on the way. Memory running out
 * drops an event: the kernel then goes on with what it knows, which is old but was true.
 */
#include "view/events.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_WAITERS = 6, STALL_NS = 250 * 1000 * 1000 };

/* n_queued after what this thread queued last. There is one queue in a process that mounts. */
static _Thread_local uint64_t own_goal;

struct events {
	pthread_mutex_t mutex;
	pthread_cond_t more, done;
	struct event *first, **last;
	uint64_t n_queued, n_done;
	uint64_t goals[MAX_WAITERS]; /* n_done that one waits for; 0: nobody */
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
	own_goal = ++q->n_queued;
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
	for (size_t i = 0; i < MAX_WAITERS; i++)
		if (q->goals[i] == q->n_done)
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

/* False: not one event went out for as long as a stall is. The queue's mutex. */
static bool wait_some(struct events *q)
{
	uint64_t before = q->n_done;
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += STALL_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return pthread_cond_timedwait(&q->done, &q->mutex, &until) != ETIMEDOUT ||
	       q->n_done != before;
}

/* The queue's mutex. */
static void wait_for(struct events *q, uint64_t goal)
{
	size_t i = 0;

	while (i < MAX_WAITERS && q->goals[i])
		i++;
	if (i == MAX_WAITERS || q->n_done >= goal)
		return;
	q->goals[i] = goal;
	while (q->n_done < goal && !q->stopped)
		if (!wait_some(q))
			break;
	q->goals[i] = 0;
}

void events_wait(struct events *q)
{
	pthread_mutex_lock(&q->mutex);
	wait_for(q, own_goal);
	pthread_mutex_unlock(&q->mutex);
}

void events_leave(struct events *q)
{
	(void)q;
	own_goal = 0;
}

void events_wait_all(struct events *q)
{
	pthread_mutex_lock(&q->mutex);
	wait_for(q, q->n_queued);
	pthread_mutex_unlock(&q->mutex);
}
