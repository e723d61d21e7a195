/* SPDX-License-Identifier: MIT
 *
 * What is compiled is decided by the manifest alone, what comes of it by the interpreter alone: a
 * compiler is given bytes and a relative path, and gives bytes. It never learns where the store is,
 * and a source that brings it down costs its own distribution, no more.
 *
 * Sources go to it some dozens at a time: woken for each file it would often wait for us, and with
 * a whole distribution at a time the other cores would end up idle behind the largest one.
 */
#include "py/bytecode.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/io.h"

#include <endian.h>
#include <limits.h>
#include <string.h>

enum {
	BATCH_FILES = 32,
	BATCH_BYTES = 256 << 10,
	SOURCE_MAX = 64 << 20, /* compiling takes a hundred times as much memory */
};

/* which */

bool bytecode_wanted(const struct interpreter *py)
{
	return py->implementation && strcmp(py->implementation, "cpython") == 0 && py->cache_tag &&
	       py->magic;
}

int bytecode_key(const struct interpreter *py, struct str *out)
{
	return bytecode_wanted(py) ? str_addf(out, "%s-%s-0", py->cache_tag, py->magic) : -EINVAL;
}

bool bytecode_is_source(const struct entry *e, const struct interpreter *py)
{
	const char *name = path_base(e->path);
	/* NAME.py becomes NAME.TAG.pyc; without a NAME it is no module's */
	size_t n = strlen(name), pyc = n + strlen(py->cache_tag) + strlen(".") + strlen("c");

	return e->tree == TREE_SITE && n > 3 && str_ends(name, ".py") && pyc <= NAME_MAX &&
	       e->size <= SOURCE_MAX;
}

int bytecode_path(const char *source, const char *cache_tag, struct str *out)
{
	const char *name = path_base(source);

	return str_addf(out, "%.*s__pycache__/%.*s.%s.pyc", (int)(name - source), source,
		(int)(strlen(name) - strlen(".py")), name, cache_tag);
}

/* jobs */

struct source {
	size_t entry; /* in the distribution's manifest */
	char *path;   /* of the pyc */
	char *pyc;
	size_t size; /* of the pyc; 0: it does not compile */
};

struct bytecode_job {
	struct dist *dist;
	char *cache_tag, *key;
	struct source *sources;
	size_t n, cap;
	size_t *ends; /* of each batch, in sources */
	size_t n_batches, cap_batches;
};

void bytecode_job_free(struct bytecode_job *job)
{
	if (!job)
		return;
	for (size_t i = 0; i < job->n; i++) {
		free(job->sources[i].path);
		free(job->sources[i].pyc);
	}
	if (job->dist)
		dist_unref(job->dist);
	free(job->sources);
	free(job->ends);
	free(job->cache_tag);
	free(job->key);
	free(job);
}
CLEANUP_DEFINE(bytecode_job, bytecode_job_free)
CLEANUP_DEFINE(manifest, manifest_free)
CLEANUP_DEFINE(ingest_dist, ingest_dist_free)

static int add_source(struct bytecode_job *job, size_t entry)
{
	auto_str struct str path = {0};

	if (array_grow(job->sources, job->cap, job->n + 1) < 0 ||
		bytecode_path(job->dist->manifest->entries[entry].path, job->cache_tag, &path) < 0)
		return -ENOMEM;
	job->sources[job->n++] = (struct source){.entry = entry, .path = str_steal(&path)};
	return 0;
}

int bytecode_job_new(struct dist *d, const struct interpreter *py, struct bytecode_job **ret)
{
	auto_of(bytecode_job) struct bytecode_job *job = calloc(1, sizeof *job);
	auto_str struct str key = {0};
	uint64_t bytes = 0;
	size_t first, end, begin = 0;
	int r;

	if (!job)
		return -ENOMEM;
	r = bytecode_key(py, &key);
	if (r < 0)
		return r;
	job->dist = dist_ref(d);
	job->key = str_steal(&key);
	job->cache_tag = strdup(py->cache_tag);
	if (!job->cache_tag)
		return -ENOMEM;
	manifest_tree(d->manifest, TREE_SITE, &first, &end);
	for (size_t i = first; i < end; i++) {
		const struct entry *e = &d->manifest->entries[i];

		if (!bytecode_is_source(e, py))
			continue;
		if (job->n > begin &&
			(job->n - begin == BATCH_FILES || bytes + e->size > BATCH_BYTES)) {
			if (array_grow(job->ends, job->cap_batches, job->n_batches + 1) < 0)
				return -ENOMEM;
			job->ends[job->n_batches++] = begin = job->n;
			bytes = 0;
		}
		r = add_source(job, i);
		if (r < 0)
			return r;
		bytes += e->size;
	}
	if (job->n > begin) {
		if (array_grow(job->ends, job->cap_batches, job->n_batches + 1) < 0)
			return -ENOMEM;
		job->ends[job->n_batches++] = job->n;
	}
	*ret = steal_ptr(job);
	return 0;
}

struct dist *bytecode_job_dist(const struct bytecode_job *job)
{
	return job->dist;
}

size_t bytecode_job_batches(const struct bytecode_job *job)
{
	return job->n_batches;
}

/* requests and answers */

static int add_number(struct str *s, uint64_t n)
{
	uint32_t v = htole32((uint32_t)n);

	return str_add_mem(s, &v, sizeof v);
}

/* The bytes are checked, as their pyc will be believed without them. */
static int add_bytes(struct str *out, struct dist *d, size_t entry, struct diag *diag)
{
	const struct entry *e = &d->manifest->entries[entry];
	struct digest digest;
	struct extent x;
	ssize_t k;
	int r;

	if (e->size == 0)
		return 0;
	r = str_reserve(out, e->size);
	if (r == 0)
		r = dist_extent(d, entry, &x);
	if (r < 0)
		return diag_errno(diag, r, "%s", e->path);
	k = io_pread_full(x.fd, out->p + out->len, e->size, x.off);
	extent_release(&x);
	if (k < 0)
		return diag_errno(diag, (int)k, "%s", e->path);
	r = digest_buf(out->p + out->len, (size_t)k, &digest);
	if (r < 0)
		return r;
	if (!digest_equal(&digest, &e->digest))
		return diag_set(
			diag, -EBADMSG, "%s is damaged; see `venvfs store verify`", e->path);
	out->len += (size_t)k;
	out->p[out->len] = '\0';
	return 0;
}

static int make_request(
	struct bytecode_job *job, size_t begin, size_t end, struct str *out, struct diag *diag)
{
	for (size_t i = begin; i < end; i++) {
		const struct entry *e = &job->dist->manifest->entries[job->sources[i].entry];
		int r = add_number(out, strlen(e->path));

		if (r == 0)
			r = str_add(out, e->path);
		if (r == 0)
			r = add_number(out, e->size);
		if (r == 0)
			r = add_bytes(out, job->dist, job->sources[i].entry, diag);
		if (r < 0)
			return r;
	}
	return 0;
}

static int take_answer(struct bytecode_job *job, size_t begin, size_t end, const char *p, size_t n)
{
	for (size_t i = begin; i < end; i++) {
		struct source *s = &job->sources[i];
		uint32_t size;

		if (n < sizeof size)
			return -EPROTO;
		memcpy(&size, p, sizeof size);
		size = le32toh(size);
		p += sizeof size;
		n -= sizeof size;
		if (size > n)
			return -EPROTO;
		if (size) {
			s->pyc = malloc(size);
			if (!s->pyc)
				return -ENOMEM;
			memcpy(s->pyc, p, size);
			s->size = size;
		}
		p += size;
		n -= size;
	}
	return n ? -EPROTO : 0;
}

int bytecode_job_run(struct bytecode_job *job, size_t batch, struct compiler *c, struct diag *diag)
{
	size_t begin = batch ? job->ends[batch - 1] : 0, end = job->ends[batch], n;
	auto_str struct str request = {0};
	const char *answer;
	int r;

	r = make_request(job, begin, end, &request, diag);
	if (r == 0)
		r = compiler_ask(c, request.p, request.len, &answer, &n, diag);
	if (r < 0)
		return r;
	r = take_answer(job, begin, end, answer, n);
	return r == -EPROTO ? diag_set(diag, r, "the compiler's answer makes no sense") : r;
}

/* storing */

static int by_path(const void *a, const void *b)
{
	return path_compare(((const struct source *)a)->path, ((const struct source *)b)->path);
}

/* Sorts the pycs as the manifest has them, so that the same index means the same file in both. */
static int make_manifest(struct bytecode_job *job, struct manifest **ret, size_t *ret_uncompiled)
{
	const struct manifest *of = job->dist->manifest;
	auto_of(manifest) struct manifest *m = calloc(1, sizeof *m);
	size_t n = 0;

	if (!m)
		return -ENOMEM;
	for (size_t i = 0; i < job->n; i++) {
		struct source swap = job->sources[i];

		if (!swap.size)
			continue;
		job->sources[i] = job->sources[n];
		job->sources[n++] = swap;
	}
	qsort(job->sources, n, sizeof *job->sources, by_path);
	m->name = strdup(of->name);
	m->version = strdup(of->version);
	m->info = strdup("");
	m->entries = calloc(n ? n : 1, sizeof *m->entries);
	if (!m->name || !m->version || !m->info || !m->entries)
		return -ENOMEM;
	for (; m->n_entries < n; m->n_entries++) {
		struct entry *e = &m->entries[m->n_entries];

		*e = (struct entry){.tree = TREE_PYC, .size = job->sources[m->n_entries].size};
		e->path = strdup(job->sources[m->n_entries].path);
		if (!e->path)
			return -ENOMEM;
	}
	*ret_uncompiled = job->n - n;
	*ret = steal_ptr(m);
	return 0;
}

static int store_file(struct ingest_dist *staged, size_t i, const struct source *s)
{
	struct entry *e = &ingest_dist_manifest(staged)->entries[i];
	off_t off;
	int fd, r, done;

	r = digest_buf(s->pyc, s->size, &e->digest);
	if (r == 0)
		r = ingest_dist_file(staged, i, &fd, &off);
	if (r < 0)
		return r;
	r = io_pwrite_full(fd, s->pyc, s->size, off);
	done = ingest_dist_file_done(staged, i, fd);
	return r < 0 ? r : done;
}

int bytecode_job_store(struct bytecode_job *job, struct ingest *in, size_t *ret_files,
	size_t *ret_uncompiled, struct diag *diag)
{
	auto_of(ingest_dist) struct ingest_dist *staged = NULL;
	struct manifest *m;
	size_t n, uncompiled;
	int r;

	r = make_manifest(job, &m, &uncompiled);
	if (r < 0)
		return r;
	n = m->n_entries;
	r = ingest_dist_new(in, m, &staged, diag);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = store_file(staged, i, &job->sources[i]);
	if (r == 0)
		r = ingest_pyc_done(steal_ptr(staged), &job->dist->address, job->key, diag);
	if (r < 0)
		return r;
	*ret_files = n;
	*ret_uncompiled = uncompiled;
	return 0;
}
