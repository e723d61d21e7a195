/* SPDX-License-Identifier: MIT
 *
 * What becomes of every member of a wheel: its tree and path in the installed form, or that it is
 * checked and left out. Judged by names, modes and sizes alone (rules 2, 6, 7, 9, 10, 11, 12, 15).
 */
#ifndef PY_WHEEL_PLAN_H
#define PY_WHEEL_PLAN_H

#include "py/wheel.h"
#include "py/wheel_zip.h"
#include "store/digest.h"

enum { PLAN_LEFT_OUT = N_TREES };

struct plan_file {	  /* a member that is a file */
	size_t member;	  /* index into the archive */
	const char *name; /* the member's; borrowed from the archive's index */
	const char *path; /* in its tree; the end of `name` */
	uint8_t tree;	  /* enum tree, or PLAN_LEFT_OUT */
	bool exec, script;
	bool unrecorded; /* RECORD and its signatures: nothing vouches for them */
	bool recorded;	 /* RECORD has a row for it: */
	enum hash_kind kind;
	uint8_t hash[HASH_SIZE_MAX];
	size_t entry; /* in the manifest, where it is not left out */
	char *text;   /* what is stored in place of the member's bytes, or NULL */
	size_t text_size;
};

struct plan {
	struct plan_file *files; /* sorted by `name`, bytewise */
	size_t n;
	char *info;	/* the .dist-info directory */
	uint64_t total; /* bytes of all files */
};

/* `file` is for messages. -EINVAL: refused. */
int plan_make(const struct zip_index *z, uint64_t archive_size, const struct wheel_name *wheel,
	const char *file, struct plan *ret, struct diag *diag);
void plan_free(struct plan *p);
/* The file of this member name, or NULL. */
struct plan_file *plan_find(const struct plan *p, const char *name);
/* The one at the top of the .dist-info directory, or NULL. */
struct plan_file *plan_find_info(const struct plan *p, const char *base);
/* Leaves out the scripts that are wrappers of an entry point in m (as pip does: NAME, NAME.exe,
 * NAME-script.py, NAME.pya): they are generated. 0 or -ENOMEM. */
int plan_drop_wrappers(struct plan *p, const struct manifest *m);

/* RECORD's rows into the files (wheel_record.c, rule 8). -EINVAL: refused. */
int plan_record(struct plan *p, const struct zip_index *z, const char *text, size_t n,
	const char *file, struct diag *diag);

#endif
