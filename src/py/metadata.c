/* SPDX-License-Identifier: MIT */
#include "py/metadata.h"

#include "base/array.h"
#include "py/name.h"
#include "py/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TAGS_MAX = 1000, TAG_MAX = 255 };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The next "Key: value" of the headers, which end at an empty line. Continuation lines are
 * skipped: none of the keys asked for has one. */
static bool next_header(struct slice *rest, struct slice *key, struct slice *value)
{
	struct slice line;

	while (text_line(rest, &line) && line.n) {
		const char *colon = memchr(line.p, ':', line.n);

		if (is_blank(line.p[0]) || !colon)
			continue;
		*key = (struct slice){line.p, (size_t)(colon - line.p)};
		*value = (struct slice){colon + 1, line.n - key->n - 1};
		while (value->n && is_blank(value->p[0]))
			*value = (struct slice){value->p + 1, value->n - 1};
		while (value->n && is_blank(value->p[value->n - 1]))
			value->n--;
		return true;
	}
	return false;
}

static bool is_key(struct slice key, const char *name)
{
	return key.n == strlen(name) && strncasecmp(key.p, name, key.n) == 0;
}

int metadata_parse(const char *text, size_t n, struct manifest *m, struct diag *diag)
{
	struct slice rest = {text, n}, key, value, name = {0}, version = {0};
	auto_str struct str normal = {0};
	int r;

	while (next_header(&rest, &key, &value)) {
		struct slice *to = is_key(key, "Name")	    ? &name
				   : is_key(key, "Version") ? &version
							    : NULL;

		if (to && to->p)
			return diag_set(
				diag, -EINVAL, "it has two lines \"%.*s\"", (int)key.n, key.p);
		if (to)
			*to = value;
	}
	if (!name.p || !version.p)
		return diag_set(diag, -EINVAL, "it has no %s", name.p ? "Version" : "Name");
	r = name_normalize(name.p, name.n, &normal);
	if (r == -EINVAL)
		return diag_set(diag, r, "its Name is none");
	if (r < 0)
		return r;
	if (!version_is_plain(version.p, version.n))
		return diag_set(diag, -EINVAL, "its Version is none");
	free(m->name);
	free(m->version);
	m->version = strndup(version.p, version.n);
	m->name = str_steal(&normal);
	return m->name && m->version ? 0 : -ENOMEM;
}

static bool is_tag(struct slice t)
{
	size_t dashes = 0;

	if (!t.n || t.n > TAG_MAX)
		return false;
	for (size_t i = 0; i < t.n; i++) {
		unsigned char c = (unsigned char)t.p[i];

		if (c <= ' ' || c >= 0x7f)
			return false;
		dashes += c == '-';
	}
	return dashes == 2;
}

static bool has_tag(const struct manifest *m, struct slice t)
{
	for (size_t i = 0; i < m->n_tags; i++)
		if (strlen(m->tags[i]) == t.n && memcmp(m->tags[i], t.p, t.n) == 0)
			return true;
	return false;
}

int wheel_file_parse(const char *text, size_t n, struct manifest *m, struct diag *diag)
{
	struct slice rest = {text, n}, key, value;
	size_t cap = m->n_tags;
	bool versioned = false;

	while (next_header(&rest, &key, &value)) {
		if (is_key(key, "Wheel-Version")) {
			if (value.n < 2 || memcmp(value.p, "1.", 2) != 0)
				return diag_set(diag, -EINVAL, "its Wheel-Version is not 1.x");
			versioned = true;
		}
		if (!is_key(key, "Tag"))
			continue;
		if (!is_tag(value) || m->n_tags >= TAGS_MAX)
			return diag_set(diag, -EINVAL, "it has a malformed Tag");
		if (has_tag(m, value))
			continue;
		if (array_grow(m->tags, cap, m->n_tags + 1) < 0)
			return -ENOMEM;
		m->tags[m->n_tags] = strndup(value.p, value.n);
		if (!m->tags[m->n_tags])
			return -ENOMEM;
		m->n_tags++;
	}
	if (!versioned)
		return diag_set(diag, -EINVAL, "it has no Wheel-Version");
	if (!m->n_tags)
		return diag_set(diag, -EINVAL, "it has no Tag");
	return 0;
}

bool info_left_out(const char *name)
{
	static const char *const names[] = {"RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER",
		"REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}
