/* SPDX-License-Identifier: MIT
 *
 * What the kernel has to be told because it changed behind its back. The view queues events; one
 * thread of the mount takes and delivers them. Never from inside a handler: the kernel may hold the
 * directory's lock for the very request that is being handled.
 */
#ifndef VIEW_EVENTS_H
#define VIEW_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind {
	EVENT_EXPIRE, /* the name in directory `ino` is to be looked up again */
	EVENT_DROP, /* the same of a file, whose object the kernel should let go of if nobody has it
		       open */
	EVENT_INVAL, /* attributes and cached contents of `ino` are out of date */
};

struct event {
	struct event *next;
	enum event_kind kind;
	uint64_t ino;
	char name[]; /* EXPIRE, DROP */
};

struct events;
struct events *events_new(void); /* NULL: out of memory */
void events_free(struct events *q);

void events_expire(struct events *q, uint64_t dir, const char *name);
void events_drop(struct events *q, uint64_t dir, const char *name);
void events_inval(struct events *q, uint64_t ino);

/* The mount's thread: blocks for the next event (caller frees it with events_done()), NULL after
 * events_stop(). */
struct event *events_take(struct events *q);
void events_done(struct events *q, struct event *e);
void events_stop(struct events *q);

/* Waits until what this thread queued so far was delivered. Not for what others queued: that may be
 * for a directory whose lock the kernel holds for the request this thread is handling, and so wait
 * for this thread. Where that happens all the same nothing is delivered any more, and it returns
 * after a quarter of a second of that. It returns at once when too many callers wait already, so
 * that handlers never take up all threads of the session. */
void events_wait(struct events *q);
/* The same of all that is queued now. For a request for which the kernel holds no directory's lock.
 */
void events_wait_all(struct events *q);
/* Another request begins: what this thread queued for the one before, once that had waited, was for when
 * it was answered, and events_wait() does not wait for it. */
void events_leave(struct events *q);

#endif
