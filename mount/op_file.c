/* SPDX-License-Identifier: MIT */
#include "mount/session.h"

#include <errno.h>

static void opened(struct fuse_file_info *fi, const struct view_open *o)
{
	fi->fh = 0; /* all is known by the inode */
	fi->keep_cache = o->keep_cache;
	fi->noflush = !o->flush;
}

void op_create(
	fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct session *s = session_of(req, COUNT_CREATE);
	struct caller who = caller_of(req);
	struct fuse_entry_param p;
	struct view_entry e;
	struct view_open o;
	int r = view_create(s->view, dir, name, mode, fi->flags, &who, &e, &o);

	if (r < 0)
		return reply_err(req, r);
	opened(fi, &o);
	p = entry_param(&e);
	if (fuse_reply_create(req, &p, fi) == -ENOENT) { /* the caller was interrupted */
		view_release(s->view, e.ino);
		view_forget(s->view, e.ino, 1);
	}
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct session *s = session_of(req, COUNT_OPEN);
	struct caller who = caller_of(req);
	struct view_open o;
	int r;

	if (s->read_only) /* nothing can write: the kernel need not tell of opens */
		return reply_err(req, -ENOSYS);
	r = view_open(s->view, ino, fi->flags, &who, &o);
	if (r < 0)
		return reply_err(req, r);
	opened(fi, &o);
	if (fuse_reply_open(req, fi) == -ENOENT)
		view_release(s->view, ino);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct session *s = session_of(req, COUNT_READ);
	struct view_data d;
	int r = view_read(s->view, ino, off, size, &d);

	(void)fi;
	if (r < 0)
		return reply_err(req, r);
	if (d.fd >= 0) {
		struct fuse_bufvec b = FUSE_BUFVEC_INIT(d.size);

		b.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
		b.buf[0].fd = d.fd;
		b.buf[0].pos = d.off;
		fuse_reply_data(req, &b, 0);
	} else {
		fuse_reply_buf(req, d.mem, d.size);
	}
	view_data_release(&d);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	struct fuse_file_info *fi)
{
	struct session *s = session_of(req, COUNT_WRITE);
	struct caller who = caller_of(req);
	int r = view_write(s->view, ino, buf, size, off, &who);

	(void)fi;
	if (r < 0)
		return reply_err(req, r);
	fuse_reply_write(req, (size_t)r);
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct session *s = session_of(req, COUNT_FLUSH);
	struct caller who = caller_of(req);

	(void)fi;
	if (s->read_only) /* asked once: no close publishes anything here */
		return reply_err(req, -ENOSYS);
	reply_err(req, view_flush(s->view, ino, &who));
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct session *s = session_of(req, COUNT_RELEASE);

	(void)fi;
	view_release(s->view, ino);
	reply_err(req, 0);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct session *s = session_of(req, COUNT_FSYNC);

	(void)fi;
	reply_err(req, view_fsync(s->view, ino, datasync));
}

void op_fallocate(
	fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t size, struct fuse_file_info *fi)
{
	struct session *s = session_of(req, COUNT_FALLOCATE);
	struct caller who = caller_of(req);

	(void)fi;
	reply_err(req, view_fallocate(s->view, ino, mode, off, size, &who));
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	struct session *s = session_of(req, COUNT_LSEEK);
	off_t found;
	int r = view_lseek(s->view, ino, off, whence, &found);

	(void)fi;
	if (r < 0)
		return reply_err(req, r);
	fuse_reply_lseek(req, found);
}

void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi,
	unsigned flags, const void *in, size_t in_size, size_t out_size)
{
	(void)ino, (void)cmd, (void)arg, (void)fi, (void)flags, (void)in, (void)in_size,
		(void)out_size;
	session_of(req, COUNT_IOCTL);
	/* CPython up to 3.13 asks isatty() of every file it opens */
	reply_err(req, -ENOTTY);
}
