/* SPDX-License-Identifier: MIT
 *
 * One root directory as the kernel is to see it: plain directories, and environments whose views
 * lie over their private files. This is the whole of what mount/ calls; no FUSE type crosses it.
 * Functions are named after the requests they serve, return 0 or -errno, and are thread-safe; the
 * kernel's own locking is relied on for one thing: names of one directory are changed by one
 * request at a time.
 *
 * -ESTALE from view_open() and view_setattr() makes the kernel walk the caller's path again; that
 * walk's lookup gets a private inode (copy-on-write in spite of shared numbers, see copyup.h).
 */
#ifndef VIEW_VIEW_H
#define VIEW_VIEW_H

#include "base/diag.h"
#include "base/str.h"
#include "store/store.h"
#include "view/events.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

struct view;

struct caller {
	uint32_t tid; /* the calling thread */
	uid_t uid;
	gid_t gid;
};

struct view_entry {
	uint64_t ino; /* the kernel's number */
	struct stat st;
	bool brief; /* not to be cached: the next walk asks again */
};

/* life cycle */
/* Opens the directory `root` (absolute) before anything is mounted over it; `store` must outlive
 * the view. */
int view_new(const char *root, struct store *store, bool read_only, struct view **ret,
	struct diag *diag);
void view_free(struct view *v);
struct events *view_events(struct view *v); /* borrowed */
const char *view_root(const struct view *v);
int view_root_fd(const struct view *v); /* the upper's root directory, borrowed */

/* inodes. Lookup and all that make a name count one for the kernel; view_forget() takes it back. */
int view_lookup(struct view *v, uint64_t dir, const char *name, const struct caller *who,
	struct view_entry *ret);
void view_forget(struct view *v, uint64_t ino, uint64_t n);
int view_getattr(struct view *v, uint64_t ino, struct stat *ret);
enum {
	VIEW_MODE = 1,
	VIEW_UID = 2,
	VIEW_GID = 4,
	VIEW_SIZE = 8,
	VIEW_ATIME = 16,
	VIEW_MTIME = 32,
	VIEW_ATIME_NOW = 64,
	VIEW_MTIME_NOW = 128
};
int view_setattr(struct view *v, uint64_t ino, const struct stat *st, unsigned what,
	const struct caller *who, struct stat *ret);
int view_readlink(struct view *v, uint64_t ino, struct str *ret);
int view_statfs(struct view *v, struct statvfs *ret);

/* directories: calls `each` from the entry behind cookie `off` until it returns non-zero (full: not
 * an error). Cookies stay good across changes. `each` may look entries up by view_list_lookup(). */
struct view_list_entry {
	const char *name;
	uint64_t ino; /* st_ino */
	mode_t type;  /* S_IFMT bits */
	off_t next;   /* cookie behind it */
	bool costly;  /* its attributes cost work: leave them to a later lookup */
};
int view_readdir(struct view *v, uint64_t dir, off_t off,
	int (*each)(void *arg, const struct view_list_entry *e), void *arg);

/* names */
int view_mkdir(struct view *v, uint64_t dir, const char *name, mode_t mode,
	const struct caller *who, struct view_entry *ret);
int view_mknod(struct view *v, uint64_t dir, const char *name, mode_t mode, dev_t rdev,
	const struct caller *who, struct view_entry *ret);
int view_symlink(struct view *v, uint64_t dir, const char *name, const char *target,
	const struct caller *who, struct view_entry *ret);
int view_link(struct view *v, uint64_t ino, uint64_t dir, const char *name,
	const struct caller *who, struct view_entry *ret);
int view_unlink(struct view *v, uint64_t dir, const char *name);
int view_rmdir(struct view *v, uint64_t dir, const char *name);
int view_rename(struct view *v, uint64_t dir, const char *name, uint64_t new_dir,
	const char *new_name, unsigned flags, const struct caller *who);

/* files */
struct view_open {
	bool keep_cache; /* pages of an earlier open are still good */
	bool flush;	 /* close(2) must be told */
};
int view_create(struct view *v, uint64_t dir, const char *name, mode_t mode, int flags,
	const struct caller *who, struct view_entry *ret, struct view_open *ret_open);
int view_open(
	struct view *v, uint64_t ino, int flags, const struct caller *who, struct view_open *ret);
int view_flush(struct view *v, uint64_t ino, const struct caller *who);
void view_release(struct view *v, uint64_t ino);
/* What to answer a read with: bytes in memory, or of a descriptor. Give it back after the reply. */
struct view_data {
	const char *mem;
	char *owned;
	int fd; /* -1: mem */
	off_t off;
	size_t size;
	bool drop; /* the backing pages are not needed once they were served */
	struct extent extent;
};
int view_read(struct view *v, uint64_t ino, off_t off, size_t size, struct view_data *ret);
void view_data_release(struct view_data *d);
int view_write(struct view *v, uint64_t ino, const void *buf, size_t size, off_t off,
	const struct caller *who);
int view_fsync(struct view *v, uint64_t ino, bool data_only);
int view_fallocate(struct view *v, uint64_t ino, int mode, off_t off, off_t size,
	const struct caller *who);
/* `whence`: SEEK_DATA or SEEK_HOLE; the kernel does the others itself. -ENXIO */
int view_lseek(struct view *v, uint64_t ino, off_t off, int whence, off_t *ret);

/* extended attributes of private files; store files have none */
int view_getxattr(struct view *v, uint64_t ino, const char *name, void *buf, size_t size);
int view_listxattr(struct view *v, uint64_t ino, char *buf, size_t size);
int view_setxattr(struct view *v, uint64_t ino, const char *name, const void *buf, size_t size,
	int flags, const struct caller *who);
int view_removexattr(struct view *v, uint64_t ino, const char *name, const struct caller *who);

/* harvest: what installers put into an environment moves into the store, and its lock gains the line;
 * distributions that were wholly deleted lose theirs. Nothing that a process can see changes but
 * times. Only where pyvenv.cfg has our key. */
enum harvest_what { HARVEST_ADDED, HARVEST_REMOVED, HARVEST_KEPT };
struct harvest_item {
	enum harvest_what what;
	char *name, *version; /* KEPT: the .dist-info directory, and "" */
	struct digest address;
	char *why; /* KEPT */
};
struct harvest {
	struct harvest_item *items;
	size_t n, cap;
	size_t n_dropped; /* files that are private no longer */
};
/* `env`: the environment's path from the root. -ENOENT: no environment is there; -EROFS; -EPERM: an
 * ordinary one, without our key; -EAGAIN: somebody was changing it, and changes it still. harvest_free()
 * it on failure too: what was done is done. */
int view_harvest(struct view *v, const char *env, struct harvest *ret, struct diag *diag);
void harvest_free(struct harvest *h);
/* As text for the command that asked the daemon for it (harvest_text.c). -EPROTO */
int harvest_format(const struct harvest *h, struct str *out);
int harvest_parse(const char *text, struct harvest *ret);
/* Blocks until an environment was left alone for `quiet` nanoseconds after a change, appends its path,
 * and counts it as looked at. -ESHUTDOWN after view_harvest_stop(). */
int view_harvest_wait(struct view *v, int64_t quiet, struct str *ret_env);
void view_harvest_stop(struct view *v);

/* What is private and deleted below `path` (from the root) is forgotten; of an environment itself, all
 * but its pyvenv.cfg. It lies in RESET_TRASH of the environment's upper directory then, for the caller
 * to remove. Does not wait for the kernel to hear of it: view_settled(). -ENOENT: no environment's, or
 * below what was deleted; -EPERM: of an ordinary one; -EBUSY: another environment lies in it, or the lock
 * can not be shown; -EINVAL: pyvenv.cfg itself; -EROFS. */
int view_reset(struct view *v, const char *path);
#define RESET_TRASH ".venvfs/trash"
/* The directory `with` beside the environment's upper directory, an ordinary environment, takes its place,
 * and gets the old one in exchange: one rename. `since`: -ETXTBSY if anything was changed after that
 * (CLOCK_MONOTONIC, nanoseconds). -EEXIST: it is an ordinary one; else as view_reset(). */
int view_replace(struct view *v, const char *env, const char *with, int64_t since);
void view_settled(struct view *v); /* the kernel has heard of what was done before, or soon will */

/* the whole */
/* Looks again at what the store has (new bytecode, objects that were missing). */
void view_refresh(struct view *v);
/* Environments that are loaded, as JSON members: "envs": N, "inodes": N, "faults": [{"env":...,
 * "fault":...}] */
int view_status(struct view *v, struct str *out);

#endif
