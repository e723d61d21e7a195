/* SPDX-License-Identifier: MIT
 *
 * `venvfs mount` and `venvfs umount`. A dead mount (its daemon is gone, every call answers
 * ENOTCONN) is cleared, however many are stacked on the directory; a live one is left alone.
 */
#include "mount/mount.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mounts.h"
#include "mount/session.h"
#include "py/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

enum { LINKS_MAX = 40 }; /* as the kernel */
enum { DAEMON_END_MS = 5000, BUSY_MS = 1000, BUSY_STEP_MS = 20 };

static int is_path(void *arg, const char *path)
{
	return strcmp(arg, path) == 0;
}

static bool is_mounted(const char *root)
{
	return mounts_each(is_path, (void *)root) > 0;
}

static int unmount(const char *root, bool lazy, struct diag *diag)
{
	const char *const argv[] = {"fusermount3", "-u", lazy ? "-qz" : "-q", "--", root, NULL};
	auto_str struct str out = {0}, err = {0};
	int status, r;

	if (geteuid() == 0)
		return umount2(root, lazy ? MNT_DETACH : 0) < 0 ? -errno : 0;
	r = process_run(argv, NULL, 0, &out, &err, &status, diag);
	if (r < 0)
		return r;
	return status == 0 ? 0 : -EBUSY;
}

/* Absolute; but a link at its end is kept. */
static int link_path(const char *arg, struct str *ret)
{
	auto_free char *parent = NULL, *copy = strdup(arg);
	char *slash;

	if (!copy)
		return -ENOMEM;
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = '\0';
	slash = strrchr(copy, '/');
	if (strcmp(copy, "/") == 0 || !*copy)
		return -EINVAL;
	if (strcmp(path_base(copy), ".") == 0 || strcmp(path_base(copy), "..") == 0) {
		parent = realpath(copy, NULL);
		return parent ? str_add(ret, parent) : -errno;
	}
	if (slash == copy)
		return str_add(ret, copy);
	if (slash)
		*slash = '\0';
	parent = realpath(slash ? copy : ".", NULL);
	if (!parent && errno == ENOENT && io_mkdir_p(copy, 0755) == 0)
		parent = realpath(copy, NULL);
	if (!parent)
		return -errno;
	return str_addf(
		ret, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, slash ? slash + 1 : copy);
}

/* The directory's absolute path, links resolved, without asking a mount that may be dead: a link is
 * read, and what it leads to is looked at from its parent. */
static int root_path(struct cmd_context *ctx, const char *arg, struct str *ret)
{
	int r;

	if (!arg)
		arg = getenv("VENVFS_ROOT") && *getenv("VENVFS_ROOT") ? getenv("VENVFS_ROOT")
								      : ctx->config.root;
	r = link_path(arg, ret);
	for (int links = 0; r == 0; links++) {
		auto_str struct str next = {0};
		char target[PATH_MAX];
		ssize_t n = readlink(ret->p, target, sizeof target - 1);

		if (n < 0)
			break;
		target[n] = '\0';
		if (links == LINKS_MAX)
			return -ELOOP;
		if (target[0] != '/')
			r = str_add_mem(&next, ret->p, (size_t)(path_base(ret->p) - ret->p));
		if (r == 0)
			r = str_add(&next, target);
		str_truncate(ret, 0);
		if (r == 0)
			r = link_path(next.p, ret);
	}
	return r;
}

static int check_root(struct cmd_context *ctx, const char *root, struct diag *diag)
{
	for (const char *p = root; *p; p++)
		if (*p == '\t' || *p == '\n' || *p == ':')
			return diag_set(diag, -EINVAL,
				"%s: a root's path may hold no colon, tab or newline: PATH and "
				"shebangs can not",
				root);
	return cmd_root_apart(ctx, root, diag);
}

static int clear_dead(const char *root, struct diag *diag)
{
	for (int tries = 0; is_mounted(root); tries++) {
		int r;

		if (!mounts_is_dead(root))
			return diag_set(diag, -EBUSY,
				"%s: is mounted already and alive; `venvfs umount %s` ends it",
				root, root);
		r = tries < 1000 ? unmount(root, true, diag) : -EBUSY;
		if (r < 0)
			return diag_errno(diag, r,
				"%s: a dead mount is in the way and can not be removed", root);
	}
	return 0;
}

/* Held by the daemon on the directory behind the mount: of two that start at once one goes on. */
static int lock_root(const char *root, int *ret_fd, struct diag *diag)
{
	auto_close int fd = -1;
	struct stat st;

	if (mkdir(root, 0755) < 0 && errno != EEXIST)
		return diag_errno(diag, -errno, "%s", root);
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return diag_errno(diag, -errno, "%s", root);
	if (st.st_uid != geteuid())
		return diag_set(diag, -EPERM,
			"%s: belongs to another user; a root holds your private files", root);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return diag_set(diag, -EBUSY, "%s: is being mounted by another process", root);
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int open_log(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	auto_str struct str path = {0};

	if (state && *state == '/') {
		if (str_addf(&path, "%s/venvfs", state) < 0)
			return -1;
	} else if (!home || *home != '/' || str_addf(&path, "%s/.local/state/venvfs", home) < 0) {
		return -1;
	}
	if (io_mkdir_p(path.p, 0700) < 0 && access(path.p, W_OK) < 0)
		return -1;
	if (str_add(&path, "/mount.log") < 0)
		return -1;
	return open(path.p, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static void harvested(void *arg, const struct harvest *h)
{
	cmd_compile_harvested(arg, h);
}

static int parse_harvest(void *arg, const char *value, struct diag *diag)
{
	return config_parse_harvest(value, arg) < 0
		       ? diag_set(diag, -EINVAL, "seconds, up to a day, or no; not \"%s\"", value)
		       : 0;
}

static int run_mount(struct cmd_context *ctx, int argc, char **argv)
{
	struct session_options o = {.log_fd = -1,
		.harvest_ns = ctx->config.harvest_ns,
		.harvested = harvested,
		.harvested_arg = ctx};
	auto_close int lock = -1, log = -1;
	auto_str struct str root = {0};
	const struct cmd_option options[] = {
		{"foreground", 'f', .flag = &o.foreground},
		{"read-only", 'r', .flag = &o.read_only},
		{"allow-other", .flag = &o.allow_other},
		{"harvest", .take = parse_harvest, .arg = &o.harvest_ns},
		{0},
	};
	int first = cmd_options(&cmd_mount, options, argc, argv), r;
	struct diag diag = {0};
	struct store *store;

	if (first < 0)
		return -first;
	if (argc - first > 1)
		return cmd_usage(&cmd_mount, "one directory at most");
	store = cmd_store(ctx);
	if (!store)
		return 1;
	r = root_path(ctx, argv[first], &root);
	if (r < 0)
		return cmd_fail(
			"%s: %s", argv[first] ? argv[first] : ctx->config.root, strerror(-r));
	r = check_root(ctx, root.p, &diag);
	if (r == 0)
		r = clear_dead(root.p, &diag);
	if (r == 0)
		r = lock_root(root.p, &lock, &diag);
	if (r == 0 && access("/dev/fuse", F_OK) < 0)
		r = diag_set(&diag, -ENODEV,
			"/dev/fuse is not there: `modprobe fuse` as root, or `docker run --device "
			"/dev/fuse "
			"--cap-add SYS_ADMIN` in a container; `venvfs materialize ENV DIR` needs "
			"no mount");
	if (r == 0)
		r = cmd_note_root(ctx, root.p, &diag);
	if (r < 0)
		return cmd_fail("%s", diag_text(&diag, r));
	log = open_log();
	o.root = root.p;
	o.log_fd = log;
	r = session_run(&o, store, &diag);
	return r < 0 ? cmd_fail("%s", diag_text(&diag, r)) : 0;
}

const struct cmd cmd_mount = {
	.name = "mount",
	.usage = "mount [DIR] [-f] [-r] [--harvest SECONDS] [--allow-other]",
	.summary = "mount the root DIR (default ~/envs, made if missing)",
	.help = "  -f, --foreground   stay in the foreground, log to the terminal\n"
		"  -r, --read-only    nothing can be changed; a warm environment asks the daemon nothing\n"
		"      --harvest SECONDS\n"
		"                     how long an environment is left alone before what was installed into it\n"
		"                     moves into the store (default 2; no: only by `venvfs harvest`)\n"
		"      --allow-other  let other users in (needs user_allow_other in /etc/fuse.conf)\n\n"
		"  venvfs mount && venvfs create demo && . ~/envs/demo/bin/activate\n",
	.run = run_mount,
};

/* A descriptor of the daemon's process, -1 if it can not be had. */
static int daemon_of(const char *root)
{
	char text[256], *p;
	ssize_t n = getxattr(root, "user.venvfs.upper", text, sizeof text - 1);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	p = strncmp(text, "/proc/", 6) == 0 ? text + 6 : NULL;
	return p ? (int)syscall(SYS_pidfd_open, (pid_t)strtol(p, NULL, 10), 0) : -1;
}

/* Another command that looks at every mount (`venvfs status`, df, a file indexer) holds this one
 * for the moment of its look: that alone is no reason to refuse. */
static int unmount_idle(const char *root, struct diag *diag)
{
	int r;

	for (int waited = 0; (r = unmount(root, false, diag)) == -EBUSY && waited < BUSY_MS;
		waited += BUSY_STEP_MS)
		poll(NULL, 0, BUSY_STEP_MS);
	return r;
}

static int run_umount(struct cmd_context *ctx, int argc, char **argv)
{
	auto_str struct str root = {0};
	auto_close int daemon = -1;
	int first = cmd_options(&cmd_umount, NULL, argc, argv), r;
	struct diag diag = {0};
	bool dead;

	if (first < 0)
		return -first;
	if (argc - first > 1)
		return cmd_usage(&cmd_umount, "one directory at most");
	r = root_path(ctx, argv[first], &root);
	if (r < 0)
		return cmd_fail(
			"%s: %s", argv[first] ? argv[first] : ctx->config.root, strerror(-r));
	if (!is_mounted(root.p))
		return cmd_fail("%s: is not mounted", root.p);
	dead = mounts_is_dead(root.p);
	daemon = dead ? -1 : daemon_of(root.p);
	r = dead ? unmount(root.p, true, &diag) : unmount_idle(root.p, &diag);
	if (r == -EBUSY)
		return cmd_fail("%s: is in use; `fuser -vm %s` tells by whom", root.p, root.p);
	if (r < 0)
		return cmd_fail("%s: %s", root.p, diag_text(&diag, r));
	/* what it still writes belongs to the directory that now shows */
	if (daemon >= 0)
		poll(&(struct pollfd){.fd = daemon, .events = POLLIN}, 1, DAEMON_END_MS);
	return 0;
}

const struct cmd cmd_umount = {
	.name = "umount",
	.usage = "umount [DIR]",
	.summary = "unmount a root; its pyvenv.cfg files and private changes stay in the directory",
	.help = "  venvfs umount ~/envs\n",
	.run = run_umount,
};
