/* SPDX-License-Identifier: MIT
 *
 * Plain files by name, rather than the device nodes or extended attributes of overlayfs: they can
 * be made by every user on every file system, and survive cp, tar and rsync.
 */
#include "view/whiteout.h"

#include "base/str.h"
#include "store/checksum.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int whiteout_name(const char *name, char ret[NAME_MAX + 1])
{
	size_t n = strlen(name), k = strlen(WHITEOUT_PREFIX);

	if (n > NAME_MAX)
		return -ENAMETOOLONG;
	if (n > NAME_MAX - k) {
		snprintf(ret, NAME_MAX + 1, WHITEOUT_LONG "%016llx",
			(unsigned long long)checksum(name, n));
		return 0;
	}
	memcpy(ret, WHITEOUT_PREFIX, k);
	memcpy(ret + k, name, n + 1);
	return 0;
}

const char *whiteout_of(const char *mark)
{
	const char *name = mark + strlen(WHITEOUT_PREFIX);

	/* what begins with two prefixes says something else: no name of that kind can be deleted */
	if (!str_starts(mark, WHITEOUT_PREFIX) || !*name || str_starts(name, WHITEOUT_PREFIX))
		return NULL;
	return name;
}

bool name_reserved(const char *name)
{
	return str_starts(name, WHITEOUT_PREFIX) || str_starts(name, ".venvfs");
}

bool name_temporary(const char *name)
{
	return str_starts(name, ".venvfs-tmp.");
}
