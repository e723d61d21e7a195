/* SPDX-License-Identifier: MIT
 *
 * The mounted roots of this user, as the kernel lists them.
 */
#ifndef BASE_MOUNTS_H
#define BASE_MOUNTS_H

/* Calls `each` with the absolute path of every venvfs mount (type fuse.venvfs) of this user; stops
 * at a non-zero return and returns it. -errno if the kernel's list can not be read. */
int mounts_each(int (*each)(void *arg, const char *path), void *arg);
/* Tells each daemon that the store has something new for names it serves (bytecode). Errors are
 * ignored: a mount that does not answer has nothing to refresh. */
void mounts_refresh(void);

#endif
