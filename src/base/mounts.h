/* SPDX-License-Identifier: MIT
 *
 * The mounted roots of this user, as the kernel lists them.
 */
#ifndef BASE_MOUNTS_H
#define BASE_MOUNTS_H

#include <stdbool.h>
#include <sys/types.h>

/* Calls `each` with the absolute path of every venvfs mount (type fuse.venvfs) of this user; stops
 * at a non-zero return and returns it. -errno if the kernel's list can not be read. */
int mounts_each(int (*each)(void *arg, const char *path), void *arg);

/* The same for the mounts of all users. */
struct mount_info {
	const char *path; /* absolute */
	uid_t uid;	  /* whose it is */
	bool allow_other; /* else all others are kept out, root among them */
};
int mounts_each_user(int (*each)(void *arg, const struct mount_info *m), void *arg);
/* Its daemon is gone: every call there answers ENOTCONN. */
bool mounts_is_dead(const char *path);
/* Tells each daemon that the store has something new for names it serves (bytecode). Errors are
 * ignored: a mount that does not answer has nothing to refresh. */
void mounts_refresh(void);

#endif
