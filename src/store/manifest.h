/* SPDX-License-Identifier: MIT
 *
 * A manifest lists one distribution as it is installed for no environment in
 * particular: its files over the trees of the installation schemes, and the
 * few facts about it that an environment needs. Its canonical text (docs/format.md)
 * is what the distribution's address is the SHA-256 of:
 *
 *	venvfs-manifest 1
 *	name numpy
 *	version 2.1.0
 *	info numpy-2.1.0.dist-info
 *	tag cp311-cp311-manylinux_2_17_x86_64
 *	entry-point console f2py numpy.f2py.f2py2e:main
 *	file site - 1234 <64 hex> numpy/__init__.py
 *	file bin x 99 <64 hex> tool
 *
 * Order: tags bytewise; entry points by kind, then by name bytewise; files by tree, then by
 * path_compare(). Nothing is there twice. Without a .dist-info there is no info line. A path is the
 * last field and may hold spaces; newline and other control bytes are refused (field.h).
 * The same format holds derived bytecode (tree "pyc", paths as in site).
 */
#ifndef STORE_MANIFEST_H
#define STORE_MANIFEST_H

#include "base/diag.h"
#include "base/str.h"
#include "store/digest.h"

enum tree { TREE_SITE, TREE_BIN, TREE_DATA, TREE_HEADERS, TREE_PYC, N_TREES };

struct entry {
	char *path; /* relative, no "", "." or ".." component, no trailing slash */
	uint64_t size;
	struct digest digest;
	uint8_t tree; /* enum tree */
	bool exec;    /* 0755 rather than 0644 */
};

struct entry_point {
	bool gui;
	char *name;
	char *target; /* "module:attr", extras dropped */
};

/* Put together by hand (calloc, each string and array of its own from malloc) or by
 * manifest_parse(), then everything lies in one block and is not to be changed. */
struct manifest {
	char *name;    /* normalized: lower case, runs of "-_." are one "-" (PEP 503) */
	char *version; /* as METADATA has it */
	char *info;    /* the .dist-info directory's name, "" if there is none */
	char **tags;
	size_t n_tags;
	struct entry_point *entry_points;
	size_t n_entry_points;
	struct entry *entries;
	size_t n_entries;
	bool one_block; /* false unless parsed */
};

/* Compares paths component by component, bytewise: the order of a walk that
 * lists each directory sorted, so that a directory's files are one range. */
int path_compare(const char *a, const char *b);
const char *tree_name(enum tree t);

/* Parses and checks canonical text (anything that manifest_format would not have
 * written is -EPROTO). The result owns its memory: manifest_free(). */
int manifest_parse(const char *text, size_t n, struct manifest **ret, struct diag *diag);
/* Brings entries and lists into canonical order; the same tag or entry point again is dropped.
 * -EEXIST names a path that is there twice or is a file and a directory at once, or an entry point
 * with two targets. */
int manifest_sort(struct manifest *m, struct diag *diag);
/* Appends the canonical text. -EINVAL: not sorted, or a field that the format can not hold. */
int manifest_format(const struct manifest *m, struct str *out);
void manifest_free(struct manifest *m);

/* The range [*first, *end) of entries of one tree. */
void manifest_tree(const struct manifest *m, enum tree t, size_t *first, size_t *end);
/* An entry by tree and path, or NULL. */
const struct entry *manifest_find(const struct manifest *m, enum tree t, const char *path);

/* Where a file's bytes are: files of up to PACK_FILE_MAX bytes lie in the distribution's
 * pack, in manifest order, each from a multiple of PACK_ALIGN; larger ones are blobs. */
enum { PACK_ALIGN = 4096, PACK_FILE_MAX = 128 * 1024 };
/* offsets[i] of each entry (meaningless for blobs; empty files take no room; may be NULL); returns the pack's
 * size, a multiple of PACK_ALIGN: what lies between the files, and behind the last, is zeros. */
uint64_t manifest_layout(const struct manifest *m, uint64_t *offsets);

#endif
