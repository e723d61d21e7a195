/* SPDX-License-Identifier: MIT */
#include "mount/session.h"

#include <errno.h>

struct session *session_of(fuse_req_t req, enum counter what)
{
	struct session *s = fuse_req_userdata(req);

	atomic_fetch_add_explicit(&s->counts[what], 1, memory_order_relaxed);
	events_leave(view_events(s->view));
	return s;
}

struct caller caller_of(fuse_req_t req)
{
	const struct fuse_ctx *c = fuse_req_ctx(req);

	/* the kernel's "pid" is the calling thread's */
	return (struct caller){.tid = (uint32_t)c->pid, .uid = c->uid, .gid = c->gid};
}

void reply_err(fuse_req_t req, int r)
{
	fuse_reply_err(req, -r);
}

struct fuse_entry_param entry_param(const struct view_entry *e)
{
	return (struct fuse_entry_param){
		.ino = e->ino,
		.attr = e->st,
		.attr_timeout = e->brief ? 0 : TIMEOUT_FOREVER,
		.entry_timeout = e->brief ? 0 : TIMEOUT_FOREVER,
	};
}

void reply_entry(fuse_req_t req, int r, const struct view_entry *e)
{
	struct fuse_entry_param p = {0};

	if (r == 0)
		p = entry_param(e);
	else if (r == -ENOENT) /* the kernel remembers what is not there */
		p.entry_timeout = e->brief ? 0 : TIMEOUT_FOREVER;
	else
		return reply_err(req, r);
	fuse_reply_entry(req, &p);
}
