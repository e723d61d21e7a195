/* SPDX-License-Identifier: MIT
 *
 * A manifest's order is that of a walk that lists each directory sorted, so all that is
 * below a directory is one run. Its end is found by doubling steps and then halving them,
 * rather than by reading over a package of thousands of files to list the one above.
 */
#include "view/tree.h"

#include <string.h>

struct tree_dir tree_top(const struct manifest *m, enum tree t)
{
	struct tree_dir dir = {.manifest = m};

	manifest_tree(m, t, &dir.first, &dir.end);
	return dir;
}

/* The first entry at or behind `from` whose path does not begin as `path` does, up to `n` bytes. */
static size_t run_end(const struct tree_dir *dir, size_t from, const char *path, size_t n)
{
	const struct entry *e = dir->manifest->entries;
	size_t low = from, step = 1, high;

	while (low + step < dir->end && strncmp(e[low + step].path, path, n) == 0) {
		low += step;
		step *= 2;
	}
	high = low + step < dir->end ? low + step : dir->end;
	while (low + 1 < high) {
		size_t mid = low + (high - low) / 2;

		if (strncmp(e[mid].path, path, n) == 0)
			low = mid;
		else
			high = mid;
	}
	return high;
}

bool tree_next(struct tree_dir *rest, struct tree_child *ret)
{
	const char *path;

	if (rest->first >= rest->end)
		return false;
	path = rest->manifest->entries[rest->first].path;
	ret->name = path + rest->prefix;
	ret->len = strcspn(ret->name, "/");
	ret->is_dir = ret->name[ret->len] == '/';
	ret->first = rest->first;
	ret->end = ret->is_dir ? run_end(rest, rest->first, path, rest->prefix + ret->len + 1)
			       : rest->first + 1;
	rest->first = ret->end;
	return true;
}

struct tree_dir tree_below(const struct tree_dir *dir, const struct tree_child *child)
{
	return (struct tree_dir){
		.manifest = dir->manifest,
		.first = child->first,
		.end = child->end,
		.prefix = dir->prefix + child->len + 1,
	};
}
