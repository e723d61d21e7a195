/* SPDX-License-Identifier: MIT
 *
 * Private to store/: one directory of the store's list, how its files are opened, and
 * the store itself. Paths are relative to the tier and have no symlink in them. What a
 * tier holds is believed only if it belongs to us or to root and others can not write it.
 */
#ifndef STORE_TIER_H
#define STORE_TIER_H

#include "base/diag.h"
#include "base/str.h"

#include <stdbool.h>
#include <sys/stat.h>

struct tier {
	char *path;
	int fd; /* O_PATH; -1: there is no own store */
};

struct store {
	struct tier *tiers; /* [0] is the own one */
	size_t n_tiers;
	struct handles *handles; /* handle.h */
	struct dists *dists;     /* dist.h */
};

/* life cycle */
/* `own`: made if missing. Errors as in store_open(). */
int tier_open(const char *path, bool own, struct tier *ret, struct diag *diag);
void tier_close(struct tier *t);
static inline bool tier_exists(const struct tier *t)
{
	return t->fd >= 0;
}

/* reading */
/* Of us or root, and no other may write it. */
bool tier_trusts(const struct stat *st);
/* A regular file. -ENOENT (also for a tier that is not there); -EPERM if it is not to be trusted;
 * -EBADMSG if it is no regular file or a symlink is in the way. */
int tier_open_file(const struct tier *t, const char *path, int *ret_fd, struct stat *ret_st);
/* All of it; `ret_st` may be NULL. -EFBIG above `max` bytes. */
int tier_read(const struct tier *t, const char *path, size_t max, struct str *ret,
	struct stat *ret_st);

/* writing, in the own store; -EROFS without one */
/* Makes the directory `path` with its parents, each durable in its parent, and opens it. */
int tier_make_dir(const struct tier *t, const char *path, int *ret_fd);

/* names */
/* A name of ours as one component of a path: not empty, no slash, no control byte, no dot first. */
bool tier_name_ok(const char *name);
struct names {
	char **v;
	size_t n, cap;
};
/* What a directory holds, sorted bytewise, without ".", ".." and files being published (base/io.h).
 * A missing directory, or tier, is empty. -ENOTDIR. */
int tier_list(const struct tier *t, const char *path, struct names *ret);
void names_free(struct names *n);
#define auto_names __attribute__((cleanup(names_free)))

#endif
