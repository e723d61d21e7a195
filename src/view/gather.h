/* SPDX-License-Identifier: MIT
 *
 * Private to lower.c, gather.c and conflicts.c: how a lower is made, and what its
 * distributions bring to one directory.
 */
#ifndef VIEW_GATHER_H
#define VIEW_GATHER_H

#include "py/scheme.h"
#include "view/lower.h"
#include "view/scripts.h"
#include "view/tree.h"

#include <pthread.h>
#include <stdatomic.h>

/* Who brings a part: an index into the distributions, or the environment itself. */
#define OWNER_ENV UINT32_MAX

/* What one tree of one distribution brings to a directory. */
struct part {
	uint32_t owner;
	uint8_t tree;	 /* enum tree; of bytecode: TREE_PYC */
	const char *way; /* components of the scheme's path still to go down; "" within the tree */
	struct tree_dir here; /* valid in the tree, and its top before */
};

struct parts {
	size_t n;
	struct part p[];
};

struct slot {			 /* a distribution of the lower */
	struct dist *dist, *pyc; /* referenced; pyc may be NULL */
	char *headers;		 /* its directory of headers; NULL if it has none */
};

struct lower {
	_Atomic unsigned refs;
	struct store *store;
	struct interpreter *py;
	struct lock *lock;
	struct slot *slots; /* in the order of lock->lines */
	char *site, *bin;   /* the schemes' directories */
	char *include;	    /* include, or include/pythonX.Y */
	struct script_names script_names;

	pthread_mutex_t mutex;	 /* what follows; `loaded` of a directory is set under it */
	struct dir *root, *dirs; /* dirs: all there are */
	uint32_t next_id;
	struct python_link *links;
	size_t n_links;
	char **templates;
	size_t n_templates;
	bool have_bin; /* links and templates are there */
};

struct dir {
	struct lower_dir pub;
	struct dir *next;
	char name[];
};

/* One name that one part brings. */
struct child {
	const char *name; /* not terminated for directories */
	size_t len, seq;
	bool scheme;	  /* a directory that must be one, whatever a distribution has there */
	bool own;	  /* the environment's own: above all distributions */
	struct part part; /* whose; for a directory: what it has below */
	struct lower_entry entry; /* but for a directory's name and object */
};

struct gathered {
	struct child *p;
	size_t n, cap;
};

/* Everything that belongs to `dir`, sorted by name and within a name by rank, the winner last. With
 * the mutex. Its parent is loaded. */
int gather(struct lower *l, const struct lower_dir *dir, struct gathered *ret);
/* Where the next name begins. */
size_t gather_name_end(const struct gathered *g, size_t i);
/* The part is its distribution's .dist-info itself. */
bool gather_is_info(const struct lower *l, const struct part *p);
/* Whether a derived entry's source in `n` sorted entries is the file of that very distribution. */
bool gather_source_shows(const struct lower *l, const struct lower_entry *entries, size_t n,
	uint32_t owner, const char *pyc);
/* Sorted entries by name; NULL if there is none. */
const struct lower_entry *lower_find(
	const struct lower_entry *entries, size_t n, const char *name, size_t len);
/* Which of one name's children [first, end) it is: narrowed to the file that wins, or with *ret_dir
 * to the range whose directories become one (files among them lost). False: nothing shows. */
bool fold(const struct gathered *g, size_t *first, size_t *end, bool *ret_dir);

#endif
