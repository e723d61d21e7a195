/* SPDX-License-Identifier: MIT
 *
 * /proc/self/mountinfo is the one list that can not be stale: a root is mounted if it stands there,
 * whatever notes anyone keeps.
 */
#include "base/mounts.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

/* proc(5): space, tab, newline and backslash are written as \ooo. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++, to++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
			s[3] >= '0' && s[3] <= '7') {
			*to = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to = *s;
		}
	}
	*to = '\0';
}

static bool mounted_by_us(const char *options)
{
	const char *p = strstr(options, "user_id=");
	char *end;
	unsigned long uid;

	if (!p || (p != options && p[-1] != ','))
		return false;
	uid = strtoul(p + strlen("user_id="), &end, 10);
	return (*end == ',' || *end == '\0') && uid == geteuid();
}

/* "36 35 98:0 /root /mount/point opts [tag]... - type source super-options": the mount point, if it
 * is a whole venvfs of ours, else NULL. */
static char *our_mount(char *line)
{
	char *behind = strstr(line, " - "), *save = NULL, *fields[5], *type, *source, *options;

	if (!behind)
		return NULL;
	*behind = '\0';
	for (size_t i = 0; i < 5; i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!fields[i])
			return NULL;
	}
	type = strtok_r(behind + 3, " ", &save);
	source = strtok_r(NULL, " ", &save);
	options = strtok_r(NULL, " ", &save);
	if (!options || strcmp(type, "fuse.venvfs") != 0 || strcmp(source, "venvfs") != 0 ||
		strcmp(fields[3], "/") != 0 || !mounted_by_us(options))
		return NULL;
	unescape(fields[4]);
	return fields[4];
}

int mounts_each(int (*each)(void *arg, const char *path), void *arg)
{
	auto_str struct str list = {0};
	char *save = NULL, *line;
	int r;

	r = io_slurp_at(AT_FDCWD, "/proc/self/mountinfo", 64 << 20, &list);
	if (r < 0)
		return r;
	for (line = strtok_r(list.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *path = our_mount(line);

		r = path ? each(arg, path) : 0;
		if (r != 0)
			return r;
	}
	return 0;
}

static int refresh(void *arg, const char *path)
{
	(void)arg;
	if (setxattr(path, "user.venvfs.refresh", "", 0, 0) < 0)
		return 0; /* not ours after all, or its daemon is gone */
	return 0;
}

void mounts_refresh(void)
{
	(void)mounts_each(refresh, NULL);
}
