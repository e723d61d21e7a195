/* SPDX-License-Identifier: MIT
 *
 * What pip puts aside while it uninstalls: it renames each directory of the distribution beside
 * itself
 * ("plain" becomes "~lain"), and deletes that once the new one is in place. If the daemon dies in
 * between, pip can not; its own next run would warn of them for ever. Only what can be told to be
 * such a directory goes: the view has, or a RECORD that is there names, the directory it was.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "py/record.h"
#include "py/scheme.h"
#include "view/listing.h"
#include "view/state.h"

#include <fcntl.h>
#include <string.h>

enum { RECORD_MAX = 64 << 20 };

/* pip's AdjacentTempDirectory: "~", up to as many of these as letters make room for them, and the
 * rest of the name; or, where all such names are taken, some of these and the whole name. */
static bool is_aside_of(const char *aside, const char *name, size_t n)
{
	size_t len = strlen(aside), fill = 1 + strspn(aside + 1, "-~.=%0123456789");

	if (*aside != '~' || len < n)
		return false;
	if (len > n)
		return len - n <= fill && memcmp(aside + len - n, name, n) == 0;
	for (size_t k = 1; k <= fill && k < n; k++)
		if (memcmp(aside + k, name + k, n - k) == 0)
			return true;
	return false;
}

struct search {
	const struct listing *names; /* all in the directory */
	size_t first, end;	     /* of these begin with "~" */
	bool *found;		     /* by name: it is an aside */
};

static void match(struct search *s, const char *name, size_t n)
{
	for (size_t k = s->first; k < s->end; k++)
		if (!s->found[k] && is_aside_of(s->names->p[k], name, n))
			s->found[k] = true;
}

static int match_row(void *arg, const struct record_row *row)
{
	const char *slash = strchr(row->path, '/');

	if (slash && slash != row->path)
		match(arg, row->path, (size_t)(slash - row->path));
	return 0;
}

/* What the RECORDs of the environment's own name; one that can not be read names nothing. */
static void match_records(struct search *s, int site)
{
	for (size_t k = 0; k < s->names->n; k++) {
		auto_str struct str text = {0};
		auto_close int fd = -1;

		if (!str_ends(s->names->p[k], ".dist-info"))
			continue;
		fd = io_open_beneath(site, s->names->p[k], O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
		if (fd >= 0 && io_slurp_at(fd, "RECORD", RECORD_MAX, &text) == 0)
			record_parse(text.p ? text.p : "", text.len, match_row, s, NULL);
	}
}

static void match_view(struct search *s, struct lower *lower, const char *path)
{
	struct lower_dir *dir = NULL;

	if (lower_walk(lower, path, &dir) < 0 || !dir || lower_load(lower, dir) < 0)
		return;
	for (size_t k = 0; k < dir->n; k++)
		if (dir->entries[k].type == LOWER_DIR)
			match(s, dir->entries[k].name, strlen(dir->entries[k].name));
}

/* Out of sight by one rename; what dies before it is deleted is left to tidy(). */
static void drop(int site, const char *name)
{
	struct stat st;
	char tmp[64];

	if (fstatat(site, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return;
	upper_temp_name(tmp);
	if (renameat(site, name, site, tmp) == 0)
		io_remove_tree_at(site, tmp);
}

static bool has_asides(struct search *s)
{
	while (s->first < s->names->n && s->names->p[s->first][0] != '~')
		s->first++;
	for (s->end = s->first; s->end < s->names->n && s->names->p[s->end][0] == '~';)
		s->end++;
	return s->first < s->end;
}

void asides_drop(int upper, struct lower *lower)
{
	auto_str struct str path = {0};
	auto_close int site = -1;
	struct listing names = {0};
	struct search s = {.names = &names};

	if (scheme_dir(lower_interpreter(lower), TREE_SITE, "", &path) < 0)
		return;
	site = io_open_beneath(upper, path.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (site < 0)
		return;
	if (listing_read(site, &names) == 0 && has_asides(&s))
		s.found = calloc(names.n, sizeof *s.found);
	if (s.found) {
		match_view(&s, lower, path.p);
		match_records(&s, site);
		/* the RECORDs last: they tell what the others are */
		for (int info = 0; info < 2; info++)
			for (size_t k = s.first; k < s.end; k++)
				if (s.found[k] && str_ends(names.p[k], ".dist-info") == info)
					drop(site, names.p[k]);
	}
	free(s.found);
	listing_free(&names);
}
