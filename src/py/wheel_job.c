/* SPDX-License-Identifier: MIT
 *
 * A member is inflated once: the same pass counts it, checks its CRC, hashes it for RECORD and
 * for the manifest (one hash serves both, as RECORD's is nearly always SHA-256 too), and writes it
 * where it stays. Only what decides the manifest's shape is read before: RECORD, METADATA,
 * WHEEL, entry_points.txt, and of scripts the first line.
 */
#include "py/wheel_job.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "py/entrypoint.h"
#include "py/metadata.h"
#include "py/name.h"
#include "py/refuse.h"
#include "py/script.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
enum { HEAD = 64, PIECE_FILES = 256 };
#define RECORD_MAX (64 * MIB)
#define TEXT_MAX (16 * MIB)	/* METADATA, WHEEL, entry_points.txt, a Python script */
#define SCRIPTS_MAX (64 * MIB)	/* of Python scripts together: they are kept in memory */
#define PIECE_ALONE (256 * KIB) /* larger members are a piece of their own */
#define PIECE_BYTES (512 * KIB)
#define DIGEST_COST 4 /* hashing is so much cheaper than inflating, per byte */

CLEANUP_DEFINE(manifest, manifest_free)
CLEANUP_DEFINE(hasher, hasher_free)
CLEANUP_DEFINE(archive, archive_free)

#define REFUSE(job, diag, member, rule, ...)                                                       \
	refuse((diag), (job)->path, (member), (rule), __VA_ARGS__)

static const struct zip_member *member_of(const struct wheel_job *job, const struct plan_file *f)
{
	return &job->zip.members[f->member];
}

static int open_file(struct wheel_job *job, struct diag *diag)
{
	struct stat st;
	char want[DIGEST_HEX + 1], got[DIGEST_HEX + 1];
	int r;

	job->fd = open(job->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (job->fd < 0 || fstat(job->fd, &st) < 0)
		return refuse_errno(diag, -errno, job->path, NULL, "it can not be opened");
	if (!S_ISREG(st.st_mode))
		return refuse_errno(diag, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL, job->path, NULL,
			"it is no regular file");
	job->size = (uint64_t)st.st_size;
	if (!job->expected)
		return 0;
	r = digest_fd(job->fd, 0, job->size, &job->digest);
	if (r < 0)
		return refuse_errno(diag, r, job->path, NULL, "reading");
	if (digest_equal(&job->digest, &job->expect))
		return 0;
	digest_format(&job->expect, want);
	digest_format(&job->digest, got);
	return REFUSE(
		job, diag, NULL, RULE_DIGEST, "its SHA-256 is %s, and %s was asked for", got, want);
}

/* A file of the .dist-info directory into `parse`, whose complaint becomes the member's. */
static int read_info(struct wheel_job *job, struct archive *a, const char *base,
	enum wheel_rule rule,
	int (*parse)(const char *text, size_t n, struct manifest *m, struct diag *diag),
	struct manifest *m, struct diag *diag)
{
	const struct plan_file *f = plan_find_info(&job->plan, base);
	struct diag reason = {0};
	auto_str struct str text = {0};
	int r;

	if (!f)
		return REFUSE(job, diag, job->plan.info, rule, "it has no %s", base);
	r = archive_slurp(a, f->member, TEXT_MAX, &text, diag);
	if (r < 0)
		return r;
	r = parse(text.p ? text.p : "", text.len, m, &reason);
	if (r < 0 && r != -ENOMEM)
		return REFUSE(job, diag, f->name, rule, "%s", diag_text(&reason, r));
	return r;
}

static int read_facts(
	struct wheel_job *job, struct archive *a, struct manifest *m, struct diag *diag)
{
	int r;

	r = read_info(job, a, "METADATA", RULE_IDENTITY, metadata_parse, m, diag);
	if (r < 0)
		return r;
	if (strcmp(m->name, job->name.name) != 0 ||
		!version_equal(m->version, strlen(m->version), job->name.version,
			strlen(job->name.version)))
		return REFUSE(job, diag, plan_find_info(&job->plan, "METADATA")->name,
			RULE_IDENTITY, "it is of %s %s, and the file name says %s %s", m->name,
			m->version, job->name.name, job->name.version);
	r = read_info(job, a, "WHEEL", RULE_IDENTITY, wheel_file_parse, m, diag);
	if (r == 0 && plan_find_info(&job->plan, "entry_points.txt"))
		r = read_info(job, a, "entry_points.txt", RULE_SCHEME, entry_points_parse, m, diag);
	if (r == 0)
		r = plan_drop_wrappers(&job->plan, m);
	if (r < 0)
		return r;
	m->info = strdup(job->plan.info);
	return m->info ? 0 : -ENOMEM;
}

static int read_record(struct wheel_job *job, struct archive *a, struct diag *diag)
{
	const struct plan_file *f = plan_find_info(&job->plan, "RECORD");
	auto_str struct str text = {0};
	int r;

	if (!f)
		return REFUSE(job, diag, job->plan.info, RULE_RECORD, "it has no RECORD");
	r = archive_slurp(a, f->member, RECORD_MAX, &text, diag);
	if (r < 0)
		return r;
	return plan_record(&job->plan, &job->zip, text.p ? text.p : "", text.len, job->path, diag);
}

/* Scripts whose first line asks for an interpreter are stored with a plain one, so their size is
 * not the member's. */
static int read_scripts(struct wheel_job *job, struct archive *a, struct diag *diag)
{
	uint64_t total = 0;

	for (size_t i = 0; i < job->plan.n; i++) {
		struct plan_file *f = &job->plan.files[i];
		auto_str struct str text = {0}, plain = {0};
		char head[HEAD];
		ssize_t k;
		int r;

		if (!f->script || f->tree == PLAN_LEFT_OUT)
			continue;
		k = archive_head(a, f->member, head, sizeof head, diag);
		if (k < 0)
			return (int)k;
		if (!script_wants_python(head, (size_t)k))
			continue;
		total += member_of(job, f)->size;
		if (total > SCRIPTS_MAX)
			return REFUSE(job, diag, f->name, RULE_SIZE,
				"the Python scripts together are larger than %zu MiB",
				SCRIPTS_MAX / MIB);
		r = archive_slurp(a, f->member, TEXT_MAX, &text, diag);
		if (r == 0)
			r = script_normalize(text.p, text.len, &plain);
		if (r == -EINVAL)
			return REFUSE(
				job, diag, f->name, RULE_SCHEME, "its first line is malformed");
		if (r < 0)
			return r;
		f->text_size = plain.len;
		f->text = str_steal(&plain);
		if (!f->text)
			return -ENOMEM;
	}
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct plan_file *x = *(struct plan_file *const *)a,
			       *y = *(struct plan_file *const *)b;

	return x->tree != y->tree ? x->tree - y->tree : path_compare(x->path, y->path);
}

/* The entries in the order they keep, so that a file knows its entry by number. */
static int make_entries(struct wheel_job *job, struct manifest *m)
{
	auto_free struct plan_file **files = calloc(job->plan.n + 1, sizeof(*files));
	size_t n = 0;

	m->entries = calloc(job->plan.n + 1, sizeof *m->entries);
	if (!files || !m->entries)
		return -ENOMEM;
	for (size_t i = 0; i < job->plan.n; i++)
		if (job->plan.files[i].tree != PLAN_LEFT_OUT)
			files[n++] = &job->plan.files[i];
	qsort(files, n, sizeof *files, by_place);
	for (size_t i = 0; i < n; i++) {
		struct entry *e = &m->entries[i];

		files[i]->entry = i;
		e->path = strdup(files[i]->path);
		e->size = files[i]->text ? files[i]->text_size : member_of(job, files[i])->size;
		e->tree = files[i]->tree;
		e->exec = files[i]->exec;
		if (!e->path)
			return -ENOMEM;
		m->n_entries++;
	}
	return 0;
}

static int start_dist(struct wheel_job *job, struct manifest **m, struct diag *diag)
{
	struct diag reason = {0};
	const struct manifest *sorted;
	int r = manifest_sort(*m, &reason);

	/* paths were judged before, so it is an entry point that is there twice */
	if (r == -EEXIST)
		return REFUSE(job, diag, NULL, RULE_SCHEME, "%s", diag_text(&reason, r));
	if (r == 0)
		r = ingest_dist_new(job->in, steal_ptr(*m), &job->dist, &reason);
	if (r < 0)
		return diag_set(diag, r, "%s: %s", job->path, diag_text(&reason, r));
	sorted = ingest_dist_manifest(job->dist);
	for (size_t i = 0; i < job->plan.n; i++) {
		const struct plan_file *f = &job->plan.files[i];

		if (f->tree != PLAN_LEFT_OUT &&
			(f->entry >= sorted->n_entries ||
				strcmp(sorted->entries[f->entry].path, f->path) != 0))
			return diag_set(
				diag, -EPROTO, "%s: the manifest was sorted otherwise", job->path);
	}
	return 0;
}

/* Large members one by one, the others in runs, in the manifest's order: they lie so in the pack,
 * and about so in the archive. */
static int cut(struct wheel_job *job)
{
	struct wheel_piece *p;
	uint64_t left = job->size;

	job->order = calloc(job->plan.n + 1, sizeof *job->order);
	job->pieces = calloc(job->plan.n + 2, sizeof *job->pieces);
	if (!job->order || !job->pieces)
		return -ENOMEM;
	p = job->pieces;
	for (int large = 0; large < 2; large++)
		for (size_t i = 0; i < job->plan.n; i++) {
			const struct zip_member *m = member_of(job, &job->plan.files[i]);

			if (job->plan.files[i].unrecorded || (m->size >= PIECE_ALONE) != large)
				continue;
			if (p->n && (large || p->cost >= PIECE_BYTES || p->n >= PIECE_FILES))
				p++;
			if (!p->n)
				p->first = job->n_order;
			job->order[job->n_order++] = i;
			p->n++;
			p->cost += m->size;
			p->packed += m->packed;
			left -= m->packed < left ? m->packed : left;
		}
	if (p->n)
		p++;
	if (!job->expected)
		*p++ = (struct wheel_piece){.cost = job->size / DIGEST_COST};
	job->n_pieces = (size_t)(p - job->pieces);
	job->overhead = left;
	return 0;
}

int wheel_job_open(struct wheel_job *job, struct archive **ret, struct diag *diag)
{
	auto_of(manifest) struct manifest *m = NULL;
	auto_of(archive) struct archive *a = NULL;
	struct diag reason = {0};
	int r;

	if ((r = open_file(job, diag)) < 0)
		return r;
	r = wheel_name_parse(path_base(job->path), &job->name, &reason);
	if (r == -EINVAL)
		return REFUSE(job, diag, NULL, RULE_IDENTITY, "%s", diag_text(&reason, r));
	if (r < 0 || (r = zip_index_read(job->fd, job->size, job->path, &job->zip, diag)) < 0)
		return r;
	r = plan_make(&job->zip, job->size, &job->name, job->path, &job->plan, diag);
	if (r < 0)
		return r;
	r = archive_open(job->fd, job->size, &job->zip, job->path, &a, diag);
	if (r < 0)
		return r;
	m = calloc(1, sizeof *m);
	if (!m)
		return -ENOMEM;
	if ((r = read_record(job, a, diag)) < 0 || (r = read_facts(job, a, m, diag)) < 0 ||
		(r = read_scripts(job, a, diag)) < 0 || (r = make_entries(job, m)) < 0 ||
		(r = start_dist(job, &m, diag)) < 0 || (r = cut(job)) < 0)
		return r;
	*ret = steal_ptr(a);
	return 0;
}

struct sink {
	struct hasher *hasher; /* SHA-256 of the bytes */
	struct hasher *other;  /* where RECORD has another hash */
	int fd;		       /* -1: they go nowhere */
	off_t off;
	bool failed; /* to write, not to be right */
};

static int take(void *arg, const void *buf, size_t n)
{
	struct sink *s = arg;
	int r = hasher_add(s->hasher, buf, n);

	if (r == 0 && s->other)
		r = hasher_add(s->other, buf, n);
	if (r == 0 && s->fd >= 0) {
		r = io_pwrite_full(s->fd, buf, n, s->off);
		s->off += (off_t)n;
	}
	s->failed = r < 0;
	return r;
}

/* Through the sink, and against RECORD's hash. */
static int read_member(struct wheel_job *job, const struct plan_file *f, struct archive *a,
	struct sink *s, struct digest *ret, struct diag *diag)
{
	auto_of(hasher) struct hasher *other = NULL;
	uint8_t got[HASH_SIZE_MAX];
	struct digest digest;
	int r;

	if (f->kind != HASH_SHA256) {
		other = s->other = hasher_new();
		if (!other)
			return -ENOMEM;
		r = hasher_begin_kind(other, f->kind);
		if (r < 0)
			return refuse_errno(diag, r, job->path, f->name, "hashing");
	}
	if ((r = hasher_begin(s->hasher)) < 0)
		return refuse_errno(diag, r, job->path, f->name, "hashing");
	r = archive_read(a, f->member, take, s, diag);
	if (r < 0)
		return s->failed ? refuse_errno(diag, r, job->path, f->name, "storing it") : r;
	r = hasher_end(s->hasher, &digest);
	if (r == 0 && other)
		r = hasher_end_kind(other, f->kind, got);
	if (r < 0)
		return refuse_errno(diag, r, job->path, f->name, "hashing");
	if (memcmp(other ? got : digest.b, f->hash, hash_size(f->kind)) != 0)
		return REFUSE(job, diag, f->name, RULE_RECORD, "its hash is not RECORD's");
	*ret = digest;
	return 0;
}

static int store_member(struct wheel_job *job, const struct plan_file *f, struct archive *a,
	struct hasher *h, struct diag *diag)
{
	struct sink s = {.hasher = h, .fd = -1};
	struct digest digest;
	off_t off;
	int r, fd, done;

	if (f->tree == PLAN_LEFT_OUT)
		return read_member(job, f, a, &s, &digest, diag);
	if (f->text && (r = read_member(job, f, a, &s, &digest, diag)) < 0)
		return r;
	r = ingest_dist_file(job->dist, f->entry, &fd, &off);
	if (r < 0)
		return refuse_errno(diag, r, job->path, f->name, "storing it");
	s.fd = fd;
	s.off = off;
	if (!f->text) {
		r = read_member(job, f, a, &s, &digest, diag);
	} else {
		r = io_pwrite_full(fd, f->text, f->text_size, off);
		if (r == 0)
			r = digest_buf(f->text, f->text_size, &digest);
		if (r < 0)
			refuse_errno(diag, r, job->path, f->name, "storing it");
	}
	if (r == 0)
		ingest_dist_manifest(job->dist)->entries[f->entry].digest = digest;
	done = ingest_dist_file_done(job->dist, f->entry, fd);
	if (r == 0 && done < 0)
		r = refuse_errno(diag, done, job->path, f->name, "storing it");
	return r;
}

int wheel_job_run(struct wheel_job *job, const struct wheel_piece *piece, struct archive **archive,
	struct hasher *h, struct diag *diag)
{
	int r = 0;

	if (!piece->n) {
		r = digest_fd(job->fd, 0, job->size, &job->digest);
		return r < 0 ? refuse_errno(diag, r, job->path, NULL, "reading") : 0;
	}
	if (!*archive)
		r = archive_open(job->fd, job->size, &job->zip, job->path, archive, diag);
	for (size_t i = 0; r == 0 && i < piece->n; i++)
		r = store_member(
			job, &job->plan.files[job->order[piece->first + i]], *archive, h, diag);
	return r;
}

int wheel_job_finish(struct wheel_job *job, struct digest *ret_address, struct diag *diag)
{
	struct diag reason = {0};
	int r = ingest_dist_done(steal_ptr(job->dist), job->named ? path_base(job->path) : NULL,
		job->named ? &job->digest : NULL, ret_address, &reason);

	return r < 0 ? diag_set(diag, r, "%s: %s", job->path, diag_text(&reason, r)) : 0;
}

void wheel_job_clear(struct wheel_job *job)
{
	if (job->dist)
		ingest_dist_free(job->dist);
	plan_free(&job->plan);
	zip_index_free(&job->zip);
	wheel_name_free(&job->name);
	free(job->order);
	free(job->pieces);
	free(job->path);
	cleanup_close(&job->fd);
	*job = (struct wheel_job){.fd = -1};
}
