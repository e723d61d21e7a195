/* SPDX-License-Identifier: MIT
 *
 * The one thread that tells the kernel what changed behind its back. A name is
 * expired, not invalidated: the next walk asks again, while a process whose working directory it
 * is goes on. Files alone may be dropped.
 */
#include "mount/session.h"

#include <errno.h>
#include <string.h>

void *notify_thread(void *arg)
{
	struct session *s = arg;
	struct events *q = view_events(s->view);
	struct event *e;

	while ((e = events_take(q))) {
		/* -ENOENT: the kernel does not know it, which is as good */
		if (e->kind == EVENT_INVAL) {
			fuse_lowlevel_notify_inval_inode(s->fuse, e->ino, 0, 0);
		} else if (e->kind == EVENT_DROP) {
			fuse_lowlevel_notify_inval_entry(
				s->fuse, e->ino, e->name, strlen(e->name));
		} else {
			int r = fuse_lowlevel_notify_expire_entry(
				s->fuse, e->ino, e->name, strlen(e->name), FUSE_LL_EXPIRE_ONLY);

			if (r == -ENOSYS) /* Linux before 6.2 */
				fuse_lowlevel_notify_inval_entry(
					s->fuse, e->ino, e->name, strlen(e->name));
		}
		events_done(q, e);
	}
	return NULL;
}
