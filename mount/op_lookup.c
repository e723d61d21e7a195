/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "mount/session.h"

void op_lookup(fuse_req_t req, fuse_ino_t dir, const char *name)
{
	struct session *s = session_of(req, COUNT_LOOKUP);
	struct caller who = caller_of(req);
	struct view_entry e = {0};

	reply_entry(req, view_lookup(s->view, dir, name, &who, &e), &e);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	struct session *s = session_of(req, COUNT_FORGET);

	view_forget(s->view, ino, n);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *f)
{
	struct session *s = session_of(req, COUNT_FORGET);

	for (size_t k = 0; k < count; k++)
		view_forget(s->view, f[k].ino, f[k].nlookup);
	fuse_reply_none(req);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct session *s = session_of(req, COUNT_GETATTR);
	struct stat st;
	int r = view_getattr(s->view, ino, &st);

	(void)fi;
	if (r < 0)
		return reply_err(req, r);
	fuse_reply_attr(req, &st, TIMEOUT_FOREVER);
}

static unsigned what_of(int to_set)
{
	static const struct {
		int fuse;
		unsigned view;
	} map[] = {
		{FUSE_SET_ATTR_MODE, VIEW_MODE},
		{FUSE_SET_ATTR_UID, VIEW_UID},
		{FUSE_SET_ATTR_GID, VIEW_GID},
		{FUSE_SET_ATTR_SIZE, VIEW_SIZE},
		{FUSE_SET_ATTR_ATIME, VIEW_ATIME},
		{FUSE_SET_ATTR_MTIME, VIEW_MTIME},
		{FUSE_SET_ATTR_ATIME_NOW, VIEW_ATIME_NOW},
		{FUSE_SET_ATTR_MTIME_NOW, VIEW_MTIME_NOW},
	};
	unsigned what = 0;

	for (size_t k = 0; k < sizeof map / sizeof *map; k++)
		if (to_set & map[k].fuse)
			what |= map[k].view;
	return what;
}

void op_setattr(
	fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set, struct fuse_file_info *fi)
{
	struct session *s = session_of(req, COUNT_SETATTR);
	struct caller who = caller_of(req);
	struct stat now;
	int r = view_setattr(s->view, ino, st, what_of(to_set), &who, &now);

	(void)fi;
	if (r < 0)
		return reply_err(req, r);
	fuse_reply_attr(req, &now, TIMEOUT_FOREVER);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct session *s = session_of(req, COUNT_READLINK);
	auto_str struct str target = {0};
	int r = view_readlink(s->view, ino, &target);

	if (r < 0)
		return reply_err(req, r);
	fuse_reply_readlink(req, target.p ? target.p : "");
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct session *s = session_of(req, COUNT_STATFS);
	struct statvfs st;
	int r = view_statfs(s->view, &st);

	(void)ino;
	if (r < 0)
		return reply_err(req, r);
	fuse_reply_statfs(req, &st);
}
