/* SPDX-License-Identifier: MIT */
#include "mount/session.h"

void op_mkdir(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode)
{
	struct session *s = session_of(req, COUNT_MKDIR);
	struct caller who = caller_of(req);
	struct view_entry e = {0};
	int r = view_mkdir(s->view, dir, name, mode, &who, &e);

	r < 0 ? reply_err(req, r) : reply_entry(req, 0, &e);
}

void op_mknod(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode, dev_t rdev)
{
	struct session *s = session_of(req, COUNT_MKNOD);
	struct caller who = caller_of(req);
	struct view_entry e = {0};
	int r = view_mknod(s->view, dir, name, mode, rdev, &who, &e);

	r < 0 ? reply_err(req, r) : reply_entry(req, 0, &e);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t dir, const char *name)
{
	struct session *s = session_of(req, COUNT_SYMLINK);
	struct caller who = caller_of(req);
	struct view_entry e = {0};
	int r = view_symlink(s->view, dir, name, target, &who, &e);

	r < 0 ? reply_err(req, r) : reply_entry(req, 0, &e);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t dir, const char *name)
{
	struct session *s = session_of(req, COUNT_LINK);
	struct caller who = caller_of(req);
	struct view_entry e = {0};
	int r = view_link(s->view, ino, dir, name, &who, &e);

	r < 0 ? reply_err(req, r) : reply_entry(req, 0, &e);
}

void op_unlink(fuse_req_t req, fuse_ino_t dir, const char *name)
{
	struct session *s = session_of(req, COUNT_UNLINK);

	reply_err(req, view_unlink(s->view, dir, name));
}

void op_rmdir(fuse_req_t req, fuse_ino_t dir, const char *name)
{
	struct session *s = session_of(req, COUNT_RMDIR);

	reply_err(req, view_rmdir(s->view, dir, name));
}

void op_rename(fuse_req_t req, fuse_ino_t dir, const char *name, fuse_ino_t new_dir,
	const char *new_name, unsigned flags)
{
	struct session *s = session_of(req, COUNT_RENAME);
	struct caller who = caller_of(req);

	reply_err(req, view_rename(s->view, dir, name, new_dir, new_name, flags, &who));
}
