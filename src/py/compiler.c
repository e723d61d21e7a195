/* SPDX-License-Identifier: MIT
 *
 * One socket is the process's stdin and carries both directions; what it prints goes to a memfd, so
 * that nothing it says can be taken for an answer, and its last words are there when it dies. Every
 * wait has an end: a source can make a compiler crash or run for ages, and then it is ended and
 * begun anew.
 */
#include "py/compiler.h"

#include "base/cleanup.h"

#include <endian.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

static const char program[] =
#include "py/compile.py.inc"
	;

enum { FRAME_MAX = 1 << 30 };

struct compiler {
	char *executable;
	char *hello;
	unsigned limit_ms;
	pid_t pid;    /* 0: no process */
	int fd;	      /* our end of its socket */
	int complain; /* what it prints */
	struct str answer;
};

int compiler_new(const struct interpreter *py, unsigned limit_ms, struct compiler **ret)
{
	struct compiler *c;

	if (!py->cache_tag || !py->magic)
		return -EINVAL;
	c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->fd = c->complain = -1;
	c->limit_ms = limit_ms;
	c->executable = strdup(py->executable);
	if (!c->executable || asprintf(&c->hello, "%s-%s", py->cache_tag, py->magic) < 0) {
		free(c->executable);
		free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

static void forget(struct compiler *c)
{
	cleanup_close(&c->fd);
	cleanup_close(&c->complain);
	c->fd = c->complain = -1;
	c->pid = 0;
}

/* It has nothing to lose, so it is ended the short way. */
static void end(struct compiler *c)
{
	if (c->pid) {
		kill(c->pid, SIGKILL);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	forget(c);
}

void compiler_free(struct compiler *c)
{
	if (!c)
		return;
	end(c);
	str_free(&c->answer);
	free(c->executable);
	free(c->hello);
	free(c);
}

static int nonsense(struct compiler *c, struct diag *diag)
{
	end(c);
	return diag_set(diag, -EPROTO, "%s gave an answer that makes no sense", c->executable);
}

/* The last line of what it printed. */
static const char *last_words(struct compiler *c, char *buf, size_t size)
{
	off_t len = lseek(c->complain, 0, SEEK_END), most = (off_t)size - 1;
	ssize_t n = pread(c->complain, buf, size - 1, len > most ? len - most : 0);
	char *line;

	if (n < 0)
		n = 0;
	while (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	line = strrchr(buf, '\n');
	return line ? line + 1 : buf;
}

/* It closed its end: why? */
static int died(struct compiler *c, struct diag *diag)
{
	const struct timespec pause = {.tv_nsec = 5000000};
	char buf[512];
	int status = 0, tries;
	const char *words;

	for (tries = 200; tries && waitpid(c->pid, &status, WNOHANG) == 0; tries--)
		nanosleep(&pause, NULL);
	if (!tries) {
		end(c);
		return diag_set(diag, -ECHILD, "%s stopped answering", c->executable);
	}
	words = last_words(c, buf, sizeof buf);
	forget(c);
	if (WIFSIGNALED(status))
		return diag_set(diag, -ECHILD, "%s was ended by signal %d (%s)", c->executable,
			WTERMSIG(status), strsignal(WTERMSIG(status)));
	return diag_set(diag, -ECHILD, "%s ended with status %d%s%s", c->executable,
		WEXITSTATUS(status), *words ? ": " : "", words);
}

static int64_t clock_ms(clockid_t clock)
{
	struct timespec t;

	return clock_gettime(clock, &t) < 0 ? 0 : (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Bytes moved, 0 where none could be, or a failure that ended the process. */
static ssize_t moved(struct compiler *c, ssize_t k, struct diag *diag)
{
	int err = k < 0 ? -errno : 0;

	if (k > 0)
		return k;
	if (err == -EAGAIN || err == -EINTR)
		return 0;
	if (k == 0 || err == -EPIPE || err == -ECONNRESET)
		return died(c, diag);
	end(c);
	return diag_errno(diag, err, "%s", c->executable);
}

/* What a starved process of idle priority took on the clock says little, so its processor time is
 * what counts first. */
static bool late(struct compiler *c, clockid_t cpu, int64_t cpu_begin, int64_t begin)
{
	return clock_ms(cpu) - cpu_begin >= c->limit_ms ||
	       clock_ms(CLOCK_MONOTONIC) - begin >= 10 * (int64_t)c->limit_ms;
}

/* Sends what there is to send and takes one whole frame. */
static int exchange(struct compiler *c, const char *p, size_t n, struct diag *diag)
{
	const int64_t begin = clock_ms(CLOCK_MONOTONIC);
	size_t want = 4;
	int64_t cpu_begin;
	clockid_t cpu;

	if (clock_getcpuclockid(c->pid, &cpu) != 0)
		cpu = CLOCK_MONOTONIC;
	cpu_begin = clock_ms(cpu);
	str_truncate(&c->answer, 0);
	while (n || c->answer.len < want) {
		struct pollfd poll_fd = {.fd = c->fd, .events = n ? POLLIN | POLLOUT : POLLIN};
		int ready = poll(&poll_fd, 1, 100);
		ssize_t k;

		if (ready <= 0) {
			if (!late(c, cpu, cpu_begin, begin))
				continue;
			end(c);
			return diag_set(diag, -ETIMEDOUT, "%s took more than %u s and was ended",
				c->executable, (c->limit_ms + 999) / 1000);
		}
		if (n && poll_fd.revents & POLLOUT) {
			k = moved(c, send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT), diag);
			if (k < 0)
				return (int)k;
			p += k;
			n -= (size_t)k;
		}
		if (!(poll_fd.revents & ~POLLOUT))
			continue;
		if (str_reserve(&c->answer, want - c->answer.len) < 0)
			return -ENOMEM;
		k = moved(c,
			recv(c->fd, c->answer.p + c->answer.len, want - c->answer.len,
				MSG_DONTWAIT),
			diag);
		if (k < 0)
			return (int)k;
		c->answer.len += (size_t)k;
		if (want == 4 && c->answer.len == 4) {
			uint32_t size;

			memcpy(&size, c->answer.p, 4);
			want += le32toh(size);
		}
		if ((n && k) || want > FRAME_MAX)
			return nonsense(c, diag);
	}
	return 0;
}

static int set_up(posix_spawn_file_actions_t *acts, posix_spawnattr_t *attr, int in, int out)
{
	sigset_t none, usual;
	int r;

	sigemptyset(&none);
	sigemptyset(&usual);
	for (int sig = 1; sig < SIGRTMIN; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			sigaddset(&usual, sig);
	if ((r = posix_spawn_file_actions_adddup2(acts, in, 0)) != 0 ||
		(r = posix_spawn_file_actions_adddup2(acts, out, 1)) != 0 ||
		(r = posix_spawn_file_actions_adddup2(acts, out, 2)) != 0 ||
		(r = posix_spawn_file_actions_addclosefrom_np(acts, 3)) != 0 ||
		(r = posix_spawnattr_setsigmask(attr, &none)) != 0 ||
		(r = posix_spawnattr_setsigdefault(attr, &usual)) != 0)
		return -r;
	return -posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static int spawn(const char *executable, int in, int out, pid_t *ret)
{
	const char *const argv[] = {
		executable, "-I", "-S", "-B", "-W", "ignore", "-c", program, NULL};
	posix_spawn_file_actions_t acts;
	posix_spawnattr_t attr;
	int r;

	r = -posix_spawn_file_actions_init(&acts);
	if (r < 0)
		return r;
	r = -posix_spawnattr_init(&attr);
	if (r == 0) {
		r = set_up(&acts, &attr, in, out);
		if (r == 0)
			r = -posix_spawn(
				ret, executable, &acts, &attr, (char *const *)argv, environ);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&acts);
	return r;
}

static int start(struct compiler *c, struct diag *diag)
{
	auto_close int ours = -1, complain = -1;
	int sv[2], r;

	complain = memfd_create("venvfs-compile", MFD_CLOEXEC);
	if (complain < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return diag_errno(diag, -errno, "%s can not be started", c->executable);
	ours = sv[0];
	r = spawn(c->executable, sv[1], complain, &c->pid);
	close(sv[1]);
	if (r < 0) {
		c->pid = 0;
		diag_errno(diag, r, "%s can not be started", c->executable);
		return -ENOEXEC;
	}
	c->fd = steal_fd(&ours);
	c->complain = steal_fd(&complain);
	r = exchange(c, NULL, 0, diag);
	if (r < 0)
		return r == -ENOMEM ? r : -ENOEXEC;
	if (c->answer.len - 4 != strlen(c->hello) ||
		memcmp(c->answer.p + 4, c->hello, strlen(c->hello)) != 0) {
		diag_set(diag, -EPROTO, "%s is no longer %s but %.*s", c->executable, c->hello,
			(int)(c->answer.len - 4 < 100 ? c->answer.len - 4 : 100), c->answer.p + 4);
		return -ENOEXEC;
	}
	return 0;
}

int compiler_ask(struct compiler *c, const void *request, size_t n, const char **ret_answer,
	size_t *ret_n, struct diag *diag)
{
	uint32_t size = htole32((uint32_t)n);
	auto_str struct str frame = {0};
	int r;

	if (n > FRAME_MAX)
		return -EFBIG;
	if (str_reserve(&frame, sizeof size + n) < 0 ||
		str_add_mem(&frame, &size, sizeof size) < 0 || str_add_mem(&frame, request, n) < 0)
		return -ENOMEM;
	r = c->pid ? 0 : start(c, diag);
	if (r == 0)
		r = exchange(c, frame.p, frame.len, diag);
	if (r < 0) {
		end(c); /* half an exchange can not be gone on with */
		return r;
	}
	*ret_answer = c->answer.p + 4;
	*ret_n = c->answer.len - 4;
	return 0;
}
