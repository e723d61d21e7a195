/* SPDX-License-Identifier: MIT
 *
 * notes/KIND/<SHA-256 of the key>. A note is what somebody found out and may find out
 * again, so it can be replaced, and an unreadable one counts as none where many are read.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "store/store.h"
#include "store/tier.h"

#include <string.h>

enum { NOTE_MAX = 16 << 20 };

static int note_dir(const char *kind, char *path, size_t size)
{
	if (!tier_name_ok(kind))
		return -EINVAL;
	return snprintf(path, size, "notes/%s", kind) < (int)size ? 0 : -ENAMETOOLONG;
}

static int note_name(const char *key, char name[DIGEST_HEX + 1])
{
	struct digest d;
	int r = digest_buf(key, strlen(key), &d);

	if (r == 0)
		digest_format(&d, name);
	return r;
}

int store_note_put(struct store *s, const char *kind, const char *key, const void *buf, size_t n)
{
	char path[300], name[DIGEST_HEX + 1];
	auto_close int dir = -1;
	int r = n > NOTE_MAX ? -EFBIG : note_dir(kind, path, sizeof path);

	if (r == 0)
		r = note_name(key, name);
	if (r == 0)
		r = tier_make_dir(&s->tiers[0], path, &dir);
	return r < 0 ? r : io_publish_at(dir, name, buf, n, 0644);
}

int store_note_get(struct store *s, const char *kind, const char *key, struct str *ret)
{
	char path[400], name[DIGEST_HEX + 1];
	int first = -ENOENT, r = note_dir(kind, path, 300);

	if (r == 0)
		r = note_name(key, name);
	if (r < 0)
		return r;
	strcat(strcat(path, "/"), name);
	for (size_t i = 0; i < s->n_tiers; i++) {
		r = tier_read(&s->tiers[i], path, NOTE_MAX, ret, NULL);
		if (r == 0)
			return 0;
		if (first == -ENOENT)
			first = r;
	}
	return first;
}

/* A note of a tier above stands for the one below. */
static bool hidden(const struct store *s, size_t tier, const char *path)
{
	auto_close int fd = -1;
	struct stat st;

	for (size_t i = 0; i < tier; i++)
		if (tier_open_file(&s->tiers[i], path, &fd, &st) == 0)
			return true;
	return false;
}

int store_note_each(struct store *s, const char *kind,
	int (*each)(void *arg, const char *text, size_t n), void *arg)
{
	char dir[300];
	int r = note_dir(kind, dir, sizeof dir);

	for (size_t i = 0; r == 0 && i < s->n_tiers; i++) {
		auto_names struct names names = {0};

		r = tier_list(&s->tiers[i], dir, &names);
		for (size_t k = 0; r == 0 && k < names.n; k++) {
			auto_str struct str text = {0};
			char path[600];

			snprintf(path, sizeof path, "%s/%s", dir, names.v[k]);
			if (!hidden(s, i, path) &&
				tier_read(&s->tiers[i], path, NOTE_MAX, &text, NULL) == 0)
				r = each(arg, text.p, text.len);
		}
	}
	return r;
}
