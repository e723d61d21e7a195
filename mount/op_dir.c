/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "mount/session.h"

#include <errno.h>

struct filling {
	fuse_req_t req;
	struct session *s;
	fuse_ino_t dir;
	struct caller who;
	char *buf;
	size_t size, used;
};

static int fill_plain(void *arg, const struct view_list_entry *e)
{
	struct filling *f = arg;
	struct stat st = {.st_ino = e->ino, .st_mode = e->type};
	size_t n = fuse_add_direntry(
		f->req, f->buf + f->used, f->size - f->used, e->name, &st, e->next);

	if (n > f->size - f->used)
		return 1;
	f->used += n;
	return 0;
}

static int fill_plus(void *arg, const struct view_list_entry *e)
{
	struct filling *f = arg;
	struct view_entry found = {0};
	/* number 0: the kernel takes the name and type, and looks up when somebody asks for more */
	struct fuse_entry_param p = {.attr = {.st_ino = e->ino, .st_mode = e->type}};
	size_t n = fuse_add_direntry_plus(f->req, NULL, 0, e->name, NULL, 0);

	if (n > f->size - f->used)
		return 1;
	if (!e->costly && view_lookup(f->s->view, f->dir, e->name, &f->who, &found) == 0)
		p = entry_param(&found);
	f->used += fuse_add_direntry_plus(
		f->req, f->buf + f->used, f->size - f->used, e->name, &p, e->next);
	return 0;
}

static void list(fuse_req_t req, enum counter what, fuse_ino_t ino, size_t size, off_t off,
	int (*fill)(void *arg, const struct view_list_entry *e))
{
	struct session *s = session_of(req, what);
	auto_free char *buf = malloc(size);
	struct filling f = {
		.req = req, .s = s, .dir = ino, .who = caller_of(req), .buf = buf, .size = size};
	int r = buf ? view_readdir(s->view, ino, off, fill, &f) : -ENOMEM;

	if (r < 0)
		return reply_err(req, r);
	fuse_reply_buf(req, buf, f.used);
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	session_of(req, COUNT_OPENDIR);
	/* once: from then on the kernel opens directories, and caches listings, by itself */
	reply_err(req, -ENOSYS);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, COUNT_READDIR, ino, size, off, fill_plain);
}

void op_readdirplus(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, COUNT_READDIRPLUS, ino, size, off, fill_plus);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct session *s = session_of(req, COUNT_FSYNCDIR);

	(void)fi;
	reply_err(req, view_fsync(s->view, ino, datasync));
}
