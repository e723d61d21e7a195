/* SPDX-License-Identifier: MIT
 *
 * What is there, by the names of directories: dists/NAME/VERSION/ADDRESS.
 */
#include "store/store.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "store/dist.h"
#include "store/wheels.h"

#include <fcntl.h>
#include <string.h>

struct rows {
	struct found *v;
	size_t n, cap;
};

static bool has_manifest(const struct tier *t, const char *dir)
{
	auto_str struct str path = {0};
	struct stat st;

	return tier_exists(t) && str_addf(&path, "%s/manifest", dir) == 0 &&
	       fstatat(t->fd, path.p, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

int store_has_dist(
	const struct store *s, const char *name, const char *version, const struct digest *address)
{
	auto_str struct str dir = {0};
	int r = dist_path(name, version, address, &dir);

	if (r < 0)
		return r;
	for (size_t i = 0; i < s->n_tiers; i++)
		if (has_manifest(&s->tiers[i], dir.p))
			return 0;
	return -ENOENT;
}

static bool have_row(const struct rows *rows, const struct found *row)
{
	for (size_t i = 0; i < rows->n; i++) {
		const struct found *f = &rows->v[i];

		if (digest_equal(&f->address, &row->address) &&
			!f->wheel_name == !row->wheel_name &&
			(!row->wheel_name || (strcmp(f->wheel_name, row->wheel_name) == 0 &&
						     digest_equal(&f->wheel, &row->wheel))))
			return true;
	}
	return false;
}

/* `row`'s strings are the caller's. */
static int add_row(struct rows *rows, const struct found *row)
{
	struct found copy = *row;

	if (have_row(rows, row))
		return 0;
	copy.name = strdup(row->name);
	copy.version = strdup(row->version);
	copy.wheel_name = row->wheel_name ? strdup(row->wheel_name) : NULL;
	if (!copy.name || !copy.version || (row->wheel_name && !copy.wheel_name) ||
		array_grow(rows->v, rows->cap, rows->n + 1) < 0) {
		free(copy.name);
		free(copy.version);
		free(copy.wheel_name);
		return -ENOMEM;
	}
	rows->v[rows->n++] = copy;
	return 0;
}

/* A line of "wheels" that can not be read is as good as none. */
static int add_dist(const struct tier *t, const char *dir, struct found *row, struct rows *rows)
{
	auto_str struct str text = {0};
	const char *p, *end;
	struct wheel_line line;
	bool any = false;
	int r = wheels_read(t, dir, &text);

	if (r == -ENOMEM)
		return r;
	p = text.p;
	end = text.p + text.len;
	r = 0;
	while (r == 0 && p && wheels_next(&p, end, &line) == 0) {
		auto_free char *file = strndup(line.file, line.len);

		if (!file)
			return -ENOMEM;
		row->wheel_name = file;
		row->wheel = line.digest;
		r = add_row(rows, row);
		row->wheel_name = NULL;
		any = true;
	}
	return r < 0 || any ? r : add_row(rows, row);
}

static int find_version(const struct tier *t, struct found *row, struct rows *rows)
{
	auto_names struct names addresses = {0};
	auto_str struct str path = {0};
	int r = str_addf(&path, "dists/%s/%s", row->name, row->version);

	if (r == 0)
		r = tier_list(t, path.p, &addresses);
	for (size_t i = 0; r == 0 && i < addresses.n; i++) {
		auto_str struct str dir = {0};

		if (digest_parse(addresses.v[i], strlen(addresses.v[i]), &row->address) < 0)
			continue;
		r = dist_path(row->name, row->version, &row->address, &dir);
		if (r == 0 && has_manifest(t, dir.p))
			r = add_dist(t, dir.p, row, rows);
	}
	return r == -ENOTDIR ? 0 : r;
}

static int find_name(
	const struct tier *t, const char *version, struct found *row, struct rows *rows)
{
	auto_names struct names versions = {0};
	auto_str struct str path = {0};
	int r;

	if (version) {
		row->version = (char *)version;
		return tier_name_ok(version) ? find_version(t, row, rows) : 0;
	}
	r = str_addf(&path, "dists/%s", row->name);
	if (r == 0)
		r = tier_list(t, path.p, &versions);
	for (size_t i = 0; r == 0 && i < versions.n; i++) {
		row->version = versions.v[i];
		r = find_version(t, row, rows);
	}
	return r == -ENOTDIR ? 0 : r;
}

static int find_tier(const struct tier *t, const char *name, const char *version, struct found *row,
	struct rows *rows)
{
	auto_names struct names all = {0};
	int r;

	if (name) {
		row->name = (char *)name;
		return tier_name_ok(name) ? find_name(t, version, row, rows) : 0;
	}
	r = tier_list(t, "dists", &all);
	for (size_t i = 0; r == 0 && i < all.n; i++) {
		row->name = all.v[i];
		r = find_name(t, version, row, rows);
	}
	return r;
}

int store_find(
	struct store *s, const char *name, const char *version, struct found **ret, size_t *n)
{
	struct rows rows = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n_tiers; i++) {
		struct found row = {.tier = i};

		r = find_tier(&s->tiers[i], name, version, &row, &rows);
	}
	if (r < 0) {
		found_free(rows.v, rows.n);
		return r;
	}
	*ret = rows.v;
	*n = rows.n;
	return 0;
}

void found_free(struct found *f, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(f[i].name);
		free(f[i].version);
		free(f[i].wheel_name);
	}
	free(f);
}
