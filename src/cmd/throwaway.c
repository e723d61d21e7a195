/* SPDX-License-Identifier: MIT
 *
 * ROOT/.run/<number> is made behind the mount, under a name that nobody asked for before, so that
 * nothing has to be told to the kernel, and nothing to be durable. Three processes: this one waits
 * for the command, and removes the environment. A guard, forked before there is anything to remove,
 * waits for both, and does it where this one was killed: the command may live on, and then keeps
 * what it runs in. Where the guard was killed too, the lock that both held on the directory is
 * free, and the next run sweeps it.
 */
#include "cmd/throwaway.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/mounts.h"
#include "cmd/cfg_text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define RUN_DIR ".run"

struct throwaway {
	char *root; /* mounted */
	int runs;   /* ROOT/.run through the mount */
	int behind; /* the same behind it */
	char name[32];
	int lock; /* the environment's directory behind the mount, locked while somebody needs it */
};

static int is_mount(void *root, const char *path)
{
	return strcmp(root, path) == 0;
}

/* pyvenv.cfg first, which takes the whole view with it. */
static void remove_run(int runs, const char *name)
{
	char cfg[64];

	snprintf(cfg, sizeof cfg, "%s/pyvenv.cfg", name);
	unlinkat(runs, cfg, 0);
	if (unlinkat(runs, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		io_remove_tree_at(runs, name);
}

static void sweep(const struct throwaway *t)
{
	auto_close int fd = openat(t->behind, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (d)
		fd = -1;
	while (d && (e = readdir(d))) {
		auto_close int dir = -1;

		if (*e->d_name == '.')
			continue;
		dir = openat(t->behind, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		/* one without pyvenv.cfg may be about to be locked by its maker */
		if (dir < 0 || faccessat(dir, "pyvenv.cfg", F_OK, AT_SYMLINK_NOFOLLOW) < 0 ||
			flock(dir, LOCK_EX | LOCK_NB) < 0)
			continue;
		remove_run(t->runs, e->d_name);
	}
}

static int open_runs(struct cmd_context *ctx, struct throwaway *t, struct diag *diag)
{
	struct env_path p = {0};
	auto_free char *path = NULL;
	int r = cmd_root(ctx, &t->root, diag);

	if (r < 0)
		return r;
	r = mounts_each(is_mount, t->root);
	if (r <= 0)
		return diag_set(diag, r < 0 ? r : -ENODEV,
			"%s is not mounted, and what is run needs the view; `venvfs mount %s` "
			"mounts "
			"it",
			t->root, t->root);
	if (asprintf(&path, "%s/" RUN_DIR, t->root) < 0)
		return path = NULL, -ENOMEM;
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return diag_errno(diag, -errno, "can not make %s", path);
	t->runs = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (t->runs < 0)
		return diag_errno(diag, -errno, "%s", path);
	p.root = t->root;
	p.path = path;
	r = t->behind = cmd_open_upper(&p, diag);
	return r < 0 ? r : 0;
}

static int make(struct throwaway *t, struct diag *diag)
{
	struct timespec now;
	int r;

	clock_gettime(CLOCK_BOOTTIME, &now);
	snprintf(t->name, sizeof t->name, "%ld-%llx", (long)getpid(),
		(unsigned long long)now.tv_sec * 1000000000 + (unsigned long long)now.tv_nsec);
	if (mkdirat(t->behind, t->name, 0755) < 0)
		return diag_errno(diag, -errno, "can not make %s/" RUN_DIR "/%s", t->root, t->name);
	r = t->lock = openat(t->behind, t->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r >= 0 && flock(t->lock, LOCK_EX) < 0)
		r = -errno;
	return r < 0 ? diag_errno(diag, r, "can not lock %s/" RUN_DIR "/%s", t->root, t->name) : 0;
}

static int write_cfg(const struct throwaway *t, const struct str *text, struct diag *diag)
{
	auto_close int fd =
		openat(t->lock, "pyvenv.cfg", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int r = fd < 0 ? -errno : io_pwrite_full(fd, text->p, text->len, 0);

	return r < 0 ? diag_errno(diag, r, "can not write %s/" RUN_DIR "/%s/pyvenv.cfg", t->root,
			       t->name)
		     : 0;
}

/* the guard */

enum { DONE = -1 }; /* in place of a process id: there is nothing to do any more */

static void wait_for(pid_t pid)
{
	struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

	while (p.fd >= 0 && poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	if (p.fd >= 0)
		close(p.fd);
}

/* Reads the command's number, which it writes itself before it begins, then DONE or the end. */
__attribute__((noreturn)) static void guard(const struct throwaway *t, int from)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid;

	setsid();
	for (int fd = 0; null >= 0 && fd < 3; fd++)
		dup2(null, fd);
	while (read(from, &pid, sizeof pid) == (ssize_t)sizeof pid) {
		if (pid == DONE)
			_exit(0);
		wait_for(pid);
	}
	remove_run(t->runs, t->name);
	_exit(0);
}

/* *ret: where to write to it. Without a guard the next run sweeps. */
static int start_guard(const struct throwaway *t, int *ret)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		guard(t, ends[0]);
	}
	close(ends[0]);
	if (pid < 0) {
		close(ends[1]);
		return -errno;
	}
	*ret = ends[1];
	return 0;
}

/* the command */

static int set_environment(const char *path)
{
	const char *old = getenv("PATH");
	auto_free char *paths = NULL;

	if (asprintf(&paths, "%s/bin%s%s", path, old && *old ? ":" : "", old ? old : "") < 0)
		return paths = NULL, -ENOMEM;
	unsetenv("PYTHONHOME");
	unsetenv("VIRTUAL_ENV_PROMPT");
	return setenv("VIRTUAL_ENV", path, 1) < 0 || setenv("PATH", paths, 1) < 0 ? -ENOMEM : 0;
}

__attribute__((noreturn)) static void command(
	const char *path, char *const *argv, int to_guard, const sigset_t *mask)
{
	pid_t self = getpid();

	if (to_guard >= 0 && write(to_guard, &self, sizeof self) < 0)
		_exit(126);
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (set_environment(path) == 0)
		execvp(argv[0], argv);
	cmd_fail("%s: %s", argv[0], errno == ENOENT ? "there is no such command" : strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Signals for this process are for the command, which a terminal tells by itself. */
static int wait_command(pid_t pid, const sigset_t *signals)
{
	int status;

	for (;;) {
		siginfo_t info;
		int n;

		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
		n = sigwaitinfo(signals, &info);
		if (n > 0 && n != SIGCHLD && info.si_code <= 0)
			kill(pid, n);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(
	const char *path, char *const *argv, int to_guard, int *ret_status, struct diag *diag)
{
	sigset_t signals, old;
	pid_t pid;

	sigemptyset(&signals);
	for (const int *s = (const int[]){SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1,
		     SIGUSR2, 0};
		*s; s++)
		sigaddset(&signals, *s);
	sigprocmask(SIG_BLOCK, &signals, &old);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		command(path, argv, to_guard, &old);
	if (pid < 0)
		return diag_errno(diag, -errno, "can not start %s", argv[0]);
	*ret_status = wait_command(pid, &signals);
	return 0;
}

static void throwaway_free(struct throwaway *t)
{
	cleanup_close(&t->runs);
	cleanup_close(&t->behind);
	cleanup_close(&t->lock);
	free(t->root);
}

int throwaway_run(struct cmd_context *ctx, const struct interpreter *py, const struct digest *lock,
	char *const *argv, int *ret_status, struct diag *diag)
{
	struct throwaway t = {.runs = -1, .behind = -1, .lock = -1};
	const struct cfg_options options = {.without_pip = true};
	auto_str struct str text = {0};
	auto_free char *path = NULL;
	auto_close int to_guard = -1;
	pid_t done = DONE;
	int r = open_runs(ctx, &t, diag);

	if (r == 0) {
		sweep(&t);
		r = make(&t, diag);
	}
	if (r == 0) {
		(void)start_guard(&t, &to_guard);
		if (asprintf(&path, "%s/" RUN_DIR "/%s", t.root, t.name) < 0) {
			path = NULL;
			r = -ENOMEM;
		}
		if (r == 0)
			r = cfg_text(py, path, &options, lock, &text, diag);
		if (r == 0)
			r = write_cfg(&t, &text, diag);
		if (r == 0)
			r = run(path, argv, to_guard, ret_status, diag);
		remove_run(t.runs, t.name);
		if (to_guard >= 0 && write(to_guard, &done, sizeof done) < 0)
			cleanup_close(&to_guard); /* it finds nothing */
	}
	throwaway_free(&t);
	return r;
}
