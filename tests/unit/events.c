/* SPDX-License-Identifier: MIT */
#include "view/events.h"

#include "tests/tap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static struct events *queue;
static _Atomic int delivered;
static pthread_mutex_t kernel = PTHREAD_MUTEX_INITIALIZER; /* held: nothing is delivered */

static void nap(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000 * 1000}, NULL);
}

/* What the mount's thread does, as slowly as on a machine that has other things to do. */
static void *deliver(void *arg)
{
	struct event *e;

	while ((e = events_take(queue))) {
		pthread_mutex_lock(&kernel);
		nap(*(int *)arg);
		delivered++;
		pthread_mutex_unlock(&kernel);
		events_done(queue, e);
	}
	return NULL;
}

static void *of_another(void *n)
{
	for (int k = 0; k < *(int *)n; k++)
		events_expire(queue, 1, "theirs");
	return NULL;
}

static void by_another(int n)
{
	pthread_t other;

	pthread_create(&other, NULL, of_another, &n);
	pthread_join(other, NULL);
}

int main(void)
{
	int ms = 20;
	pthread_t thread;

	queue = events_new();
	ok(queue, "a queue");
	pthread_create(&thread, NULL, deliver, &ms);

	events_wait(queue);
	ok(delivered == 0, "nothing was queued, nothing is waited for");
	for (int k = 0; k < 30; k++) /* together longer than a stall */
		events_inval(queue, 2);
	events_wait(queue);
	ok(delivered == 30, "all of one's own is waited for while it goes on");

	pthread_mutex_lock(&kernel);
	events_inval(queue, 3);
	events_wait(queue);
	ok(delivered == 30, "where nothing goes on nobody waits for ever");
	pthread_mutex_unlock(&kernel);
	events_wait(queue);
	ok(delivered == 31, "and what is out once it goes on is out");
	by_another(1);
	events_wait_all(queue);
	ok(delivered == 32, "who wants all waits for another's too");

	by_another(100); /* two seconds' work */
	events_wait(queue);
	ok(delivered < 132, "what another queued is not waited for");
	events_expire(queue, 4, "mine");
	events_leave(queue);
	events_wait(queue);
	ok(delivered < 132, "nor what was for when an earlier request was answered");
	events_stop(queue);
	events_inval(queue, 5);
	events_wait(queue);
	ok(delivered < 132, "after the stop nobody waits");
	pthread_join(thread, NULL);
	events_free(queue);
	return done_testing();
}
