/* SPDX-License-Identifier: MIT
 *
 * The numbers the kernel holds. Two kinds:
 *
 *  - A store file is (its distribution's serial << 32 | entry + 1), the same number in every
 *    environment that shows it, so that all of them share one page cache. It has no object here,
 * only a count per distribution that keeps the distribution open while the kernel may ask for its
 * bytes.
 *  - Everything else (directories, private and generated files) is a `struct inode`, numbered
 *    INODE_TABLE | counter, known by number and by (parent, name).
 *
 * An inode lives while the kernel holds it (n_lookup) or a child or an open file needs it (refs).
 * Its `parent` and `name` say where it is now; inode_parent() is NULL once it was unlinked.
 *
 * Locking: `parent` and `name` change only under the view's structure lock held for writing; the
 * maps and counts are guarded by the table's own mutex; the file state by inode_lock(). Order:
 * structure lock, inode_lock, table mutex.
 */
#ifndef VIEW_INODE_H
#define VIEW_INODE_H

#include "base/str.h"
#include "view/lower.h"

#include <pthread.h>
#include <stdatomic.h>

#define INODE_ROOT 1ull
#define INODE_TABLE (1ull << 63)

enum inode_kind {
	INODE_DIR,
	INODE_UPPER,	 /* a private file, symlink or fifo of the upper */
	INODE_LAZY,	 /* a store file made private for writing, its bytes not copied yet */
	INODE_GENERATED, /* text made on read, until it is written to */
	INODE_LINK,	 /* a generated symlink */
	INODE_CFG,	 /* pyvenv.cfg as published */
	INODE_DRAFT,	 /* pyvenv.cfg in the hands of a writer */
};

struct env;

struct inode {
	uint64_t id;
	_Atomic uint64_t st_ino; /* what stat shows; LAZY: changes with its bytes */
	_Atomic int kind;
	uint64_t n_lookup; /* protected by the table */
	uint64_t refs;	   /* protected by the table: children, open files, users */

	struct inode *parent; /* read it by inode_parent() */
	_Atomic bool
		gone; /* it has no name any more; parent stays, for who is reading it just now */
	char *name;
	struct inode *children, *next, **prev; /* protected by the table */
	struct inode *id_next, *name_next;     /* hash chains, protected by the table */

	/* directories */
	struct lower_dir
		*lower;	    /* what the view has here; NULL for a plain directory. Structure lock */
	_Atomic bool upper; /* the upper has this directory */
	_Atomic bool env_checked;
	_Atomic uint32_t version; /* counts changes of its names */
	struct env *env;	  /* an environment begins here. Structure lock */

	/* files: by inode_lock */
	int fd; /* open file of the upper shared by all handles, or an O_PATH one once unlinked; -1
		 */
	bool fd_writable, unlinked;
	unsigned n_open;
	struct str text;    /* GENERATED while open, DRAFT */
	int64_t size;	    /* GENERATED: size once known, else -1 */
	uint32_t owner_tid; /* DRAFT: who writes */
	bool dirty;	    /* DRAFT */
	bool flushed;	    /* DRAFT: was closed, if only by one of its descriptors */
	int refused;	    /* DRAFT: why a write failed; such a draft is never published */
	struct dist *dist;  /* LAZY, referenced */
	uint32_t entry;
	uint64_t upper_dev, upper_ino; /* of a hard-linked file: the key of inode_find_link() */
	struct inode *link_next;
};

/* Where it lies, or NULL once it has no name. Structure lock. */
static inline struct inode *inode_parent(const struct inode *i)
{
	return i->gone ? NULL : i->parent;
}

struct inodes;

struct inodes *inodes_new(void); /* with the root inode; NULL: out of memory */
void inodes_free(struct inodes *t);
struct inode *inodes_root(struct inodes *t);

/* By number: NULL for one the kernel can not hold. Borrowed: the kernel holds it during its own
 * requests. */
struct inode *inode_get(struct inodes *t, uint64_t id);
/* The child of that name if it has an object; takes a reference: inode_put(). */
struct inode *inode_find(struct inodes *t, struct inode *parent, const char *name);
/* The file with that (device, inode) of the upper, if it was registered by inode_set_link().
 * Referenced. */
struct inode *inode_find_link(struct inodes *t, uint64_t dev, uint64_t ino);
void inode_set_link(struct inodes *t, struct inode *i, uint64_t dev, uint64_t ino);
/* Finds or makes the child; `init` fills a new one before anybody sees it (may be NULL).
 * Referenced. NULL: out of memory. */
struct inode *inode_make(struct inodes *t, struct inode *parent, const char *name,
	enum inode_kind kind, void (*init)(struct inode *i, void *arg), void *arg);
void inode_ref(struct inodes *t, struct inode *i);
void inode_put(struct inodes *t, struct inode *i);
/* The kernel's count. */
void inode_lookup(struct inodes *t, struct inode *i);
void inode_forget(struct inodes *t, struct inode *i, uint64_t n);

/* Its name is gone; structure lock for writing, or the directory is locked by the kernel. */
void inode_detach(struct inodes *t, struct inode *i);
/* It is `name` in `parent` now, whatever was there is detached. -ENOMEM. Structure lock for
 * writing. */
int inode_move(struct inodes *t, struct inode *i, struct inode *parent, const char *name);
/* Each of the two names has what the other had, where there are objects. -ENOMEM. Structure lock for
 * writing. */
int inode_exchange(struct inodes *t, struct inode *a_dir, const char *a_name, struct inode *b_dir,
	const char *b_name);
/* Calls `f` for each child; `f` may not change the table. Structure lock. */
void inode_each_child(
	struct inodes *t, struct inode *dir, void (*f)(struct inode *, void *arg), void *arg);

/* The children, each referenced; free() the array after putting them. -ENOMEM. */
int inode_children(struct inodes *t, struct inode *dir, struct inode ***ret, size_t *ret_n);

/* Guards the file state of one inode (a few mutexes shared by all inodes: never hold two). */
void inode_lock(struct inode *i);
void inode_unlock(struct inode *i);

/* Path from the root directory, "" for the root itself. -ENOENT once unlinked. Structure lock. */
int inode_path(const struct inode *i, struct str *out);

/* store files */
uint64_t inode_store_id(const struct dist *d, size_t entry);
static inline bool inode_is_store(uint64_t id)
{
	return id != INODE_ROOT && !(id & INODE_TABLE);
}
/* Counts one lookup and keeps the distribution. -ENOMEM. */
int inode_store_lookup(struct inodes *t, struct dist *d, size_t entry);
void inode_store_forget(struct inodes *t, uint64_t id, uint64_t n);
/* The distribution and entry of a number: referenced, dist_unref() it. -ESTALE. */
int inode_store_get(struct inodes *t, uint64_t id, struct dist **ret, size_t *ret_entry);

size_t inodes_count(struct inodes *t);

#endif
