/* SPDX-License-Identifier: MIT
 *
 * Threads, one compiler each, take batch after batch of one distribution after the other, so that
 * all cores are busy to the end whatever the sizes are. The thread that ends a distribution's last
 * batch stages its pycs; every few seconds what is staged is committed and the mounts are told, so
 * a kill loses little and an environment in use gains early.
 */
#include "cmd/compile_pool.h"

#include "base/cleanup.h"
#include "base/mounts.h"
#include "cmd/progress.h"
#include "py/bytecode.h"
#include "store/ingest.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

enum {
	COMMIT_SECONDS = 3,
	LIMIT_MS = 120 * 1000, /* for a batch that takes a tenth of a second */
	MAX_JOBS = 256,
};

struct running {
	struct bytecode_job *job;
	size_t left; /* batches not yet done */
	bool failed;
};

struct pool {
	struct store *store;
	const struct interpreter *py;
	const struct compile_want *wants;
	size_t n_wants;
	struct ingest *ingest;
	struct compile_totals *totals;
	struct diag *diag;

	pthread_mutex_t take; /* protects what follows, and totals and diag */
	size_t next;
	struct running *current; /* NULL, or batches are left to give out */
	size_t next_batch;
	size_t n_done;
	int fatal; /* -errno: nothing more is begun */

	pthread_mutex_t put; /* protects ingest and what follows; taken before `take` */
	size_t n_staged;
	time_t committed;
};

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* By the documented layout: reading manifests only to find nothing to do would make the common case
 * slow. */
bool compile_done(struct store *s, const struct digest *address, const char *key)
{
	char hex[DIGEST_HEX + 1], path[DIGEST_HEX + 256];

	digest_format(address, hex);
	snprintf(path, sizeof path, "pyc/%s/%s/manifest", hex, key);
	for (size_t tier = 0; store_path(s, tier); tier++)
		if (store_fd(s, tier) >= 0 && faccessat(store_fd(s, tier), path, F_OK, 0) == 0)
			return true;
	return false;
}

static void tell(const struct pool *p, const char *name, const char *version, const char *why)
{
	cmd_fail("%s %s has no bytecode for %s: %s", name, version, p->py->cache_tag, why);
}

static void show_progress(struct pool *p)
{
	progress_show("bytecode for %s: %zu of %zu distributions", p->py->cache_tag, p->n_done,
		p->n_wants);
}

/* Failures that the next distribution would meet as well. */
static bool is_fatal(int r)
{
	return r == -ENOEXEC || r == -ENOMEM || r == -ENOSPC || r == -EDQUOT || r == -EROFS ||
	       r == -EMFILE || r == -ENFILE;
}

/* With `take` held. */
static void failed(struct pool *p, const char *name, const char *version, int r, struct diag *diag)
{
	p->totals->n_failed++;
	p->n_done++;
	if (!is_fatal(r)) {
		tell(p, name, version, diag_text(diag, r));
	} else if (!p->fatal) {
		p->fatal = r;
		diag_set(p->diag, r, "%s", diag_text(diag, r));
	}
}

/* With `take` held: the next distribution becomes the current one. -ENOENT: there is none. */
static int begin(struct pool *p)
{
	while (!p->fatal && p->next < p->n_wants) {
		const struct compile_want *w = &p->wants[p->next++];
		struct diag diag = {0};
		struct dist *d = NULL;
		struct running *run;
		int r;

		run = calloc(1, sizeof *run);
		r = run ? store_dist(p->store, w->name, w->version, &w->address, &d, &diag)
			: -ENOMEM;
		if (r == 0) {
			r = bytecode_job_new(d, p->py, &run->job);
			dist_unref(d);
		}
		if (r == 0) {
			run->left = bytecode_job_batches(run->job);
			p->current = run;
			p->next_batch = 0;
			return 0;
		}
		free(run);
		failed(p, w->name, w->version, r, &diag);
	}
	return -ENOENT;
}

/* A batch, to be done unless *ret_skip: the distribution has none, or failed already. NULL: all is
 * given out. */
static struct running *take(struct pool *p, size_t *ret_batch, bool *ret_skip)
{
	struct running *run = NULL;

	pthread_mutex_lock(&p->take);
	if (!p->fatal && (p->current || begin(p) == 0)) {
		run = p->current;
		*ret_batch = p->next_batch++;
		*ret_skip = run->left == 0 || run->failed;
		if (p->next_batch >= bytecode_job_batches(run->job))
			p->current = NULL;
	}
	pthread_mutex_unlock(&p->take);
	return run;
}

/* With `put` held. */
static int commit(struct pool *p, struct diag *diag)
{
	int r = 0;

	if (p->n_staged) {
		r = ingest_commit(p->ingest, diag);
		if (r == 0)
			mounts_refresh();
	}
	p->n_staged = 0;
	p->committed = now();
	return r;
}

/* All batches are done: stages the pycs, commits when it is time. */
static void finish(struct pool *p, struct running *run)
{
	const struct manifest *m = bytecode_job_dist(run->job)->manifest;
	size_t n_files = 0, n_uncompiled = 0;
	struct diag diag = {0};
	int r;

	if (!run->failed) {
		pthread_mutex_lock(&p->put);
		r = bytecode_job_store(run->job, p->ingest, &n_files, &n_uncompiled, &diag);
		if (r == 0) {
			p->n_staged++;
			if (now() - p->committed >= COMMIT_SECONDS)
				r = commit(p, &diag);
		}
		pthread_mutex_lock(&p->take);
		if (r < 0) {
			failed(p, m->name, m->version, r, &diag);
		} else {
			p->totals->n_dists++;
			p->totals->n_files += n_files;
			p->totals->n_uncompiled += n_uncompiled;
			p->n_done++;
			show_progress(p);
		}
		pthread_mutex_unlock(&p->take);
		pthread_mutex_unlock(&p->put);
	}
	bytecode_job_free(run->job);
	free(run);
}

static void *work(void *arg)
{
	struct compiler *c = NULL;
	struct pool *p = arg;
	struct running *run;
	size_t batch;
	bool skip;
	int r;

	r = compiler_new(p->py, LIMIT_MS, &c);
	if (r < 0) {
		pthread_mutex_lock(&p->take);
		p->fatal = r;
		pthread_mutex_unlock(&p->take);
		return NULL;
	}
	while ((run = take(p, &batch, &skip))) {
		const struct manifest *m = bytecode_job_dist(run->job)->manifest;
		struct diag diag = {0};
		bool last;

		r = skip ? 0 : bytecode_job_run(run->job, batch, c, &diag);
		pthread_mutex_lock(&p->take);
		if (r < 0 && !run->failed) {
			run->failed = true;
			failed(p, m->name, m->version, r, &diag);
		}
		last = run->left == 0 || --run->left == 0;
		pthread_mutex_unlock(&p->take);
		if (last)
			finish(p, run);
	}
	compiler_free(c);
	return NULL;
}

/* Runs the pool on `jobs` threads, this one being one of them. Fewer is no failure. */
static void run_threads(struct pool *p, unsigned jobs)
{
	pthread_t threads[MAX_JOBS];
	unsigned n = 0;

	while (n + 1 < jobs && pthread_create(&threads[n], NULL, work, p) == 0)
		n++;
	work(p);
	while (n)
		pthread_join(threads[--n], NULL);
	/* After a fatal failure the current one is nobody's. */
	if (p->current) {
		bytecode_job_free(p->current->job);
		free(p->current);
	}
}

static unsigned count_cores(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* What of `wants` lacks bytecode for `py`. */
static int filter(struct store *s, const struct compile_want *wants, size_t n, const char *key,
	struct compile_want **ret, size_t *ret_n)
{
	struct compile_want *lacking = malloc((n ? n : 1) * sizeof *lacking);
	size_t k = 0;

	if (!lacking)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (!compile_done(s, &wants[i].address, key))
			lacking[k++] = wants[i];
	*ret = lacking;
	*ret_n = k;
	return 0;
}

int compile_pool_run(struct store *s, const struct interpreter *py,
	const struct compile_want *wants, size_t n, unsigned jobs, struct compile_totals *totals,
	struct diag *diag)
{
	auto_free struct compile_want *lacking = NULL;
	auto_str struct str key = {0};
	struct pool p = {.store = s, .py = py, .totals = totals, .diag = diag};
	int r;

	r = bytecode_key(py, &key);
	if (r == 0)
		r = filter(s, wants, n, key.p, &lacking, &p.n_wants);
	if (r < 0 || p.n_wants == 0)
		return r;
	p.wants = lacking;
	r = ingest_begin(s, &p.ingest, diag);
	if (r < 0)
		return r;
	p.committed = now();
	pthread_mutex_init(&p.take, NULL);
	pthread_mutex_init(&p.put, NULL);
	if (jobs == 0)
		jobs = count_cores();
	run_threads(&p, jobs < MAX_JOBS ? jobs : MAX_JOBS);
	progress_clear();
	r = commit(&p, p.fatal ? NULL : diag);
	ingest_free(p.ingest);
	pthread_mutex_destroy(&p.take);
	pthread_mutex_destroy(&p.put);
	return p.fatal ? p.fatal : r;
}
