/* SPDX-License-Identifier: MIT
 *
 * A distribution that an installer put into an environment's upper, as the store would hold it: the
 * reverse of what the view shows. Private to src/view. The rules are those by which a wheel is
 * taken in, so that the same wheel has one address however it came.
 */
#ifndef VIEW_CROP_H
#define VIEW_CROP_H

#include "store/ingest.h"
#include "store/lock.h"
#include "view/held.h"

struct crop_file {
	char *path;	     /* from the environment's directory */
	const char *in_tree; /* the end of it */
	uint8_t tree;	     /* enum tree */
	enum hash_kind kind; /* RECORD's hash of the file's bytes */
	uint8_t hash[HASH_SIZE_MAX];
	const struct held *held; /* NULL: the lower tree's file of that name shows */
	char *text;		 /* a Python script as it is stored; NULL: the bytes as they are */
	size_t text_size;
	struct digest digest; /* of what is stored; after crop_store() */
	bool mode_changed;    /* it has another mode than the umask of its installer gave the others */
};

struct crop {
	char *info; /* its .dist-info directory, from the environment's */
	struct manifest
		*manifest;	 /* entries in the order of `files`; NULL once it is in the store */
	struct crop_file *files; /* sorted by tree and path */
	size_t n_files, cap_files;
	char **recorded; /* every path that RECORD names, from the environment's directory, sorted
			  */
	size_t n_recorded, cap_recorded;
	struct lock_line line; /* its strings are the crop's; the address comes from crop_store() */
};

/* What it grows in. All borrowed. */
struct field_of {
	int upper; /* the environment's upper directory */
	const struct held_table *held;
	struct lower *lower; /* what lies under it now */
	struct store *store;
	const char *path; /* the environment's, absolute */
	uid_t uid;	  /* whose files these must be */
};

/* Reads the .dist-info directory `info`. -EINVAL with the reason in diag: it is not whole, or
 * nothing that a store may hold (it stays private). crop_free() it after success. */
int crop_read(const struct field_of *f, const char *info, struct crop *ret, struct diag *diag);
void crop_free(struct crop *c);

/* Reads every byte, compares it with RECORD, and puts the distribution into `in` unless a tier has
 * it. Fills the digests and the line's address. -EINVAL: the bytes are not what RECORD says. */
int crop_store(const struct field_of *f, struct crop *c, struct ingest *in, struct diag *diag);

/* What the lower tree has under this path, if it shows there, or NULL; crop_lower(): the same of its files. */
const struct lower_entry *crop_shown(const struct field_of *f, const char *path);
const struct lower_entry *crop_lower(const struct field_of *f, const char *path);

/* Whether RECORD of the crop names this path. */
bool crop_names(const struct crop *c, const char *path);

#endif
