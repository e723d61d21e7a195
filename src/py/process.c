/* SPDX-License-Identifier: MIT
 *
 * posix_spawn, as it is safe in a process with threads and tells why exec failed. The input lies in
 * a memfd, so a program that does not read it costs neither a deadlock nor a SIGPIPE, and one poll
 * loop over the two outputs is all there is to do.
 */
#include "py/process.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

static int open_input(const void *in, size_t n)
{
	auto_close int fd = -1;
	int r;

	if (!in) {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return fd < 0 ? -errno : steal_fd(&fd);
	}
	fd = memfd_create("venvfs-stdin", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = io_write_full(fd, in, n);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return steal_fd(&fd);
}

static int spawn_actions(posix_spawn_file_actions_t *acts, int in, int out, int err)
{
	int r = posix_spawn_file_actions_adddup2(acts, in, 0);

	if (r == 0)
		r = posix_spawn_file_actions_adddup2(acts, out, 1);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(acts, err, 2);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(acts, 3);
	return -r;
}

/* A fresh signal state: a daemon's blocked and ignored signals are not the program's. */
static int spawn_signals(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigemptyset(&all);
	sigaddset(&all, SIGPIPE);
	sigaddset(&all, SIGHUP);
	sigaddset(&all, SIGINT);
	sigaddset(&all, SIGTERM);
	sigaddset(&all, SIGCHLD);
	r = posix_spawnattr_setsigmask(attr, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attr, &all);
	if (r == 0)
		r = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return -r;
}

static int spawn(const char *const *argv, char *const *envp, int in, int out, int err, pid_t *ret)
{
	posix_spawn_file_actions_t acts;
	posix_spawnattr_t attr;
	int r;

	r = -posix_spawn_file_actions_init(&acts);
	if (r < 0)
		return r;
	r = -posix_spawnattr_init(&attr);
	if (r == 0) {
		r = spawn_actions(&acts, in, out, err);
		if (r == 0)
			r = spawn_signals(&attr);
		if (r == 0)
			r = -posix_spawnp(ret, argv[0], &acts, &attr, (char *const *)argv, envp);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&acts);
	return r;
}

/* One read of a readable end: 0 at its end of file, 1 for more to come. */
static int drain(int fd, struct str *to, size_t max, bool keep_tail)
{
	char buf[65536];
	ssize_t n = read(fd, buf, sizeof buf);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 1 : -errno;
	if (n == 0)
		return 0;
	if (to->len + (size_t)n > max && !keep_tail)
		return -EFBIG;
	if (str_add_mem(to, buf, (size_t)n) < 0)
		return -ENOMEM;
	if (to->len > max) {
		size_t drop = to->len - max;

		memmove(to->p, to->p + drop, max);
		str_truncate(to, max);
	}
	return 1;
}

static int collect(int out_fd, int err_fd, struct str *out, struct str *err)
{
	struct pollfd p[2] = {{.fd = out_fd, .events = POLLIN}, {.fd = err_fd, .events = POLLIN}};

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (poll(p, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		for (int i = 0; i < 2; i++) {
			int r;

			if (p[i].fd < 0 || !p[i].revents)
				continue;
			r = i == 0 ? drain(p[i].fd, out, PROCESS_OUT_MAX, false)
				   : drain(p[i].fd, err, PROCESS_ERR_MAX, true);
			if (r < 0)
				return r;
			if (r == 0)
				p[i].fd = -1;
		}
	}
	return 0;
}

static int reap(pid_t pid, int *ret_status)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}

/* The last line with something on it: for a Python program that is the exception itself. */
static void last_line(const struct str *text, const char **ret, size_t *n)
{
	size_t end = text->len, start;

	while (end > 0 && strchr("\r\n\t ", text->p[end - 1]))
		end--;
	for (start = end; start > 0 && text->p[start - 1] != '\n'; start--)
		;
	*ret = text->p ? text->p + start : "";
	*n = end - start;
}

static int run(const char *const *argv, char *const *envp, const void *in, size_t n_in,
	struct str *out, struct str *err, int *ret_status, struct diag *diag)
{
	auto_close int in_fd = -1, out_r = -1, out_w = -1, err_r = -1, err_w = -1;
	auto_str struct str said = {0}, complaint = {0};
	int p[2], r, status = 0;
	const char *line;
	size_t n;
	pid_t pid;

	in_fd = open_input(in, n_in);
	if (in_fd < 0)
		return diag_errno(diag, in_fd, "can not prepare the input of %s", argv[0]);
	if (pipe2(p, O_CLOEXEC) < 0)
		return diag_errno(diag, -errno, "can not start %s", argv[0]);
	out_r = p[0];
	out_w = p[1];
	if (pipe2(p, O_CLOEXEC) < 0)
		return diag_errno(diag, -errno, "can not start %s", argv[0]);
	err_r = p[0];
	err_w = p[1];

	r = spawn(argv, envp, in_fd, out_w, err_w, &pid);
	if (r < 0)
		return diag_errno(diag, r, "can not start %s", argv[0]);
	close(steal_fd(&out_w));
	close(steal_fd(&err_w));
	r = collect(out_r, err_r, &said, &complaint);
	if (r < 0)
		kill(pid, SIGKILL);
	if (reap(pid, &status) < 0 && r == 0)
		r = -ECHILD;
	if (out && r == 0)
		r = str_add_mem(out, said.p, said.len);
	if (err && r == 0)
		r = str_add_mem(err, complaint.p, complaint.len);
	if (r < 0)
		return diag_errno(diag, r, "can not take what %s says", argv[0]);
	if (ret_status) {
		*ret_status = status;
		return 0;
	}
	if (status == 0)
		return 0;
	last_line(&complaint, &line, &n);
	if (n > 0)
		return diag_set(diag, -EIO, "%s: %.*s", argv[0], (int)(n > 800 ? 800 : n), line);
	if (status > 128)
		return diag_set(diag, -EIO, "%s was ended by signal %d", argv[0], status - 128);
	return diag_set(diag, -EIO, "%s failed with status %d", argv[0], status);
}

int process_run(const char *const *argv, const void *in, size_t n_in, struct str *out,
	struct str *err, int *ret_status, struct diag *diag)
{
	return run(argv, environ, in, n_in, out, err, ret_status, diag);
}

int process_run_clean(const char *const *argv, const void *in, size_t n_in, struct str *out,
	struct str *err, int *ret_status, struct diag *diag)
{
	static const char *const kept[] = {"PATH", "HOME", "TMPDIR"};
	struct str vars[sizeof kept / sizeof *kept] = {{0}};
	char *envp[sizeof kept / sizeof *kept + 2];
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < sizeof kept / sizeof *kept && r == 0; i++) {
		const char *value = getenv(kept[i]);

		if (!value)
			continue;
		r = str_addf(&vars[i], "%s=%s", kept[i], value);
		envp[n++] = vars[i].p;
	}
	envp[n++] = (char *)"LANG=C.UTF-8";
	envp[n] = NULL;
	if (r == 0)
		r = run(argv, envp, in, n_in, out, err, ret_status, diag);
	else
		diag_errno(diag, r, "can not start %s", argv[0]);
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		str_free(&vars[i]);
	return r;
}

char *process_in_path(const char *program)
{
	const char *dirs = getenv("PATH");

	for (; dirs && *dirs; dirs += strcspn(dirs, ":"), dirs += *dirs == ':') {
		int n = (int)strcspn(dirs, ":");
		struct stat st;
		char *path;

		if (!n || asprintf(&path, "%.*s/%s", n, dirs, program) < 0)
			continue;
		if (access(path, X_OK) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode))
			return path;
		free(path);
	}
	return NULL;
}
