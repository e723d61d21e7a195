/* SPDX-License-Identifier: MIT
 *
 * Private to src/view: what a view and an environment are made of, and what
 * the files that implement view.h ask of each other.
 *
 * `lock` is the structure lock. Requests hold it for reading; what changes parents, environments or
 * their lower trees holds it for writing, for as long as memory is changed or one rename(2) takes.
 * A lower itself is immutable and shared, so nothing is ever rebuilt under the lock.
 */
#ifndef VIEW_STATE_H
#define VIEW_STATE_H

#include "py/cfg.h"
#include "view/held.h"
#include "view/inode.h"
#include "view/lower.h"
#include "view/view.h"
#include "view/whiteout.h"

#define CFG_NAME "pyvenv.cfg"

struct env_plan; /* plan.h */
struct listing;	 /* listing.h */

struct pending { /* a writer sent back to walk its path again */
	uint32_t tid;
	uint64_t ino;
	int64_t until; /* CLOCK_MONOTONIC, nanoseconds */
};
enum { N_PENDING = 256 };

struct snapshot; /* remove.c */
/* 0: nothing private but pyvenv.cfg, whiteouts and directories that hold no more than these. Structure
 * lock for writing. */
int upper_only_cfg(struct view *v, struct inode *dir);

/* list.c */
enum { N_SNAPSHOTS = 8 };

struct view {
	char *root;
	int root_fd;
	struct stat root_st;
	struct store *store;
	bool read_only;
	uid_t uid;
	gid_t gid;
	struct inodes *inodes;
	struct events *events;
	pthread_rwlock_t lock;
	struct env *envs;      /* structure lock */
	pthread_mutex_t mutex; /* what follows */
	struct pending pending[N_PENDING];
	size_t next_pending;
	int64_t stamp;
	struct snapshot *snapshots[N_SNAPSHOTS];
	size_t next_snapshot;
	pthread_cond_t changed; /* an environment that was harvested has private changes again */
	bool harvest_stopped;
	pthread_mutex_t harvest_mutex; /* one at a time; taken before any other lock */
};

enum env_state {
	ENV_LIVE,
	ENV_ASIDE, /* pyvenv.cfg was renamed aside: an editor is saving */
	ENV_GHOST, /* pyvenv.cfg was deleted: nothing is listed, names known before can still be
		      removed */
};

struct env {
	struct env *next, **prev;
	struct inode *dir; /* referenced */
	enum env_state state;
	int64_t until; /* ASIDE, GHOST: when that ends (CLOCK_MONOTONIC) */
	uint32_t aside_tid;
	struct lower *lower;  /* NULL: an ordinary environment, nothing is added to it */
	struct str text;      /* pyvenv.cfg as published */
	struct str gone;      /* GHOST: "/name/" of each that was removed since */
	struct timespec time; /* its mtime */
	char *prompt;
	enum cfg_lock lock_kind;
	struct digest lock;
	char *fault; /* why the view is not what pyvenv.cfg says, or NULL */
	_Atomic uint64_t changes;   /* counts what was done to its private half */
	_Atomic int64_t changed_at; /* the last of it, CLOCK_MONOTONIC */
	_Atomic bool unharvested;   /* something was done since a harvest looked */
};

/* time (clock.c part of view.c) */
int64_t now_monotonic(void);
/* Real time in nanoseconds, at least a microsecond later than any it gave before: for directories.
 */
struct timespec view_stamp(struct view *v);

/* upper.c: all paths are walked beneath the root, never through a symlink */
int upper_open(struct view *v,
	const struct inode *dir); /* O_PATH descriptor of its upper directory, or -errno */
/* Makes the upper directories down to `dir` without moving the times that the view shows. */
int upper_ensure(struct view *v, struct inode *dir);
/* A private file itself: an O_PATH descriptor (owned by the caller). inode_lock held or not. */
int upper_handle(struct view *v, struct inode *i);
/* The names in `dir` changed: a new time, a new version. */
void upper_touch(struct view *v, struct inode *dir);
int upper_whiteout(int dirfd, const char *name); /* durable only with the directory */
void upper_unwhiteout(int dirfd, const char *name);
int upper_opaque(int dirfd, const char *name); /* a directory: nothing of a lower one shows in it */
/* Removes whiteouts and records from an upper directory that is to be removed or replaced. */
int upper_clear_marks(int dirfd, const char *name);
/* For a moment the owner may do what he likes in a directory of his, whatever its mode: the kernel has
 * decided what the caller may do, and what is left are our own marks. Until the scope ends (`ret` is an
 * auto_unlocked); where it helps nothing, the next call says why. Structure lock for writing. */
struct unlocked {
	int fd; /* O_PATH, or -1 */
	mode_t mode;
	bool held; /* nobody else changes modes of directories */
	struct view *view;
	uint64_t id; /* whose mode the kernel may have asked for meanwhile */
};
void upper_unlock(struct view *v, struct inode *dir, struct unlocked *ret);
/* The same where nothing new is read: structure lock for reading. `dirfd` is `dir`'s. */
void upper_unlock_at(struct view *v, struct inode *dir, int dirfd, struct unlocked *ret);
void upper_hold_modes(struct unlocked *ret); /* none of the above until the scope ends */
void upper_lock(struct unlocked *u);
#define auto_unlocked __attribute__((cleanup(upper_lock)))
/* Gives what the daemon made as root to the caller. */
int upper_own(struct view *v, int dirfd, const char *name, const struct caller *who);
/* Takes the setuid and setgid bits off a file that `who` has written to or cut, as the kernel would if
 * it were his own write and not the daemon's. */
int upper_strip(int fd, const struct caller *who);
/* A name for something not yet in place. */
void upper_temp_name(char name[64]);
/* It is one of a process that was killed. Of views there is one at a time on a root. */
bool upper_temp_is_old(const char *name);
/* Removes the directories among these names that are such. No lock. */
void upper_sweep(int dirfd, const struct listing *names);
/* A private file that the kernel knows by another name of it, which may be gone. */
bool upper_is_known_link(struct view *v, int dirfd, const char *name);

/* merge.c: the one rule of what a name means */
enum meaning {
	NAME_NONE,
	NAME_UPPER, /* st; also a directory over a lower one */
	NAME_LOWER,
	NAME_CFG,   /* the environment's pyvenv.cfg, as published */
	NAME_GHOST, /* of a dissolved environment: can be removed, is not listed */
};
struct merged {
	enum meaning what;
	struct stat st; /* UPPER */
	const struct lower_entry
		*lower; /* NAME_LOWER; with UPPER: what lies under it and would show if it went */
	struct lower_dir
		*dir; /* a directory's lower directory, after opaque and redirect; or NULL */
};
/* Structure lock. -EIO and such of the file system. */
int merge_lookup(struct view *v, struct inode *dir, const char *name, struct merged *ret);
/* The same where the upper directory is open already (-1: there is none). */
int merge_lookup_at(
	struct view *v, struct inode *dir, int dirfd, const char *name, struct merged *ret);
/* 1, 0, or -errno */
int merge_is_empty(struct view *v, struct inode *dir);

/* env.c */
struct env *env_of(const struct inode *i); /* the nearest one it lies in, or NULL. Structure lock */
/* Finds out whether an environment begins in `dir`. Takes the structure lock itself. */
int env_check(struct view *v, struct inode *dir);
bool env_is_place(const struct inode *dir); /* a pyvenv.cfg there would make an environment */
/* The text is to be pyvenv.cfg of `dir`; written durably, then the view follows. -EINVAL: refused,
 * kept as "rejected". `dir_locked`: the kernel holds the directory's lock for this request. Not
 * under the structure lock. */
int env_publish(struct view *v, struct inode *dir, struct str *text, const struct caller *who,
	bool dir_locked);
int env_unlink_cfg(struct view *v, struct inode *dir); /* not under the structure lock */
void env_aside(
	struct view *v, struct env *env, const struct caller *who); /* structure lock for writing */
void env_end(struct view *v, struct env *env); /* forgets it. Structure lock for writing */
void env_moved(struct view *v,
	struct inode *dir); /* generated text below is out of date. Structure lock */
/* Something private changed in what `i` belongs to. Structure lock. */
void env_changed(struct view *v, const struct inode *i);
/* `text` becomes pyvenv.cfg and p's tree the lower one, durably, if `changes` is still the count and the
 * environment shows the same: -EAGAIN if not. For a text under which the view is what it was. Not
 * under the structure lock. */
int env_republish(struct view *v, struct inode *dir, struct str *text, struct env_plan *p,
	uint64_t changes);
bool env_name_ok(const char *name);
int env_generate(
	struct view *v, struct inode *i, struct str *out); /* GENERATED: its text. Structure lock */
/* The same of a generated name that is known. */
int env_generate_at(
	struct view *v, struct inode *dir, const struct lower_entry *e, struct str *out);

/* switch.c: from one lower tree to another */
/* Structure lock for writing. Sets env->lower (taking the reference), repoints the known
 * directories, detaches inodes that are something else now, and queues what the kernel must forget
 * below env->dir's children; what it must forget in env->dir itself is queued only if `top`. */
void env_switch(struct view *v, struct env *env, struct lower *lower, bool top);
/* What env_switch() left out for want of `top`. Either may be NULL. */
void switch_expire_top(struct view *v, struct inode *dir, struct lower *old, struct lower *new);

/* pycs.c */
/* A private file goes, and its name with it; whoever has it open goes on with what it is. `dir` NULL:
 * the kernel does not know its directory. Structure lock for writing. */
bool upper_drop(struct view *v, struct inode *dir, int dirfd, const char *name);
/* Private bytecode goes where the store's has come to stand for it. Structure lock for
 * writing; queues. */
void pycs_drop(struct view *v, struct env *env);

/* asides.c */
/* Before an environment is first looked at: takes away what pip had put aside when the daemon before
 * this one died. `upper` is its upper directory. What can not be taken away stays. No lock held. */
void asides_drop(int upper, struct lower *lower);

/* tidy.c: after a harvest. Takes what is private no longer out of the upper: files that `known` says
 * the bytes of, where the lower tree has the same; generated ones; whiteouts of nothing; directories
 * left empty. Nobody sees a difference but in times. Not under the structure lock. -EAGAIN: somebody
 * changed something, the rest is for the next time. */
struct known_file {
	const char *path;	     /* from the environment's directory */
	const struct digest *digest; /* NULL: RECORD names it, and it is generated */
};
int tidy(struct view *v, struct inode *dir, uint64_t changes, const struct held_table *held,
	const struct known_file *known, size_t n_known, size_t *ret_dropped);

/* draft.c */
struct inode *draft_find(struct view *v, struct inode *dir, uint32_t tid); /* referenced; NULL: none, or it was closed, and what became of it is there to be read */
int draft_make(struct view *v, struct inode *dir, const struct str *text, uint32_t tid,
	struct inode **ret);
bool draft_any(struct view *v, struct inode *dir);
int draft_publish(
	struct view *v, struct inode *i, const struct caller *who); /* from a close, not a rename */

/* attr.c */
int attr_inode(struct view *v, struct inode *i, struct stat *ret); /* structure lock */
void attr_store(struct view *v, const struct dist *d, size_t entry, struct stat *ret);
struct timespec attr_dir_time(struct view *v, const struct inode *dir, const struct stat *upper);
/* st_ino of what a name means (attr.c tells the three kinds) */
uint64_t attr_number(const struct inode *dir, const char *name, const struct merged *m);
uint64_t attr_number_changed(const struct inode *dir, const char *name); /* of a view file from its first change on */

/* lookup.c */
int lookup_locked(struct view *v, struct inode *dir, int dirfd, const char *name,
	const struct caller *who, struct view_entry *ret);
/* The inode of a directory by its path from the root, by a walk like the kernel's; referenced. No lock
 * held. */
int view_walk(struct view *v, const char *path, struct inode **ret);
void pending_add(struct view *v, uint32_t tid, uint64_t ino);
bool pending_has(struct view *v, uint32_t tid, uint64_t ino);
void pending_drop(struct view *v, uint32_t tid); /* all of this thread's */

/* copyup.c */
/* LAZY, GENERATED or LINK becomes UPPER, with the first `limit` bytes. inode_lock held, structure
 * lock. */
int copyup(struct view *v, struct inode *i, uint64_t limit);
/* A view file under `name` becomes a private one. Structure lock. */
int copyup_name(struct view *v, struct inode *dir, const char *name, const struct merged *m);
/* A private copy of a store file under a new name. -EEXIST. Structure lock. */
int copyup_as(struct view *v, int dirfd, const char *name, struct dist *d, size_t entry);

/* The view's `name` in `dir` is not the store's any more: bytecode derived from it must not be
 * used. Queues; wait with events_wait() once no lock is held. */
void source_changed(struct view *v, struct inode *dir, const char *name);

/* list.c */
void snapshots_free(struct view *v);
int list_each(struct view *v, struct inode *dir,
	int (*f)(void *arg, const char *name, const struct merged *m), void *arg);

#endif
