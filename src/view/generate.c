/* SPDX-License-Identifier: MIT
 *
 * Nothing here is stored anywhere: an environment that was moved, cloned or given another prompt
 * shows the right text at once. RECORD is what pip would have written when installing without
 * compiling: sorted rows, with the digests of the scripts as this environment has them.
 */
#include "view/generate.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "py/record.h"
#include "py/scheme.h"
#include "py/script.h"
#include "view/activate.h"
#include "view/scripts.h"

#include <string.h>

/* venv's own (CPython 3.13), byte for byte */
static const char gitignore[] =
	"# Created by venv; see https://docs.python.org/3/library/venv.html\n*\n";

/* https://bford.info/cachedir/ */
static const char cache_tag[] =
	"Signature: 8a477f597d28d172789f06886806bc55\n"
	"# Environments as venvfs shows them. What is private in them lies behind the mount, where this file\n"
	"# is not: save that (docs/surroundings.md). Delete this file, and backups take all that shows.\n";

static int python_path(const struct generate_env *env, struct str *out)
{
	return str_addf(out, "%s/bin/python", env->path);
}

static int script(struct dist *d, size_t i, const struct generate_env *env, struct str *out)
{
	auto_str struct str python = {0}, text = {0};
	int r = python_path(env, &python);

	if (r == 0)
		r = dist_slurp(d, i, SIZE_MAX, &text);
	return r < 0 ? r : script_render(python.p, text.p, text.len, out);
}

static int entry_point(struct dist *d, size_t i, const struct generate_env *env, struct str *out)
{
	auto_str struct str python = {0};
	int r = python_path(env, &python);

	return r < 0 ? r : script_entry_point(python.p, d->manifest->entry_points[i].target, out);
}

static int installer(const struct lock_line *line, struct str *out)
{
	int r = str_add(out, line->installer ? line->installer : "");

	return r < 0 ? r : str_add(out, "\n");
}

struct row {
	char *path;
	struct digest digest;
	uint64_t size;
	bool bare; /* neither digest nor size */
	size_t seq;
};

struct rows {
	struct row *p;
	size_t n, cap;
};

static void rows_free(struct rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		free(rows->p[i].path);
	free(rows->p);
}

static int row_compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int c = strcmp(x->path, y->path);

	return c ? c : x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* `path`, from the environment, as seen from `site`. */
static int relative(const char *site, const char *path, struct str *out)
{
	const char *a = site, *b = path, *x, *y = path;
	size_t n, k;
	int r = 0;

	for (;;) {
		const char *rest = a;

		x = path_next(&a, &n);
		y = path_next(&b, &k);
		if (!x || !y || n != k || memcmp(x, y, n) != 0) {
			a = rest;
			break;
		}
	}
	while (r == 0 && path_next(&a, &n))
		r = str_add(out, "../");
	return r < 0 || !y ? r : str_add(out, y);
}

/* Row of a file at `dir`/`path`, seen from `site`; `dir` NULL: the path is as it is to be. */
static int add_row(struct rows *rows, const char *site, const char *dir, const char *path,
	const struct digest *digest, uint64_t size)
{
	auto_str struct str from = {0}, shown = {0};
	struct row row = {.size = size, .seq = rows->n};
	int r = 0;

	if (dir) {
		r = str_addf(&from, "%s%s%s", dir, *dir ? "/" : "", path);
		if (r == 0)
			r = relative(site, from.p, &shown);
	} else {
		r = str_add(&shown, path);
	}
	if (r < 0)
		return r;
	if (digest)
		row.digest = *digest;
	else
		row.bare = true;
	row.path = str_steal(&shown);
	if (!row.path || array_grow(rows->p, rows->cap, rows->n + 1) < 0) {
		free(row.path);
		return -ENOMEM;
	}
	rows->p[rows->n++] = row;
	return 0;
}

static int add_text_row(struct rows *rows, const char *site, const char *dir, const char *path,
	const struct str *text)
{
	struct digest digest;
	int r = digest_buf(text->p ? text->p : "", text->len, &digest);

	return r < 0 ? r : add_row(rows, site, dir, path, &digest, text->len);
}

static int add_file_rows(struct dist *d, const struct interpreter *py,
	const struct generate_env *env, const char *site, struct rows *rows)
{
	const struct manifest *m = d->manifest;
	int r = 0;

	for (int t = TREE_SITE; r == 0 && t < TREE_PYC; t++) {
		auto_str struct str dir = {0};
		size_t first, end;

		manifest_tree(m, t, &first, &end);
		if (first < end)
			r = scheme_dir(py, t, m->name, &dir);
		for (size_t i = first; r == 0 && i < end; i++) {
			const struct entry *e = &m->entries[i];

			if (t == TREE_BIN && script_is_python(d, i)) {
				auto_str struct str text = {0};

				r = script(d, i, env, &text);
				if (r == 0)
					r = add_text_row(rows, site, dir.p, e->path, &text);
			} else {
				r = add_row(rows, site,
					t == TREE_SITE ? NULL
					: dir.p	       ? dir.p
						       : "",
					e->path, &e->digest, e->size);
			}
		}
	}
	return r;
}

static int add_script_rows(struct dist *d, const struct interpreter *py,
	const struct generate_env *env, const char *site, struct rows *rows)
{
	const struct manifest *m = d->manifest;
	struct script_names versions;
	auto_str struct str bin = {0};
	int r = scheme_dir(py, TREE_BIN, m->name, &bin);

	script_names_init(py, &versions);
	for (size_t i = 0; r == 0 && i < m->n_entry_points; i++) {
		const char *names[SCRIPT_NAMES_MAX];
		size_t n = script_names_of(&versions, m, i, names);
		auto_str struct str text = {0};

		r = entry_point(d, i, env, &text);
		for (size_t k = 0; r == 0 && k < n; k++)
			r = add_text_row(rows, site, bin.p, names[k], &text);
	}
	return r;
}

static int add_info_row(
	struct rows *rows, const char *info, const char *name, const struct str *text)
{
	auto_str struct str path = {0};
	int r = str_addf(&path, "%s/%s", info, name);

	if (r < 0)
		return r;
	return text ? add_text_row(rows, NULL, NULL, path.p, text)
		    : add_row(rows, NULL, NULL, path.p, NULL, 0);
}

static int add_info_rows(
	struct lower *l, const struct manifest *m, const struct lock_line *line, struct rows *rows)
{
	int r = add_info_row(rows, m->info, "RECORD", NULL);

	if (r == 0 && line->installer) {
		auto_str struct str text = {0};

		r = installer(line, &text);
		if (r == 0)
			r = add_info_row(rows, m->info, "INSTALLER", &text);
	}
	if (r == 0 && line->requested)
		r = add_info_row(rows, m->info, "REQUESTED", &(struct str){0});
	if (r == 0 && line->has_origin) {
		auto_str struct str text = {0};

		r = store_blob_get(lower_store(l), &line->origin, &text);
		if (r == 0)
			r = add_info_row(rows, m->info, "direct_url.json", &text);
	}
	return r;
}

static int record(struct lower *l, size_t index, const struct generate_env *env, struct str *out)
{
	struct dist *d = lower_dist(l, index);
	const struct interpreter *py = lower_interpreter(l);
	__attribute__((cleanup(rows_free))) struct rows rows = {0};
	auto_str struct str site = {0};
	int r = scheme_dir(py, TREE_SITE, d->manifest->name, &site);

	if (r == 0)
		r = add_file_rows(d, py, env, site.p, &rows);
	if (r == 0)
		r = add_script_rows(d, py, env, site.p, &rows);
	if (r == 0)
		r = add_info_rows(l, d->manifest, lower_line(l, index), &rows);
	if (r < 0)
		return r;
	qsort(rows.p, rows.n, sizeof *rows.p, row_compare);
	for (size_t i = 0; r == 0 && i < rows.n; i++) {
		const struct row *row = &rows.p[i];

		/* an entry point's script over a file of that name: the last one is there */
		if (i + 1 < rows.n && strcmp(row->path, rows.p[i + 1].path) == 0)
			continue;
		r = record_add(out, row->path, row->bare ? NULL : &row->digest, row->size);
	}
	return r;
}

static int text_of(struct lower *l, const struct lower_entry *e, const struct generate_env *env,
	struct str *out)
{
	switch ((enum generated)e->generated) {
	case GEN_ENTRY_POINT:
		return entry_point(lower_dist(l, e->dist), e->index, env, out);
	case GEN_SCRIPT:
		return script(lower_dist(l, e->dist), e->index, env, out);
	case GEN_RECORD:
		return record(l, e->dist, env, out);
	case GEN_INSTALLER:
		return installer(lower_line(l, e->dist), out);
	case GEN_REQUESTED:
		return 0;
	case GEN_ORIGIN: {
		auto_str struct str text = {0};
		int r = store_blob_get(lower_store(l), &lower_line(l, e->dist)->origin, &text);

		return r < 0 ? r : str_add_mem(out, text.p, text.len);
	}
	case GEN_ACTIVATE:
		return activate_render(lower_interpreter(l), e->name, env, out);
	case GEN_GITIGNORE:
		return str_add(out, gitignore);
	case GEN_CACHE_TAG:
		return str_add(out, cache_tag);
	}
	return -EINVAL;
}

int generate(struct lower *l, const struct lower_entry *e, const struct generate_env *env,
	struct str *out)
{
	size_t before = out->len;
	int r = text_of(l, e, env, out);

	if (r < 0)
		str_truncate(out, before);
	return r;
}

mode_t generate_mode(const struct lower_entry *e)
{
	if (e->generated == GEN_ENTRY_POINT)
		return 0755;
	if (e->generated == GEN_SCRIPT && e->file_dist->manifest->entries[e->index].exec)
		return 0755;
	return 0644;
}
