/* SPDX-License-Identifier: MIT
 *
 * The daemon's side: what pyvenv.cfg says is a claim of whoever may write to the root, so nothing
 * that it names is started. `home` is walked component by component, looking at the mount of each
 * step before the next: a request to our own mount from a thread that serves it could wait for
 * itself for ever. Then names and link texts are read in that one directory; links out of it are
 * not followed.
 */
#include "py/interpreter.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

CLEANUP_DEFINE(interpreter, interpreter_unref)

enum { LINKS_MAX = 40, VERSION_MAX = 9999 };

/* what could be read about a home */
struct base {
	int fd;		  /* the directory with the executables; -1: not to be looked into */
	int major, minor; /* -1: unknown */
	bool free_threaded;
	char name[NAME_MAX + 1]; /* the executable's; "" unknown */
};

/* Whether a mount is one of ours, by /proc/self/mountinfo: "ID PARENT DEV ROOT POINT OPTIONS... -
 * TYPE SOURCE ..." */
static int mount_is_ours(uint64_t id, bool *ret)
{
	auto_fclose FILE *f = fopen("/proc/self/mountinfo", "re");
	auto_free char *line = NULL;
	size_t cap = 0;

	if (!f)
		return -errno;
	*ret = false;
	while (getline(&line, &cap, f) > 0) {
		const char *type = strstr(line, " - ");
		char *end;

		if (strtoull(line, &end, 10) == id && *end == ' ' && type) {
			*ret = str_starts(type + 3, "fuse.venvfs ");
			return 0;
		}
	}
	return ferror(f) ? -EIO : 0;
}

static int enter(int fd, uint64_t *mount)
{
	struct statx stx = {0};
	bool ours = false;
	int r;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx) < 0)
		return -errno;
	if (stx.stx_mnt_id == *mount)
		return 0;
	r = mount_is_ours(stx.stx_mnt_id, &ours);
	if (r < 0)
		return r;
	*mount = stx.stx_mnt_id;
	return ours ? -EXDEV : 0;
}

static int open_root(uint64_t *mount)
{
	auto_close int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = enter(fd, mount);
	return r < 0 ? r : steal_fd(&fd);
}

/* The target of the link `fd`, with what is left of the path behind it. */
static int follow(int fd, struct str *rest, size_t done)
{
	char target[PATH_MAX];
	auto_str struct str next = {0};
	ssize_t n = readlinkat(fd, "", target, sizeof target);
	int r;

	if (n < 0)
		return -errno;
	if (n == 0 || n == sizeof target)
		return -ENAMETOOLONG;
	r = str_add_mem(&next, target, (size_t)n);
	if (r == 0)
		r = str_addf(&next, "/%s", rest->p + done);
	if (r == 0 && next.len > 2 * PATH_MAX)
		r = -ENAMETOOLONG;
	if (r < 0)
		return r;
	str_free(rest);
	*rest = next;
	next = (struct str){0};
	return 0;
}

/* An O_PATH descriptor of a directory, reached without a step into one of our mounts: -EXDEV. */
static int open_home(const char *path)
{
	auto_str struct str rest = {0};
	auto_close int fd = -1;
	uint64_t mount = UINT64_MAX;
	unsigned links = 0;
	size_t at = 0;

	if (str_add(&rest, path) < 0)
		return -ENOMEM;
	fd = open_root(&mount);
	if (fd < 0)
		return fd;
	for (;;) {
		auto_close int next = -1;
		const char *p = rest.p + at;
		auto_free char *name = NULL;
		struct stat st;
		size_t n;
		int r;

		p = path_next(&p, &n);
		if (!p)
			break;
		name = strndup(p, n);
		if (!name)
			return -ENOMEM;
		at = (size_t)(p - rest.p) + n;
		next = openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return -errno;
		r = enter(next, &mount);
		if (r < 0)
			return r;
		if (fstat(next, &st) < 0)
			return -errno;
		if (S_ISLNK(st.st_mode)) {
			if (++links > LINKS_MAX)
				return -ELOOP;
			r = follow(next, &rest, at);
			if (r < 0)
				return r;
			at = 0;
			if (rest.p[0] != '/')
				continue;
			close(steal_fd(&next));
			mount = UINT64_MAX;
			next = open_root(&mount);
			if (next < 0)
				return next;
		} else if (!S_ISDIR(st.st_mode)) {
			return -ENOTDIR;
		}
		close(fd);
		fd = steal_fd(&next);
	}
	return steal_fd(&fd);
}

static bool is_trusted(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) &&
	       (st.st_uid == 0 || st.st_uid == geteuid());
}

/* "python3.13t": the version that a file name tells. */
static bool name_version(const char *name, struct base *b)
{
	const char *p = name + strcspn(name, "0123456789");
	char *end;
	unsigned long major, minor;

	if (!isdigit((unsigned char)*p))
		return false;
	major = strtoul(p, &end, 10);
	if (*end != '.' || !isdigit((unsigned char)end[1]))
		return false;
	minor = strtoul(end + 1, &end, 10);
	if (major > VERSION_MAX || minor > VERSION_MAX)
		return false;
	b->major = (int)major;
	b->minor = (int)minor;
	b->free_threaded = *end == 't';
	return true;
}

/* Whether `name` is there and may be what the environment runs: its name, or that of what it links
 * to, does not tell another version. Learns the version if it is told there. */
static bool try_name(struct base *b, const char *name)
{
	char at[NAME_MAX + 1], target[PATH_MAX];
	struct base told = {.major = -1};
	struct stat st;

	if (!*name || strlen(name) >= sizeof at ||
		fstatat(b->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	strcpy(at, name);
	for (int i = 0; i < 8; i++) {
		ssize_t n = readlinkat(b->fd, at, target, sizeof target - 1);

		if (n <= 0)
			break;
		target[n] = '\0';
		if (strlen(path_base(target)) >= sizeof at)
			break;
		strcpy(at, path_base(target));
		if (strchr(target, '/'))
			break;
	}
	if (name_version(at, &told)) {
		if (b->major >= 0 && (told.major != b->major || told.minor != b->minor))
			return false;
		b->major = told.major;
		b->minor = told.minor;
		b->free_threaded = told.free_threaded;
	}
	strcpy(b->name, name);
	return true;
}

static int open_no_xdev(int fd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC),
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
	};
	long r = syscall(SYS_openat2, fd, path, &how, sizeof how);

	return r < 0 ? -errno : (int)r;
}

/* The one lib/python3.N beside home that has a standard library. */
static void version_from_lib(struct base *b)
{
	auto_closedir DIR *d = NULL;
	struct base found = {.major = -1};
	struct dirent *e;
	int fd = open_no_xdev(b->fd, "../lib", O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return;
	if (!is_trusted(fd) || !(d = fdopendir(fd))) {
		close(fd);
		return;
	}
	while ((e = readdir(d))) {
		char path[NAME_MAX + sizeof "/os.py"];
		struct base one = {.major = -1};
		struct stat st;

		if (!str_starts(e->d_name, "python3.") || !name_version(e->d_name, &one))
			continue;
		snprintf(path, sizeof path, "%s/os.py", e->d_name);
		if (fstatat(dirfd(d), path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (found.major >= 0)
			return;
		found = one;
	}
	if (found.major < 0)
		return;
	b->major = found.major;
	b->minor = found.minor;
	b->free_threaded = found.free_threaded;
}

static void read_base(struct base *b, const char *invoked)
{
	char minor[32];

	if (b->fd < 0)
		return;
	snprintf(minor, sizeof minor, "python%d.%d", b->major, b->minor);
	if (!(invoked && try_name(b, invoked)) && !try_name(b, "python") &&
		!try_name(b, "python3") && !(b->major >= 0 && try_name(b, minor)) &&
		!try_name(b, "pypy3"))
		return;
	if (b->major < 0)
		version_from_lib(b);
}

static char *join(const char *dir, const char *name)
{
	char *p;

	return asprintf(&p, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name) < 0 ? NULL : p;
}

static int find_templates(struct interpreter *py, const struct base *b)
{
	auto_free char *below = NULL;
	auto_close int fd = -1;

	if (b->fd < 0 || !py->base_prefix)
		return 0;
	if (asprintf(&below, "../%s/venv/scripts", py->lib) < 0) {
		below = NULL;
		return -ENOMEM;
	}
	fd = open_no_xdev(b->fd, below, O_PATH | O_DIRECTORY);
	if (fd < 0 || !is_trusted(fd))
		return 0;
	py->templates = join(py->base_prefix, below + 3);
	if (!py->templates)
		return -ENOMEM;
	interpreter_check_templates(py);
	return 0;
}

/* What follows from home, version and the executable's name. */
static int fill(struct interpreter *py, const struct cfg *cfg, const struct base *b)
{
	bool pypy = str_starts(b->name, "pypy");
	const char *t = b->free_threaded ? "t" : "";
	size_t n = strlen(cfg->home);
	int r = 0;

	py->major = b->major;
	py->minor = b->minor;
	py->home = strdup(cfg->home);
	py->executable = join(cfg->home, *b->name ? b->name : "python3");
	py->implementation = strdup(pypy ? "pypy" : "cpython");
	py->abiflags = strdup(t);
	if (cfg->version)
		py->version = strdup(cfg->version);
	else if (asprintf(&py->version, "%d.%d", b->major, b->minor) < 0)
		py->version = NULL;
	if (asprintf(&py->lib, "lib/%s%d.%d%s", pypy ? "pypy" : "python", b->major, b->minor, t) <
		0)
		py->lib = NULL;
	if (!py->home || !py->executable || !py->implementation || !py->abiflags || !py->version ||
		!py->lib)
		return -ENOMEM;
	if (!pypy && asprintf(&py->cache_tag, "cpython-%d%d", b->major, b->minor) < 0) {
		py->cache_tag = NULL;
		return -ENOMEM;
	}
	if (str_ends(cfg->home, "/bin")) {
		py->base_prefix = strndup(cfg->home, n > 4 ? n - 4 : 1);
		if (!py->base_prefix)
			return -ENOMEM;
		r = find_templates(py, b);
	}
	return r;
}

/* The name that the environment was made with, where it lies in its home. */
static const char *invoked_name(const struct cfg *cfg)
{
	size_t n = strlen(cfg->home);

	if (!cfg->invoked || strncmp(cfg->invoked, cfg->home, n) != 0 || cfg->invoked[n] != '/' ||
		strchr(cfg->invoked + n + 1, '/') || !cfg->invoked[n + 1])
		return NULL;
	return cfg->invoked + n + 1;
}

static bool same_minor(const struct interpreter *py, const struct base *b)
{
	return b->major < 0 || (py->major == b->major && py->minor == b->minor);
}

int interpreter_for_cfg(
	struct store *s, const struct cfg *cfg, struct interpreter **ret, struct diag *diag)
{
	auto_of(interpreter) struct interpreter *py = NULL;
	struct base b = {.fd = -1, .major = -1, .minor = -1};
	const char *invoked = invoked_name(cfg);
	auto_close int fd = -1;
	int r;

	if (cfg->version)
		name_version(cfg->version, &b);
	b.free_threaded = false;
	r = invoked ? interpreter_recorded(s, cfg->invoked, &py) : -ENOENT;
	if (r == 0 && !same_minor(py, &b)) {
		interpreter_unref(steal_ptr(py));
		r = -ENOENT;
	}
	if (r == -ENOENT && b.major >= 0)
		r = interpreter_recorded_home(s, cfg->home, b.major, b.minor, &py);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		fd = open_home(cfg->home);
		if (fd == -ENOTDIR && !(b.major == 3 && b.minor >= 0 && b.minor < 11))
			return diag_set(diag, -EINVAL,
				"pyvenv.cfg: home is %s, which is no directory; name the one that "
				"the base Python lies in",
				cfg->home);
		b.fd = fd >= 0 && is_trusted(fd) ? fd : -1;
		read_base(&b, invoked);
		if (!cfg->version && b.major >= 0)
			r = interpreter_recorded_home(s, cfg->home, b.major, b.minor, &py);
	}
	if (r == -ENOMEM)
		return r;
	if (r == 0) {
		*ret = steal_ptr(py);
		return 0;
	}
	if (b.major < 0)
		return diag_set(diag, -EINVAL,
			"pyvenv.cfg names neither a version, nor can one be read from %s; add "
			"\"version = X.Y.Z\"",
			cfg->home);
	if (invoked && !*b.name && strlen(invoked) < sizeof b.name)
		strcpy(b.name, invoked);
	py = interpreter_new();
	if (!py)
		return -ENOMEM;
	r = fill(py, cfg, &b);
	if (r < 0)
		return r;
	*ret = steal_ptr(py);
	return 0;
}
