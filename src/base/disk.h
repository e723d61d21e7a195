/* SPDX-License-Identifier: MIT
 *
 * What files really take on the disk: blocks, not sizes.
 */
#ifndef BASE_DISK_H
#define BASE_DISK_H

#include <stdint.h>

/* Bytes that `path` in `dirfd`, a file or a tree, takes, directories included: what `du -s
 * --block-size=1` tells. Links are not followed; a file with several names in the tree counts once.
 * What vanishes meanwhile counts nothing. -ENOENT if `path` itself is not there; -ELOOP if it is
 * nested deeper than 256. */
int disk_usage_at(int dirfd, const char *path, uint64_t *ret);

#endif
