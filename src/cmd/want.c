/* SPDX-License-Identifier: MIT */
#include "cmd/want.h"

#include "base/array.h"
#include "base/cleanup.h"

#include <string.h>

static void line_clear(struct lock_line *l)
{
	free(l->name);
	free(l->version);
	free(l->installer);
	free(l->wheel_name);
	*l = (struct lock_line){0};
}

void want_clear(struct want *w)
{
	free(w->name);
	free(w->version);
	free(w->file);
	free(w->url);
	free(w->path);
	free(w->subdirectory);
	free(w->origin);
	free(w->installer);
	free(w->hashes);
	line_clear(&w->line);
	*w = (struct want){0};
}

void wants_free(struct wants *w)
{
	for (size_t i = 0; i < w->n; i++)
		want_clear(&w->list[i]);
	free(w->list);
	*w = (struct wants){0};
}

int wants_add(struct wants *to, struct want *w)
{
	int r = array_grow(to->list, to->cap, to->n + 1);

	if (r < 0)
		return r;
	to->list[to->n++] = *w;
	*w = (struct want){0};
	return 0;
}

void want_fault(struct want *w, const struct diag *diag, int err)
{
	if (!w->fault.text[0])
		diag_set(&w->fault, err, "%s", diag_text(diag, err));
}

int want_found(struct want *w, const char *version, const struct digest *address,
	const char *wheel_name, const struct digest *wheel)
{
	struct lock_line l = {
		.name = strdup(w->name),
		.version = strdup(version),
		.address = *address,
		.requested = !w->dependency,
	};
	const char *installer = w->installer ? w->installer : "venvfs";

	if (*installer)
		l.installer = strdup(installer);
	if (wheel_name && wheel) {
		l.wheel_name = strdup(wheel_name);
		l.wheel = *wheel;
	}
	if (!l.name || !l.version || (*installer && !l.installer) || (wheel_name && wheel && !l.wheel_name)) {
		line_clear(&l);
		return -ENOMEM;
	}
	line_clear(&w->line);
	w->line = l;
	w->found = true;
	return 0;
}

int want_found_at(
	struct store *s, struct want *w, const struct digest *address, const struct digest *wheel)
{
	const struct found *best = NULL;
	struct found *rows = NULL;
	size_t n = 0;
	int r = store_find(s, w->name, NULL, &rows, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (!digest_equal(&rows[i].address, address))
			continue;
		if (!best)
			best = &rows[i];
		if (wheel && rows[i].wheel_name && digest_equal(&rows[i].wheel, wheel))
			best = &rows[i];
	}
	if (r == 0 && !best)
		r = -ENOENT;
	if (r == 0)
		r = want_found(w, best->version, address, wheel ? best->wheel_name : NULL,
			wheel ? &best->wheel : NULL);
	found_free(rows, n);
	return r;
}

/* Whether `word` is one of the parts of a set like "py2.py3". */
static bool in_set(const char *set, size_t set_len, const char *word, size_t n)
{
	for (const char *end = set + set_len; set < end;) {
		const char *dot = memchr(set, '.', (size_t)(end - set));
		size_t len = (size_t)((dot ? dot : end) - set);

		if (len == n && memcmp(set, word, n) == 0)
			return true;
		set += len + 1;
	}
	return false;
}

/* Splits "a-b-c"; false if there are not three parts. */
static bool split_tag(const char *tag, size_t n, const char *part[3], size_t len[3])
{
	const char *end = tag + n;

	for (int i = 0; i < 3; i++) {
		const char *dash = memchr(tag, '-', (size_t)(end - tag));

		if ((i < 2) != (dash != NULL))
			return false;
		part[i] = tag;
		len[i] = (size_t)((dash ? dash : end) - tag);
		tag += len[i] + 1;
	}
	return true;
}

int want_tag_rank(const struct interpreter *py, const char *tags)
{
	size_t n = strlen(tags), dashes = 0, start;
	const char *set[3], *tag[3];
	size_t set_len[3], tag_len[3];

	if (str_ends(tags, ".whl"))
		n -= 4;
	for (start = n; start > 0; start--)
		if (tags[start - 1] == '-' && ++dashes == 3)
			break;
	if (!split_tag(tags + start, n - start, set, set_len))
		return -1;
	for (size_t i = 0; i < py->n_tags; i++) {
		if (split_tag(py->tags[i], strlen(py->tags[i]), tag, tag_len) &&
			in_set(set[0], set_len[0], tag[0], tag_len[0]) &&
			in_set(set[1], set_len[1], tag[1], tag_len[1]) &&
			in_set(set[2], set_len[2], tag[2], tag_len[2]))
			return (int)i;
	}
	return -1;
}
