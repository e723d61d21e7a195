/* SPDX-License-Identifier: MIT
 *
 * uv resolves pins without their dependencies and writes down where the files are: a lock file,
 * which is then read as any other.
 */
#include "cmd/index.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cmd/download.h"
#include "cmd/progress.h"
#include "py/name.h"
#include "py/process.h"
#include "py/wheel.h"

#include <fcntl.h>
#include <string.h>

enum { OUT_MAX = 64 * 1024 * 1024 };

/* The first complaint, as one line. */
static void complaint(const char *err, struct diag *diag)
{
	size_t n = 0;

	for (; err && *err && n + 1 < sizeof diag->text; err++) {
		char c = (unsigned char)*err < 0x20 || *err == 0x7f ? ' ' : *err;

		if (c != ' ' || (n && diag->text[n - 1] != ' '))
			diag->text[n++] = c;
	}
	while (n && diag->text[n - 1] == ' ')
		n--;
	diag->text[n] = '\0';
}

int index_run_uv(struct sync *s, const char *in, const char *out, struct diag *diag)
{
	auto_free char *from = NULL, *to = NULL;
	auto_str struct str err = {0};
	struct diag why = {{0}};
	int status = 0, r;

	if (asprintf(&from, "%s/%s", s->work.path, in) < 0)
		return from = NULL, -ENOMEM;
	if (asprintf(&to, "%s/%s", s->work.path, out) < 0)
		return to = NULL, -ENOMEM;
	r = process_run(
		(const char *const[]){"uv", "pip", "compile", "--quiet", "--color", "never",
			"--no-deps", "--no-header", "--no-annotate", "--python", s->py->executable,
			"--format", "pylock.toml", "--output-file", to, from, NULL},
		NULL, 0, NULL, &err, &status, &why);
	if (r < 0)
		return diag_set(diag, r, "%s", diag_text(&why, r));
	if (status == 0)
		return 0;
	complaint(err.p, &why);
	return diag_set(diag, -EIO, "uv: %s", why.text[0] ? why.text : "it failed");
}

static bool is_open(const struct want *w)
{
	return w->kind == WANT_PIN && !w->found && !w->fault.text[0];
}

/* Copies of the open pins, for their hashes. */
static int open_pins(struct sync *s, struct wants *ret, struct str *text)
{
	int r = s->options.len ? str_add(text, s->options.p) : 0;

	for (size_t i = 0; r == 0 && i < s->wants.n; i++) {
		const struct want *w = &s->wants.list[i];
		struct want copy = {.kind = WANT_PIN};

		if (!is_open(w))
			continue;
		r = str_addf(text, "%s==%s\n", w->name, w->version);
		copy.name = strdup(w->name);
		copy.hashes = calloc(w->n_hashes + 1, sizeof *copy.hashes);
		if (!copy.name || !copy.hashes)
			r = -ENOMEM;
		if (r == 0 && w->n_hashes) {
			memcpy(copy.hashes, w->hashes, w->n_hashes * sizeof *copy.hashes);
			copy.n_hashes = w->n_hashes;
		}
		if (r == 0)
			r = wants_add(ret, &copy);
		want_clear(&copy);
	}
	return r;
}

static void take(struct want *w, struct want *located)
{
	w->kind = located->kind;
	w->has_digest = located->has_digest;
	w->digest = located->digest;
	w->size = located->size;
	free(w->file);
	free(w->url);
	free(w->path);
	free(w->subdirectory);
	w->file = steal_ptr(located->file);
	w->url = steal_ptr(located->url);
	w->path = steal_ptr(located->path);
	w->subdirectory = steal_ptr(located->subdirectory);
}

/* A pin that uv says nothing of stays one. */
static void merge(struct sync *s, struct wants *located)
{
	for (size_t i = 0; i < s->wants.n; i++) {
		struct want *w = &s->wants.list[i];

		for (size_t k = 0; is_open(w) && k < located->n; k++) {
			struct want *l = &located->list[k];

			if ((l->kind == WANT_WHEEL || l->kind == WANT_SDIST) && l->name &&
				strcmp(l->name, w->name) == 0 && l->version &&
				version_matches(w->version, l->version, strlen(l->version)))
				take(w, l);
		}
	}
}

int index_locate(struct sync *s, struct diag *diag)
{
	struct wants open = {0}, located = {0};
	auto_str struct str text = {0};
	auto_free char *file = NULL;
	struct diag why = {{0}};
	int r = open_pins(s, &open, &text);

	if (r < 0 || open.n == 0 || !index_by_uv(s->asker)) {
		wants_free(&open);
		return r;
	}
	r = workdir_make(&s->work, diag);
	if (r == 0)
		r = io_publish_at(s->work.fd, "pins.in", text.p, text.len, 0600);
	if (r == 0 && asprintf(&file, "%s/pylock.toml", s->work.path) < 0) {
		file = NULL;
		r = -ENOMEM;
	}
	if (r == 0) {
		progress_show("asking the package index for %zu distributions", open.n);
		r = index_run_uv(s, "pins.in", "pylock.toml", &why);
		if (r == 0)
			r = chooser_lock(&s->chooser, file, &open, &located, &s->faults, &why);
		if (r == 0)
			merge(s, &located);
		/* What it can not do pip may, and if not, pip names each. */
		else if (r != -ENOMEM && !s->faults.len && s->asker == ASK_BEST)
			r = 0;
		else
			diag_set(diag, r, "%s", diag_text(&why, r));
	}
	progress_clear();
	wants_free(&open);
	wants_free(&located);
	return r;
}

/* A library by uv: its address is what stands in front of the file's name in the lock. */
static int library_url(const char *text, const char *file, char **ret)
{
	const char *at = strstr(text, file), *start = at;

	while (start && start > text && start[-1] != '"')
		start--;
	if (!at || start == text || at[strlen(file)] != '"')
		return -ENOENT;
	*ret = strndup(start, (size_t)(at - start) + strlen(file));
	return *ret ? 0 : -ENOMEM;
}

static int add_library(struct sync *s, const char *dir, const char *file,
	const struct digest *digest, struct diag *diag)
{
	auto_free char *path = NULL;
	struct digest address, wheel;
	struct ingest *in = NULL;
	int r;

	if (asprintf(&path, "%s/%s", dir, file) < 0)
		return path = NULL, -ENOMEM;
	r = ingest_begin(s->ctx->store, &in, diag);
	if (r == 0)
		r = wheel_ingest(in, path, digest, 0, &address, &wheel, diag);
	if (r == 0)
		r = ingest_commit(in, diag);
	if (in)
		ingest_free(in);
	return r;
}

static int by_uv(struct sync *s, const char *dir, const char *requirement, const char *file,
	const struct digest *digest, struct diag *diag)
{
	auto_str struct str text = {0};
	auto_free char *url = NULL;
	struct download d = {.file = file, .has_digest = true, .digest = *digest};
	int r = io_publish_at(s->work.fd, "library.in", requirement, strlen(requirement), 0600);

	if (r == 0)
		r = index_run_uv(s, "library.in", "pylock.library.toml", diag);
	if (r == 0)
		r = io_slurp_at(s->work.fd, "pylock.library.toml", OUT_MAX, &text);
	if (r == 0)
		r = library_url(text.p ? text.p : "", file, &url);
	if (r < 0)
		return r;
	d.url = url;
	r = download_all(dir, &d, 1, NULL, diag);
	if (r == 0 && d.err < 0)
		r = diag_set(diag, d.err, "%s", diag_text(&d.diag, d.err));
	return r;
}

int index_fetch_library(void *arg, const char *name, const char *version, const char *file,
	const struct digest *digest, struct diag *diag)
{
	struct sync *s = arg;
	auto_free char *dir = NULL, *requirement = NULL;
	char hex[DIGEST_HEX + 1];
	int r = workdir_make(&s->work, diag);

	if (r == 0)
		r = workdir_sub(&s->work, "library", &dir, diag);
	if (r < 0)
		return r;
	if (asprintf(&requirement, "%s==%s\n", name, version) < 0)
		return requirement = NULL, -ENOMEM;
	r = -ENOENT;
	if (index_by_uv(s->asker))
		r = by_uv(s, dir, requirement, file, digest, NULL);
	if (r < 0) {
		auto_free char *held = NULL;

		digest_format(digest, hex);
		if (asprintf(&held, "%s==%s --hash=sha256:%s\n", name, version, hex) < 0)
			return held = NULL, -ENOMEM;
		r = index_run_pip(s, dir, "library.txt", held, diag);
	}
	return r < 0 ? r : add_library(s, dir, file, digest, diag);
}
