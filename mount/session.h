/* SPDX-License-Identifier: MIT
 *
 * One mount: its options, its view, its counters. The operations are const functions over it,
 * declared here for the table in session.c, and grouped in op_*.c by what they serve.
 */
#ifndef MOUNT_SESSION_H
#define MOUNT_SESSION_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "base/diag.h"
#include "view/view.h"

#include <stdatomic.h>
#include <time.h>

enum counter {
	COUNT_LOOKUP,
	COUNT_FORGET,
	COUNT_GETATTR,
	COUNT_SETATTR,
	COUNT_READLINK,
	COUNT_STATFS,
	COUNT_OPEN,
	COUNT_READ,
	COUNT_WRITE,
	COUNT_FLUSH,
	COUNT_RELEASE,
	COUNT_FSYNC,
	COUNT_FALLOCATE,
	COUNT_LSEEK,
	COUNT_CREATE,
	COUNT_OPENDIR,
	COUNT_READDIR,
	COUNT_READDIRPLUS,
	COUNT_FSYNCDIR,
	COUNT_MKDIR,
	COUNT_MKNOD,
	COUNT_SYMLINK,
	COUNT_LINK,
	COUNT_UNLINK,
	COUNT_RMDIR,
	COUNT_RENAME,
	COUNT_GETXATTR,
	COUNT_LISTXATTR,
	COUNT_SETXATTR,
	COUNT_REMOVEXATTR,
	COUNT_IOCTL,
	N_COUNTERS
};

struct harvester;

struct session {
	struct fuse_session *fuse;
	struct view *view;
	bool read_only;
	time_t started;
	int64_t harvest_ns; /* quiet before a harvest; -1: only when asked */
	void (*harvested)(void *arg, const struct harvest *h);
	void *harvested_arg;
	struct harvester *harvester;
	_Atomic uint64_t init_unique; /* wire.c: of the INIT that is being answered */
	_Atomic uint64_t counts[N_COUNTERS];
};

struct session_options {
	const char *root; /* absolute */
	bool foreground, read_only, allow_other;
	int log_fd; /* -1: stderr */
	int64_t harvest_ns; /* -1: no */
	void (*harvested)(void *arg, const struct harvest *h); /* after each that did something; NULL: none */
	void *harvested_arg;
};

/* Mounts, goes to the background unless told not to, and serves until it is unmounted or gets
 * SIGTERM or SIGINT. `ready` (may be NULL) is called once it is mounted, before it goes to the
 * background. 0 or -errno with diag. */
int session_run(const struct session_options *o, struct store *store, struct diag *diag);
/* The text of user.venvfs.status. */
int session_status(struct session *s, struct str *out);

/* notify.c: the thread that delivers the view's events */
void *notify_thread(void *session);

/* wire.c: what libfuse leaves out of the handshake. Mounted, before it serves. */
int wire_open(struct session *s);

/* harvest.c */
int harvester_start(struct session *s); /* after the fork into the background */
void harvester_stop(struct session *s);
/* user.venvfs.harvest: "TOKEN ENV" as a command set it. -EINVAL */
int harvester_ask(struct session *s, const char *value, size_t n);
/* user.venvfs.harvest.TOKEN: the text of harvest_format(), or "error ERRNO TEXT". -ENODATA: not yet */
int harvester_answer(struct session *s, const char *token, struct str *out);

/* reply.c */
struct session *session_of(fuse_req_t req, enum counter what); /* counts the request, which begins */
struct caller caller_of(fuse_req_t req);
void reply_err(fuse_req_t req, int r); /* 0 or -errno: the one place where the sign flips */
void reply_entry(fuse_req_t req, int r, const struct view_entry *e);
struct fuse_entry_param entry_param(const struct view_entry *e);
#define TIMEOUT_FOREVER 1e8 /* seconds */

/* op_lookup.c */
void op_lookup(fuse_req_t req, fuse_ino_t dir, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *f);
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(
	fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set, struct fuse_file_info *fi);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_statfs(fuse_req_t req, fuse_ino_t ino);
/* op_dir.c */
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_readdirplus(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
/* op_file.c */
void op_create(
	fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode, struct fuse_file_info *fi);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_fallocate(
	fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t size, struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);
void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi,
	unsigned flags, const void *in, size_t in_size, size_t out_size);
/* op_name.c */
void op_mkdir(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode);
void op_mknod(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode, dev_t rdev);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t dir, const char *name);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t dir, const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t dir, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t dir, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t dir, const char *name, fuse_ino_t new_dir,
	const char *new_name, unsigned flags);
/* op_xattr.c */
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
	int flags);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

#endif
