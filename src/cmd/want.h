/* SPDX-License-Identifier: MIT
 *
 * A distribution that an environment shall have, from the name of it to the line in the lock: what
 * is known of it grows as store, index and installers are asked.
 */
#ifndef CMD_WANT_H
#define CMD_WANT_H

#include "py/interpreter.h"
#include "store/store.h"

enum want_kind {
	WANT_PIN,   /* name and version alone: which file is still to be found out */
	WANT_WHEEL, /* a wheel at url or path */
	WANT_SDIST, /* a source distribution at url or path, to be built */
	WANT_TREE,  /* a source tree at path, to be built */
	WANT_VCS,   /* url as pip takes it: "git+https://...@<commit>" */
};

struct want {
	enum want_kind kind;
	char *name;    /* normalized */
	char *version; /* NULL: any (PIN), or not known before it is built */
	char *file;    /* file name of wheel or sdist: one plain component */
	bool has_digest;
	struct digest digest; /* of that file */
	uint64_t size;	      /* of that file; 0: unknown */
	char *url, *path;     /* at most one; path is absolute */
	char *subdirectory;   /* of a source, or NULL */
	char *origin;	      /* direct_url.json, or NULL */
	bool dependency;      /* not asked for by itself */
	char *installer;      /* INSTALLER's text, "" for no such file; NULL: ours */
	struct digest *hashes;
	size_t n_hashes; /* of a pin: the only files allowed; 0: any */

	bool found; /* the line is complete, and its distribution is in the store or on its way
		       there */
	struct lock_line line;
	struct diag fault; /* why it can not be had */
};

struct wants {
	struct want *list;
	size_t n, cap;
	bool lasts; /* the same file will mean the same next time: no source tree is among them */
};

void want_clear(struct want *w); /* frees all, leaves it zeroed */
void wants_free(struct wants *w);
/* Takes `w` over where it succeeds. */
int wants_add(struct wants *to, struct want *w);
/* Notes why one can not be had, unless something is noted already. */
void want_fault(struct want *w, const struct diag *diag, int err);
/* Fills the line; `version` as the store has it, `wheel_name` and `wheel` NULL where unknown. */
int want_found(struct want *w, const char *version, const struct digest *address,
	const char *wheel_name, const struct digest *wheel);

/* The same for a distribution that is in the store: by its address, of the wheel that it came from
 * (NULL: from a build of this machine, which nobody else can fetch). -ENOENT */
int want_found_at(
	struct store *s, struct want *w, const struct digest *address, const struct digest *wheel);

/* Where in the interpreter's tags the best of a wheel's stands, from its file name or
 * "py3-none-any"; -1: it can not be used. */
int want_tag_rank(const struct interpreter *py, const char *tags);

#endif
