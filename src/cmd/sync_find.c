/* SPDX-License-Identifier: MIT */
#include "cmd/sync.h"

#include "base/cleanup.h"
#include "py/name.h"

#include <string.h>

static const char builds[] = "builds";

void sync_name(const struct want *w, char *ret, size_t n)
{
	snprintf(ret, n, "%s%s%s", w->name, w->version ? " " : "", w->version ? w->version : "");
}

/* Of X+local only the index can say whether it is what a pin of X means here. */
static bool is_allowed(const struct want *w, const struct found *row)
{
	if (w->version &&
		!version_equal(w->version, strlen(w->version), row->version, strlen(row->version)))
		return false;
	if (!row->wheel_name)
		return false; /* nobody can say for which Pythons it is */
	if (w->kind == WANT_WHEEL)
		return w->has_digest && digest_equal(&w->digest, &row->wheel);
	for (size_t i = 0; i < w->n_hashes; i++)
		if (digest_equal(&w->hashes[i], &row->wheel))
			return true;
	return w->n_hashes == 0;
}

/* A pin takes the wheel that pip would: the best tags; of equal ones the first, as tiers are
 * ordered. */
static int find_wheel(struct sync *s, struct want *w)
{
	const struct found *best = NULL;
	struct found *rows = NULL;
	int best_rank = 0, r;
	size_t n = 0;

	r = store_find(s->ctx->store, w->name, NULL, &rows, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		int rank;

		if (!is_allowed(w, &rows[i]))
			continue;
		rank = want_tag_rank(s->py, rows[i].wheel_name);
		if (rank < 0 || (best && rank >= best_rank))
			continue;
		best = &rows[i];
		best_rank = rank;
	}
	if (r == 0 && best)
		r = want_found(w, best->version, &best->address, best->wheel_name, &best->wheel);
	found_free(rows, n);
	return r;
}

/* Sources: what they were built to */

static int build_key(
	struct sync *s, const struct want *w, const struct digest *source, struct str *out)
{
	char hex[DIGEST_HEX + 1];
	int r;

	if (!s->py->n_tags)
		return -ENOENT;
	if (source) {
		digest_format(source, hex);
		r = str_addf(out, "sha256:%s", hex);
	} else {
		r = str_add(out, w->url);
	}
	return r == 0 ? str_addf(out, "\n%s\n%s\n%s\n", w->subdirectory ? w->subdirectory : "",
				s->py->tags[0], s->py->version)
		      : r;
}

/* "NAME VERSION sha256:<64 hex>\n", if it is of this name and still there. */
static int take_note(struct sync *s, struct want *w, char *text)
{
	char *version, *address, *save = NULL, *name = strtok_r(text, " \n", &save);
	struct digest id;

	version = strtok_r(NULL, " \n", &save);
	address = strtok_r(NULL, " \n", &save);
	if (!name || !version || !address || strcmp(name, w->name) != 0 ||
		!str_starts(address, "sha256:") ||
		digest_parse(address + 7, strlen(address + 7), &id) < 0 ||
		(w->version &&
			!version_matches(w->version, version, strlen(version))) ||
		store_has_dist(s->ctx->store, name, version, &id) < 0)
		return 0;
	return want_found(w, version, &id, NULL, NULL);
}

static int find_build(struct sync *s, struct want *w, const struct digest *source)
{
	auto_str struct str key = {0}, note = {0};
	int r = build_key(s, w, source, &key);

	if (r == 0)
		r = store_note_get(s->ctx->store, builds, key.p, &note);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	return take_note(s, w, note.p);
}

int sync_built(struct sync *s, const struct want *source, const struct lock_line *line)
{
	auto_str struct str key = {0}, note = {0};
	char hex[DIGEST_HEX + 1];
	int r;

	if (source->kind == WANT_TREE || (source->kind == WANT_SDIST && !source->has_digest))
		return 0;
	digest_format(&line->address, hex);
	r = build_key(s, source, source->kind == WANT_VCS ? NULL : &source->digest, &key);
	if (r == 0)
		r = str_addf(&note, "%s %s sha256:%s\n", line->name, line->version, hex);
	return r < 0 ? r : store_note_put(s->ctx->store, builds, key.p, note.p, note.len);
}

static int find(struct sync *s, struct want *w)
{
	int r = 0;

	switch (w->kind) {
	case WANT_WHEEL:
		return find_wheel(s, w);
	case WANT_PIN:
		r = find_wheel(s, w);
		for (size_t i = 0; r == 0 && !w->found && i < w->n_hashes; i++)
			r = find_build(s, w, &w->hashes[i]);
		return r;
	case WANT_SDIST:
		return w->has_digest ? find_build(s, w, &w->digest) : 0;
	case WANT_VCS:
		return find_build(s, w, NULL);
	default:
		return 0;
	}
}

int sync_find(struct sync *s, struct diag *diag)
{
	for (size_t i = 0; i < s->wants.n; i++) {
		struct want *w = &s->wants.list[i];
		int r = w->found || w->fault.text[0] ? 0 : find(s, w);

		if (r < 0)
			return diag_errno(diag, r, "the store can not be searched for %s", w->name);
	}
	return 0;
}
