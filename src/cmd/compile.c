/* SPDX-License-Identifier: MIT
 *
 * Who compiles what, and when. Compilers beside each other do no harm, but the same work twice;
 * those in the background therefore stand in a queue, which is a lock on the store's directory (it
 * leaves no trace and ends with its holder), and look again at what is lacking when it is their
 * turn.
 */
#include "cmd/compile.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "cmd/compile_pool.h"
#include "py/bytecode.h"
#include "py/name.h"

#include <fcntl.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* interpreters */

struct pythons {
	struct interpreter **all;
	size_t n, cap;
};

static void pythons_free(struct pythons *p)
{
	for (size_t i = 0; i < p->n; i++)
		interpreter_unref(p->all[i]);
	free(p->all);
}

/* Takes the reference over. One interpreter for each key: what one of them compiles, all of them
 * read. */
static int keep(struct pythons *p, struct interpreter *py)
{
	bool known = false;

	for (size_t i = 0; i < p->n && !known; i++)
		known = strcmp(p->all[i]->cache_tag, py->cache_tag) == 0 &&
			strcmp(p->all[i]->magic, py->magic) == 0;
	if (known || array_grow(p->all, p->cap, p->n + 1) < 0) {
		interpreter_unref(py);
		return known ? 0 : -ENOMEM;
	}
	p->all[p->n++] = py;
	return 0;
}

static int add_note(void *arg, const char *text, size_t n)
{
	struct pythons *noted = arg;
	struct interpreter *py;

	if (interpreter_parse(text, n, &py, NULL) < 0)
		return 0; /* a note of another version of ours */
	if (array_grow(noted->all, noted->cap, noted->n + 1) < 0) {
		interpreter_unref(py);
		return -ENOMEM;
	}
	noted->all[noted->n++] = py;
	return 0;
}

/* The registered ones that are still there, as they are now. */
static int registered(struct store *s, struct pythons *ret)
{
	struct pythons noted = {0};
	int r = store_note_each(s, "pythons", add_note, &noted);

	for (size_t i = 0; r == 0 && i < noted.n; i++) {
		const char *executable = noted.all[i]->executable;
		struct interpreter *py = NULL;
		struct diag diag = {0};
		int found;

		if (access(executable, X_OK) < 0)
			continue;
		found = interpreter_find(s, executable, &py, &diag);
		if (found < 0)
			cmd_fail("%s", diag_text(&diag, found));
		else if (bytecode_wanted(py))
			r = keep(ret, py);
		else
			interpreter_unref(py);
	}
	pythons_free(&noted);
	return r;
}

/* distributions */

struct wants {
	struct compile_want *all;
	size_t n, cap;
	struct found **found; /* what `all` borrows from: one list per name */
	size_t *n_found;
	size_t n_lists;
};

static void wants_free(struct wants *w)
{
	for (size_t i = 0; i < w->n_lists; i++)
		found_free(w->found[i], w->n_found[i]);
	free(w->found);
	free(w->n_found);
	free(w->all);
}

/* A row per address: one may have come from several wheels, and lie in several tiers. */
static int add_found(struct wants *w, const struct found *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool known = false;

		for (size_t k = i; k-- > 0 && strcmp(rows[k].name, rows[i].name) == 0 && !known;)
			known = digest_equal(&rows[k].address, &rows[i].address);
		if (known)
			continue;
		if (array_grow(w->all, w->cap, w->n + 1) < 0)
			return -ENOMEM;
		w->all[w->n++] =
			(struct compile_want){rows[i].name, rows[i].version, rows[i].address};
	}
	return 0;
}

static int find_wants(struct store *s, char **names, size_t n, struct wants *ret, struct diag *diag)
{
	size_t n_lists = n ? n : 1;

	ret->found = calloc(n_lists, sizeof *ret->found);
	ret->n_found = calloc(n_lists, sizeof *ret->n_found);
	if (!ret->found || !ret->n_found)
		return -ENOMEM;
	for (size_t i = 0; i < n_lists; i++) {
		auto_str struct str name = {0};
		int r = n ? name_normalize(names[i], strlen(names[i]), &name) : 0;

		if (r == 0)
			r = store_find(
				s, n ? name.p : NULL, NULL, &ret->found[i], &ret->n_found[i]);
		if (r < 0)
			return diag_errno(
				diag, r, "%s", n ? names[i] : "the store can not be listed");
		ret->n_lists++;
		if (n && ret->n_found[i] == 0)
			return diag_set(diag, -ENOENT,
				"%s is not in the store; see `venvfs store ls`", names[i]);
		r = add_found(ret, ret->found[i], ret->n_found[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* in the background */

/* What is refused here is no reason not to compile. */
static void be_idle(void)
{
	const struct sched_param none = {0};

	(void)setpriority(PRIO_PROCESS, 0, 19);
	(void)sched_setscheduler(0, SCHED_IDLE, &none);
	(void)syscall(
		SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

/* The returned descriptor holds the lock; negative where there is none to have. */
static int queue_up(struct store *s)
{
	int fd = openat(store_fd(s, 0), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		while (flock(fd, LOCK_EX) < 0 && errno == EINTR)
			;
	return fd;
}

static int detach(char *const *argv)
{
	posix_spawn_file_actions_t acts;
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int r;

	r = -posix_spawn_file_actions_init(&acts);
	if (r < 0)
		return r;
	r = -posix_spawnattr_init(&attr);
	if (r < 0) {
		posix_spawn_file_actions_destroy(&acts);
		return r;
	}
	sigemptyset(&none);
	/* Of the caller's it keeps nothing: no terminal, no pipe that someone waits to see closed,
	 * no directory that could not be unmounted. */
	if ((r = posix_spawn_file_actions_addopen(&acts, 0, "/dev/null", O_RDWR, 0)) == 0 &&
		(r = posix_spawn_file_actions_adddup2(&acts, 0, 1)) == 0 &&
		(r = posix_spawn_file_actions_adddup2(&acts, 0, 2)) == 0 &&
		(r = posix_spawn_file_actions_addclosefrom_np(&acts, 3)) == 0 &&
		(r = posix_spawn_file_actions_addchdir_np(&acts, "/")) == 0 &&
		(r = posix_spawnattr_setsigmask(&attr, &none)) == 0 &&
		(r = posix_spawnattr_setflags(
			 &attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK)) == 0)
		r = posix_spawn(&pid, "/proc/self/exe", &acts, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&acts);
	return -r;
}

/* venvfs --store S --tier T... store compile --background --python P... NAME... */
static int start_detached(const struct config *c, const struct pythons *pythons,
	const struct compile_want *wants, size_t n)
{
	auto_free const char **argv = calloc(8 + 2 * c->n_tiers + 2 * pythons->n + n, sizeof *argv);
	size_t k = 0;

	if (!argv)
		return -ENOMEM;
	argv[k++] = "venvfs";
	argv[k++] = "--store";
	argv[k++] = c->store;
	for (size_t i = 0; i < c->n_tiers; i++) {
		argv[k++] = "--tier";
		argv[k++] = c->tiers[i];
	}
	argv[k++] = "store";
	argv[k++] = "compile";
	argv[k++] = "--background";
	for (size_t i = 0; i < pythons->n; i++) {
		argv[k++] = "--python";
		argv[k++] = pythons->all[i]->executable;
	}
	for (size_t i = 0; i < n; i++)
		argv[k++] = wants[i].name;
	return detach((char *const *)argv);
}

/* entry */

static int compile_all(struct store *s, const struct pythons *pythons,
	const struct compile_want *wants, size_t n, unsigned jobs, struct compile_totals *totals,
	struct diag *diag)
{
	int r = 0;

	for (size_t i = 0; i < pythons->n && r == 0; i++)
		r = compile_pool_run(s, pythons->all[i], wants, n, jobs, totals, diag);
	return r;
}

int compile_run(struct cmd_context *ctx, const struct compile_request *request,
	struct compile_totals *ret, struct diag *diag)
{
	struct store *s = cmd_store(ctx);
	struct compile_totals totals = {0};
	struct pythons pythons = {0};
	struct wants wants = {0};
	auto_close int lock = -1;
	unsigned jobs = request->jobs;
	int r = 0;

	if (!s)
		return diag_set(diag, -EIO, "the store can not be opened");
	if (request->background) {
		be_idle();
		lock = queue_up(s);
		jobs = jobs ? jobs : 1;
	}
	if (request->n_pythons == 0)
		r = registered(s, &pythons);
	for (size_t i = 0; r == 0 && i < request->n_pythons; i++) {
		struct interpreter *py = request->pythons[i];

		if (!bytecode_wanted(py))
			r = diag_set(diag, -ENOTSUP,
				"%s is no CPython: bytecode is derived for CPython alone",
				py->executable);
		else
			r = keep(&pythons, interpreter_ref(py));
	}
	if (r == 0)
		r = find_wants(s, request->names, request->n_names, &wants, diag);
	if (r == 0)
		r = compile_all(s, &pythons, wants.all, wants.n, jobs, &totals, diag);
	if (r == 0)
		*ret = totals;
	wants_free(&wants);
	pythons_free(&pythons);
	return r;
}

/* What of `wants` lacks bytecode for any of the interpreters comes first; returns how many. */
static size_t keep_lacking(
	struct store *s, const struct pythons *pythons, struct compile_want *wants, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		bool done = true;

		for (size_t k = 0; k < pythons->n && done; k++) {
			auto_str struct str key = {0};

			done = bytecode_key(pythons->all[k], &key) == 0 &&
			       compile_done(s, &wants[i].address, key.p);
		}
		if (!done)
			wants[kept++] = wants[i];
	}
	return kept;
}

int compile_added(struct cmd_context *ctx, struct interpreter *py, const struct lock_line *lines,
	size_t n, enum compile_when when)
{
	auto_free struct compile_want *wants = NULL;
	struct compile_totals totals = {0};
	struct pythons pythons = {0};
	struct diag diag = {0};
	struct store *s;
	int r = 0;

	if (when == COMPILE_NEVER || (when == COMPILE_LATER && !ctx->config.compile) ||
		(py && !bytecode_wanted(py)) || n == 0)
		return 0;
	s = cmd_store(ctx);
	wants = calloc(n, sizeof *wants);
	if (!s || !wants)
		return s ? -ENOMEM : -EIO;
	for (size_t i = 0; i < n; i++)
		wants[i] = (struct compile_want){lines[i].name, lines[i].version, lines[i].address};
	r = py ? keep(&pythons, interpreter_ref(py)) : registered(s, &pythons);
	if (r == 0)
		n = keep_lacking(s, &pythons, wants, n);
	if (r == 0 && n)
		r = when == COMPILE_LATER ? start_detached(&ctx->config, &pythons, wants, n)
					  : compile_all(s, &pythons, wants, n, 0, &totals, &diag);
	if (r < 0)
		cmd_fail("no bytecode was made: %s", diag_text(&diag, r));
	pythons_free(&pythons);
	return r < 0 ? r : totals.n_failed ? -EIO : 0;
}
