/* SPDX-License-Identifier: MIT
 *
 * The manifest in memory: its order, and what follows from the order. Its text is in
 * manifest_text.c.
 */
#include "store/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int path_compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return 0;
	if (!*a || !*b)
		return *a ? 1 : -1;
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

const char *tree_name(enum tree t)
{
	static const char *const names[N_TREES] = {
		[TREE_SITE] = "site",
		[TREE_BIN] = "bin",
		[TREE_DATA] = "data",
		[TREE_HEADERS] = "headers",
		[TREE_PYC] = "pyc",
	};

	return (unsigned int)t < N_TREES ? names[t] : NULL;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->tree != y->tree ? (int)x->tree - (int)y->tree : path_compare(x->path, y->path);
}

static int compare_tags(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_entry_points(const void *a, const void *b)
{
	const struct entry_point *x = a, *y = b;

	return x->gui != y->gui ? (int)x->gui - (int)y->gui : strcmp(x->name, y->name);
}

static void drop(const struct manifest *m, char *string)
{
	if (!m->one_block)
		free(string);
}

static void sort_tags(struct manifest *m)
{
	size_t kept = 0;

	if (m->n_tags)
		qsort(m->tags, m->n_tags, sizeof *m->tags, compare_tags);
	for (size_t i = 0; i < m->n_tags; i++) {
		if (kept && strcmp(m->tags[kept - 1], m->tags[i]) == 0)
			drop(m, m->tags[i]);
		else
			m->tags[kept++] = m->tags[i];
	}
	m->n_tags = kept;
}

static int sort_entry_points(struct manifest *m, struct diag *diag)
{
	struct entry_point *list = m->entry_points;
	size_t kept = 0;

	if (m->n_entry_points)
		qsort(list, m->n_entry_points, sizeof *list, compare_entry_points);
	for (size_t i = 1; i < m->n_entry_points; i++)
		if (compare_entry_points(&list[i - 1], &list[i]) == 0 &&
			strcmp(list[i - 1].target, list[i].target) != 0)
			return diag_set(diag, -EEXIST,
				"entry point \"%s\" is given twice, as %s and as %s", list[i].name,
				list[i - 1].target, list[i].target);
	for (size_t i = 0; i < m->n_entry_points; i++) {
		if (kept && compare_entry_points(&list[kept - 1], &list[i]) == 0) {
			drop(m, list[i].name);
			drop(m, list[i].target);
		} else {
			list[kept++] = list[i];
		}
	}
	m->n_entry_points = kept;
	return 0;
}

int manifest_sort(struct manifest *m, struct diag *diag)
{
	if (m->n_entries)
		qsort(m->entries, m->n_entries, sizeof *m->entries, compare_entries);
	for (size_t i = 1; i < m->n_entries; i++) {
		const struct entry *a = &m->entries[i - 1], *b = &m->entries[i];
		size_t n = strlen(a->path);

		if (a->tree != b->tree || strncmp(a->path, b->path, n) != 0)
			continue;
		if (!b->path[n])
			return diag_set(
				diag, -EEXIST, "%s/%s is there twice", tree_name(a->tree), a->path);
		if (b->path[n] == '/')
			return diag_set(diag, -EEXIST,
				"%s/%s is a file and, with %s in it, a directory",
				tree_name(a->tree), a->path, b->path);
	}
	sort_tags(m);
	return sort_entry_points(m, diag);
}

void manifest_free(struct manifest *m)
{
	if (!m)
		return;
	if (!m->one_block) {
		for (size_t i = 0; i < m->n_tags; i++)
			free(m->tags[i]);
		for (size_t i = 0; i < m->n_entry_points; i++) {
			free(m->entry_points[i].name);
			free(m->entry_points[i].target);
		}
		for (size_t i = 0; i < m->n_entries; i++)
			free(m->entries[i].path);
		free(m->tags);
		free(m->entry_points);
		free(m->entries);
		free(m->name);
		free(m->version);
		free(m->info);
	}
	free(m);
}

/* The first entry that is not before `key`. */
static size_t lower_bound(const struct manifest *m, const struct entry *key)
{
	size_t lo = 0, hi = m->n_entries;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare_entries(&m->entries[mid], key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void manifest_tree(const struct manifest *m, enum tree t, size_t *first, size_t *end)
{
	char nothing[] = "";

	*first = lower_bound(m, &(struct entry){.tree = (uint8_t)t, .path = nothing});
	*end = lower_bound(m, &(struct entry){.tree = (uint8_t)(t + 1), .path = nothing});
}

const struct entry *manifest_find(const struct manifest *m, enum tree t, const char *path)
{
	const struct entry key = {.tree = (uint8_t)t, .path = (char *)path};
	size_t i = lower_bound(m, &key);

	return i < m->n_entries && compare_entries(&m->entries[i], &key) == 0 ? &m->entries[i] : NULL;
}

uint64_t manifest_layout(const struct manifest *m, uint64_t *offsets)
{
	uint64_t at = 0;

	for (size_t i = 0; i < m->n_entries; i++) {
		uint64_t size = m->entries[i].size;

		if (offsets)
			offsets[i] = at;
		if (size <= PACK_FILE_MAX)
			at += (size + PACK_ALIGN - 1) / PACK_ALIGN * PACK_ALIGN;
	}
	return at;
}
