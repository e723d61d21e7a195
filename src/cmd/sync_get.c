/* SPDX-License-Identifier: MIT
 *
 * What arrives goes on into the store while the rest is still on its way. Everything that could be
 * had is kept, also where something else could not, so that the next try has less to do; that does
 * no harm, as nothing names it.
 */
#include "cmd/sync.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cmd/download.h"
#include "cmd/progress.h"
#include "py/name.h"
#include "py/wheel.h"

#include <string.h>

struct got {
	char *wheel_path; /* what is on its way into the store; NULL: nothing */
	bool built;	  /* here, from a source */
	bool done;
	int err;
	struct diag diag;
	struct digest address, wheel;
};

struct get {
	struct sync *s;
	struct ingest *in;
	struct wheel_pool *pool;
	struct got *got; /* by want */
	struct want **downloading;
	struct download *downloads;
	size_t n_downloads;
	char *dir; /* of downloads */
	size_t n_open, n_stored;
};

static struct got *got_of(struct get *g, const struct want *w)
{
	return &g->got[w - g->s->wants.list];
}

static void on_stored(void *arg, const struct wheel_result *result)
{
	struct get *g = arg;
	struct got *got = result->tag;

	got->done = true;
	got->err = result->err;
	if (result->err < 0) {
		diag_set(&got->diag, result->err, "%s", diag_text(result->diag, result->err));
	} else {
		got->address = result->address;
		got->wheel = result->wheel;
	}
	progress_show("%zu of %zu distributions are in the store", ++g->n_stored, g->n_open);
	/* Only what this command put there: a lock file can name a wheel of the user's. */
	if (str_starts(result->path, g->s->work.path))
		unlink(result->path);
}

/* `path` is taken over. */
static void store(
	struct get *g, struct want *w, char *path, const struct digest *expect, bool built)
{
	struct got *got = got_of(g, w);
	int r;

	got->wheel_path = path;
	got->built = built;
	/* a build of somebody's own source is not the release that a pin of its name and version
	 * means */
	r = path ? wheel_pool_add(g->pool, path, expect,
			   !built || (w->kind == WANT_SDIST && !w->origin), got)
		 : -ENOMEM;
	if (r < 0) {
		free(steal_ptr(got->wheel_path));
		want_fault(w, NULL, r);
	}
}

static void on_arrived(struct sync *s, struct want *w)
{
	struct get *g = s->get;

	if (w->kind == WANT_WHEEL)
		store(g, w, strdup(w->path), w->has_digest ? &w->digest : NULL, false);
}

static void on_downloaded(void *arg, struct download *d)
{
	struct get *g = arg;
	struct want *w = g->downloading[d - g->downloads];

	if (d->err == -EACCES && w->version && !w->origin) {
		struct digest *hash = malloc(sizeof *hash);

		/* pip knows logins (keyring, its configuration) that a lock file does not: the same
		 * file by name. */
		if (hash) {
			*hash = w->digest;
			free(w->hashes);
			w->hashes = hash;
			w->n_hashes = w->has_digest;
			w->kind = WANT_PIN;
			return;
		}
	}
	if (d->err < 0) {
		want_fault(w, &d->diag, d->err);
		return;
	}
	w->digest = d->digest;
	w->has_digest = true;
	if (asprintf(&w->path, "%s/%s", g->dir, w->file) < 0) {
		w->path = NULL;
		want_fault(w, NULL, -ENOMEM);
		return;
	}
	on_arrived(g->s, w);
}

static void on_bytes(void *arg, uint64_t have, uint64_t total)
{
	struct get *g = arg;

	progress_show("%.1f of %.1f MB downloaded, for %zu distributions", (double)have / 1e6,
		(double)total / 1e6, g->n_open);
}

static bool is_open(const struct want *w)
{
	return !w->found && !w->fault.text[0];
}

static int download(struct get *g, struct diag *diag)
{
	struct download_events events = {.done = on_downloaded, .bytes = on_bytes, .arg = g};
	struct sync *s = g->s;
	int r;

	for (size_t i = 0; i < s->wants.n; i++) {
		struct want *w = &s->wants.list[i];

		if (!is_open(w) || !w->url || (w->kind != WANT_WHEEL && w->kind != WANT_SDIST))
			continue;
		g->downloading[g->n_downloads] = w;
		g->downloads[g->n_downloads++] = (struct download){
			.url = w->url,
			.file = w->file,
			.has_digest = w->has_digest,
			.digest = w->digest,
			.size = w->size,
		};
	}
	if (g->n_downloads == 0)
		return 0;
	r = workdir_sub(&s->work, "files", &g->dir, diag);
	return r < 0 ? r : download_all(g->dir, g->downloads, g->n_downloads, &events, diag);
}

static void build(struct get *g)
{
	struct sync *s = g->s;

	for (size_t i = 0; i < s->wants.n; i++) {
		struct want *w = &s->wants.list[i];
		struct diag why = {{0}};
		char *path = NULL;
		int r;

		if (!is_open(w) || g->got[i].wheel_path ||
			(w->kind != WANT_SDIST && w->kind != WANT_TREE && w->kind != WANT_VCS))
			continue;
		progress_show("building %s", w->name);
		r = build_wheel(s, w, (unsigned)i, &path, &why);
		if (r < 0)
			want_fault(w, &why, r);
		else
			store(g, w, path, NULL, true);
	}
}

static bool is_pinned(const struct want *w, const struct digest *wheel)
{
	for (size_t i = 0; i < w->n_hashes; i++)
		if (digest_equal(&w->hashes[i], wheel))
			return true;
	return w->n_hashes == 0;
}

/* Fills the lock's line of one that is in the store now. */
static int settle(struct get *g, struct want *w)
{
	struct got *got = got_of(g, w);
	struct diag why = {{0}};
	int r;

	if (!got->wheel_path || w->fault.text[0])
		return 0;
	if (!got->done || got->err < 0) {
		want_fault(w, &got->diag, got->err < 0 ? got->err : -EIO);
		return 0;
	}
	if (!got->built && !is_pinned(w, &got->wheel)) {
		want_fault(w, &(struct diag){"its file has none of the pinned hashes"}, -EBADMSG);
		return 0;
	}
	r = want_found_at(g->s->ctx->store, w, &got->address, got->built ? NULL : &got->wheel);
	if (r == -ENOENT) {
		diag_set(&why, r, "%s is a wheel of another name", path_base(got->wheel_path));
		want_fault(w, &why, r);
		return 0;
	}
	if (r < 0)
		return r;
	if (w->version && !version_matches(w->version, w->line.version, strlen(w->line.version))) {
		diag_set(&why, -EINVAL, "%s is of version %s", path_base(got->wheel_path),
			w->line.version);
		w->found = false;
		want_fault(w, &why, -EINVAL);
		return 0;
	}
	g->s->n_added++;
	return got->built ? sync_built(g->s, w, &w->line) : 0;
}

static int run(struct get *g, struct diag *diag)
{
	struct wheel_watch watch = {.done = on_stored, .arg = g};
	struct sync *s = g->s;
	int r = ingest_begin(s->ctx->store, &g->in, diag);

	if (r == 0)
		r = wheel_pool_new(g->in, 0, &watch, &g->pool);
	if (r < 0)
		return r;
	s->get = g;
	s->arrived = on_arrived;
	for (size_t i = 0; i < s->wants.n; i++)
		if (is_open(&s->wants.list[i]) && s->wants.list[i].path)
			on_arrived(s, &s->wants.list[i]);
	r = download(g, diag);
	/* pins that no other way gave a file, and files that want a login */
	if (r == 0)
		r = index_fetch(s, diag);
	if (r == 0)
		build(g);
	wheel_pool_finish(g->pool);
	s->arrived = NULL;
	s->get = NULL;
	if (r == 0)
		r = ingest_commit(g->in, diag);
	progress_clear();
	for (size_t i = 0; r == 0 && i < s->wants.n; i++) {
		r = settle(g, &s->wants.list[i]);
		if (r < 0)
			diag_errno(diag, r, "%s", s->wants.list[i].name);
	}
	return r;
}

int sync_get(struct sync *s, struct diag *diag)
{
	struct get g = {.s = s};
	int r;

	for (size_t i = 0; i < s->wants.n; i++)
		g.n_open += is_open(&s->wants.list[i]);
	if (g.n_open == 0)
		return 0;
	r = workdir_make(&s->work, diag);
	if (r < 0)
		return r;
	g.got = calloc(s->wants.n, sizeof *g.got);
	g.downloads = calloc(s->wants.n, sizeof *g.downloads);
	g.downloading = calloc(s->wants.n, sizeof *g.downloading);
	r = g.got && g.downloads && g.downloading ? run(&g, diag) : -ENOMEM;
	if (g.in)
		ingest_free(g.in);
	for (size_t i = 0; g.got && i < s->wants.n; i++)
		free(g.got[i].wheel_path);
	free(g.got);
	free(g.downloads);
	free(g.downloading);
	free(g.dir);
	return r;
}
