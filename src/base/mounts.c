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
#include <sys/statvfs.h>
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

/* Among "rw,user_id=1000,group_id=1000,allow_other". */
static const char *find_option(const char *options, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = options; *p; p += strcspn(p, ","), p += *p == ',')
		if (strncmp(p, name, n) == 0 && (name[n - 1] == '=' || p[n] == ',' || !p[n]))
			return p + n;
	return NULL;
}

/* "36 35 98:0 /root /mount/point opts [tag]... - type source super-options": false unless it is a
 * whole venvfs. */
static bool parse(char *line, struct mount_info *ret)
{
	char *behind = strstr(line, " - "), *save = NULL, *fields[5], *type, *source, *options,
	     *end;
	const char *uid;

	if (!behind)
		return false;
	*behind = '\0';
	for (size_t i = 0; i < 5; i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!fields[i])
			return false;
	}
	type = strtok_r(behind + 3, " ", &save);
	source = strtok_r(NULL, " ", &save);
	options = strtok_r(NULL, " ", &save);
	if (!options || strcmp(type, "fuse.venvfs") != 0 || strcmp(source, "venvfs") != 0 ||
		strcmp(fields[3], "/") != 0)
		return false;
	uid = find_option(options, "user_id=");
	if (!uid)
		return false;
	ret->uid = (uid_t)strtoul(uid, &end, 10);
	if (end == uid || (*end != ',' && *end != '\0'))
		return false;
	unescape(fields[4]);
	ret->path = fields[4];
	ret->allow_other = find_option(options, "allow_other") != NULL;
	return true;
}

int mounts_each_user(int (*each)(void *arg, const struct mount_info *m), void *arg)
{
	auto_str struct str list = {0};
	char *save = NULL, *line;
	int r;

	r = io_slurp_at(AT_FDCWD, "/proc/self/mountinfo", 64 << 20, &list);
	if (r < 0)
		return r;
	for (line = strtok_r(list.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct mount_info m;

		r = parse(line, &m) ? each(arg, &m) : 0;
		if (r != 0)
			return r;
	}
	return 0;
}

struct own {
	int (*each)(void *arg, const char *path);
	void *arg;
};

static int tell_own(void *arg, const struct mount_info *m)
{
	const struct own *own = arg;

	return m->uid == geteuid() ? own->each(own->arg, m->path) : 0;
}

int mounts_each(int (*each)(void *arg, const char *path), void *arg)
{
	return mounts_each_user(tell_own, &(struct own){each, arg});
}

/* stat(2) may be answered from the kernel's memory: statfs(2) always asks the daemon. */
bool mounts_is_dead(const char *path)
{
	struct statvfs st;

	return statvfs(path, &st) < 0 && errno == ENOTCONN;
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
