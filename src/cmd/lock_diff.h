/* SPDX-License-Identifier: MIT
 *
 * What a person is told of a lock in another one's place.
 */
#ifndef CMD_LOCK_DIFF_H
#define CMD_LOCK_DIFF_H

#include "store/lock.h"

struct lock_diff {
	size_t n_added, n_removed, n_changed;
};

/* Prints a line for each difference on stdout: "+ name version", "- name version", "~ name old ->
 * new". `old` may be NULL: nothing was there. */
struct lock_diff lock_diff_print(const struct lock *old, const struct lock *new);

#endif
