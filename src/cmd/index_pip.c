/* SPDX-License-Identifier: MIT
 *
 * pip downloads one file after the other, so several are run beside each other, each with a part
 * of the pins. A pip that meets one fault ends without telling of others: then each pin of its part
 * is asked for alone, so that every fault is named.
 */
#include "cmd/index.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cmd/pip.h"
#include "cmd/progress.h"
#include "py/name.h"
#include "py/wheel.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

enum { PIPS = 4, PART_MAX = 12 };

struct part {
	struct want *wants[PART_MAX];
	size_t n;
};

struct parts {
	struct sync *s;
	struct part *list;
	size_t n;
	_Atomic size_t next;
	_Atomic int err; /* what stops it all */
};

int index_run_pip(
	struct sync *s, const char *dir, const char *name, const char *text, struct diag *diag)
{
	auto_free char *file = NULL;
	int r = io_publish_at(s->work.fd, name, text, strlen(text), 0600);

	if (r < 0)
		return diag_errno(diag, r, "can not write into %s", s->work.path);
	if (asprintf(&file, "%s/%s", s->work.path, name) < 0)
		return file = NULL, -ENOMEM;
	return pip_run(s->py,
		(const char *const[]){"download", "--quiet", "--no-deps", "--dest", dir,
			"--requirement", file, NULL},
		diag);
}

static int add_requirement(const struct want *w, struct str *text)
{
	char hex[DIGEST_HEX + 1];
	int r = str_addf(text, "%s==%s", w->name, w->version);

	for (size_t i = 0; r == 0 && i < w->n_hashes; i++) {
		digest_format(&w->hashes[i], hex);
		r = str_addf(text, " --hash=sha256:%s", hex);
	}
	return r == 0 ? str_add(text, "\n") : r;
}

/* Whether a source distribution's file name is of this name and version. */
static bool is_source_of(const char *file, const struct want *w)
{
	static const char *const ends[] = {".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz"};
	size_t n = 0;

	for (size_t i = 0; i < sizeof ends / sizeof *ends && n == 0; i++)
		if (str_ends(file, ends[i]))
			n = strlen(file) - strlen(ends[i]);
	for (size_t i = 1; i + 1 < n; i++) {
		auto_str struct str name = {0};

		if (file[i] == '-' && name_normalize(file, i, &name) == 0 &&
			strcmp(name.p, w->name) == 0 &&
			version_matches(w->version, file + i + 1, n - i - 1))
			return true;
	}
	return false;
}

static bool is_wheel_of(const char *file, const struct want *w)
{
	struct wheel_name name;
	bool same;

	if (!str_ends(file, ".whl") || wheel_name_parse(file, &name, NULL) < 0)
		return false;
	same = strcmp(name.name, w->name) == 0;
	wheel_name_free(&name);
	return same;
}

/* What it is built to is remembered by its digest. */
static int learn_digest(struct want *w)
{
	auto_close int fd = open(w->path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	r = digest_fd(fd, 0, (uint64_t)st.st_size, &w->digest);
	w->has_digest = r == 0;
	return r;
}

static int take(struct want *w, const char *dir, const char *file, enum want_kind kind)
{
	free(w->file);
	free(steal_ptr(w->path));
	w->file = strdup(file);
	if (!w->file || asprintf(&w->path, "%s/%s", dir, file) < 0) {
		w->path = NULL;
		return -ENOMEM;
	}
	w->kind = kind;
	w->has_digest = false;
	free(steal_ptr(w->url));
	return kind == WANT_SDIST ? learn_digest(w) : 0;
}

/* Gives each file to the want it is for. */
static int collect(struct sync *s, struct part *p, const char *dir)
{
	auto_closedir DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		for (size_t i = 0; i < p->n; i++) {
			struct want *w = p->wants[i];
			bool wheel;
			int r;

			if (w->kind != WANT_PIN)
				continue;
			wheel = is_wheel_of(e->d_name, w);
			if (!wheel && !is_source_of(e->d_name, w))
				continue;
			r = take(w, dir, e->d_name, wheel ? WANT_WHEEL : WANT_SDIST);
			if (r < 0)
				return r;
			if (s->arrived)
				s->arrived(s, w);
			break;
		}
	}
	return 0;
}

static void fault(struct want *w, int err, const struct diag *why)
{
	struct diag d;

	if (err == -ENOENT)
		err = diag_set(&d, err,
			"it is not in the store, and %s to ask the package index with",
			diag_text(why, err));
	else
		d = *why;
	want_fault(w, &d, err);
}

static int fetch_one(
	struct sync *s, struct want *w, const char *dir, const char *name, struct part *p)
{
	auto_str struct str text = {0};
	struct diag why = {{0}};
	int r = s->options.len ? str_add(&text, s->options.p) : 0;

	if (r == 0)
		r = add_requirement(w, &text);
	if (r < 0)
		return r;
	r = index_run_pip(s, dir, name, text.p, &why);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		fault(w, r, &why);
	return r < 0 ? 0 : collect(s, p, dir);
}

static int fetch_part(struct sync *s, struct part *p, size_t number)
{
	auto_str struct str text = {0};
	auto_free char *dir = NULL;
	struct diag why = {{0}};
	char name[32];
	int r;

	snprintf(name, sizeof name, "pip-%zu", number);
	r = workdir_sub(&s->work, name, &dir, &why);
	snprintf(name, sizeof name, "pip-%zu.txt", number);
	if (r == 0 && p->n > 1) {
		if (s->options.len)
			r = str_add(&text, s->options.p);
		for (size_t i = 0; r == 0 && i < p->n; i++)
			r = add_requirement(p->wants[i], &text);
		if (r == 0 && index_run_pip(s, dir, name, text.p, &why) == 0)
			r = collect(s, p, dir);
	}
	for (size_t i = 0; r == 0 && i < p->n; i++)
		if (p->wants[i]->kind == WANT_PIN)
			r = fetch_one(s, p->wants[i], dir, name, p);
	for (size_t i = 0; r == 0 && i < p->n; i++)
		if (p->wants[i]->kind == WANT_PIN)
			want_fault(p->wants[i],
				&(struct diag){"pip downloaded something else in its place"}, -EIO);
	return r;
}

static void *work(void *arg)
{
	struct parts *parts = arg;
	size_t i;

	while ((i = atomic_fetch_add(&parts->next, 1)) < parts->n && parts->err == 0) {
		int r = fetch_part(parts->s, &parts->list[i], i);

		if (r < 0)
			parts->err = r;
	}
	return NULL;
}

/* pip takes a file with hashes for every line or for none. */
static size_t divide(struct sync *s, struct part *list, size_t n, size_t size, bool hashed)
{
	for (size_t i = 0; i < s->wants.n; i++) {
		struct want *w = &s->wants.list[i];

		if (w->kind != WANT_PIN || w->found || w->fault.text[0] ||
			(w->n_hashes > 0) != hashed)
			continue;
		if (n == 0 || list[n - 1].n == size ||
			(list[n - 1].wants[0]->n_hashes > 0) != hashed)
			n++;
		list[n - 1].wants[list[n - 1].n++] = w;
	}
	return n;
}

int index_fetch(struct sync *s, struct diag *diag)
{
	struct parts parts = {.s = s};
	pthread_t threads[PIPS];
	size_t open = 0, size, n_threads = 0;
	int r;

	for (size_t i = 0; i < s->wants.n; i++)
		if (s->wants.list[i].kind == WANT_PIN && !s->wants.list[i].found &&
			!s->wants.list[i].fault.text[0])
			open++;
	if (open == 0)
		return 0;
	r = workdir_make(&s->work, diag);
	if (r < 0)
		return r;
	pip_prepare();
	size = (open + PIPS - 1) / PIPS;
	size = size > PART_MAX ? PART_MAX : size;
	parts.list = calloc(open + 1, sizeof *parts.list);
	if (!parts.list)
		return -ENOMEM;
	parts.n = divide(s, parts.list, 0, size, true);
	parts.n = divide(s, parts.list, parts.n, size, false);
	progress_show("pip downloads %zu distributions", open);
	while (n_threads + 1 < PIPS && n_threads + 1 < parts.n &&
		pthread_create(&threads[n_threads], NULL, work, &parts) == 0)
		n_threads++;
	work(&parts);
	while (n_threads)
		pthread_join(threads[--n_threads], NULL);
	free(parts.list);
	return parts.err < 0 ? diag_errno(diag, parts.err, "can not ask the package index") : 0;
}
