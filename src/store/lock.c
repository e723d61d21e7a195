/* SPDX-License-Identifier: MIT
 *
 * A lock in memory and as text. The text is what is hashed, so there is one for each lock:
 * what lock_format() would not have written is refused, if only a blank too many.
 */
#include "store/lock.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "store/field.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHA256 "sha256:"
enum { ID_LEN = sizeof SHA256 - 1 + DIGEST_HEX };

CLEANUP_DEFINE(lock, lock_free)

struct lock *lock_new(void)
{
	return calloc(1, sizeof(struct lock));
}

static void line_clear(struct lock_line *l)
{
	free(l->name);
	free(l->version);
	free(l->installer);
	free(l->wheel_name);
	*l = (struct lock_line){0};
}

void lock_free(struct lock *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++)
		line_clear(&l->lines[i]);
	free(l->lines);
	free(l);
}

static bool copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return *to || !from;
}

static int line_copy(struct lock_line *to, const struct lock_line *from)
{
	struct lock_line l = *from;
	bool name = copy_text(&l.name, from->name);
	bool version = copy_text(&l.version, from->version);
	bool installer = copy_text(&l.installer, from->installer);
	bool wheel = copy_text(&l.wheel_name, from->wheel_name);

	if (!name || !version || !installer || !wheel) {
		line_clear(&l);
		return -ENOMEM;
	}
	*to = l;
	return 0;
}

/* Where the name is, or would be. */
static size_t position(const struct lock *l, const char *name, bool *ret_there)
{
	size_t lo = 0, hi = l->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(l->lines[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_there = lo < l->n && strcmp(l->lines[lo].name, name) == 0;
	return lo;
}

int lock_set(struct lock *l, const struct lock_line *line)
{
	struct lock_line copy;
	bool there;
	size_t i = position(l, line->name, &there);

	if (line_copy(&copy, line) < 0)
		return -ENOMEM;
	if (there) {
		line_clear(&l->lines[i]);
	} else {
		if (array_grow(l->lines, l->cap, l->n + 1) < 0) {
			line_clear(&copy);
			return -ENOMEM;
		}
		memmove(&l->lines[i + 1], &l->lines[i], (l->n - i) * sizeof *l->lines);
		l->n++;
	}
	l->lines[i] = copy;
	return 0;
}

int lock_remove(struct lock *l, const char *name)
{
	bool there;
	size_t i = position(l, name, &there);

	if (!there)
		return -ENOENT;
	line_clear(&l->lines[i]);
	l->n--;
	memmove(&l->lines[i], &l->lines[i + 1], (l->n - i) * sizeof *l->lines);
	return 0;
}

const struct lock_line *lock_find(const struct lock *l, const char *name)
{
	bool there;
	size_t i = position(l, name, &there);

	return there ? &l->lines[i] : NULL;
}

struct lock *lock_copy(const struct lock *l)
{
	auto_of(lock) struct lock *copy = lock_new();

	if (!copy || array_grow(copy->lines, copy->cap, l->n) < 0)
		return NULL;
	for (; copy->n < l->n; copy->n++)
		if (line_copy(&copy->lines[copy->n], &l->lines[copy->n]) < 0)
			return NULL;
	return steal_ptr(copy);
}

/* the text */

struct slice {
	const char *p;
	size_t n;
};

/* The word in front of the next space, taken off `rest` with it. */
static struct slice next_word(struct slice *rest)
{
	const char *space = rest->n ? memchr(rest->p, ' ', rest->n) : NULL;
	struct slice word = {rest->p, space ? (size_t)(space - rest->p) : rest->n};
	size_t taken = word.n + (space != NULL);

	rest->p += taken;
	rest->n -= taken;
	return word;
}

static bool take_prefix(struct slice *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (s->n < n || memcmp(s->p, prefix, n) != 0)
		return false;
	s->p += n;
	s->n -= n;
	return true;
}

static bool parse_id(struct slice s, struct digest *ret)
{
	return take_prefix(&s, SHA256) && digest_parse(s.p, s.n, ret) == 0;
}

static int keep(struct slice s, char **ret)
{
	*ret = strndup(s.p, s.n);
	return *ret ? 0 : -ENOMEM;
}

/* A wheel's file name may hold anything that a word may, so it ends where the digest begins. */
static const char *parse_wheel(struct slice s, struct slice *ret_name, struct digest *ret)
{
	struct slice id;

	if (s.n <= ID_LEN + 1 || s.p[s.n - ID_LEN - 1] != ':')
		return "a wheel is FILE:" SHA256 "DIGEST";
	id = (struct slice){s.p + s.n - ID_LEN, ID_LEN};
	*ret_name = (struct slice){s.p, s.n - ID_LEN - 1};
	if (!parse_id(id, ret) || !field_is_component(ret_name->p, ret_name->n))
		return "a wheel is FILE:" SHA256 "DIGEST";
	return NULL;
}

/* NULL, or what is wrong. The slices point into the text. */
static const char *parse_line(struct slice text, struct lock_line *l, struct slice *name,
	struct slice *version, struct slice *installer, struct slice *wheel)
{
	const char *fault;
	struct slice word;

	*name = next_word(&text);
	if (!field_is_name(name->p, name->n))
		return "it does not begin with a normalized name";
	*version = next_word(&text);
	if (!field_is_version(version->p, version->n))
		return "no version is behind the name";
	if (!parse_id(next_word(&text), &l->address))
		return "no " SHA256 "DIGEST is behind the version";
	if (text.p[-1] == ' ' && !text.n)
		return "it ends in a space";
	word = next_word(&text);
	if (word.n == strlen("requested") && take_prefix(&word, "requested")) {
		l->requested = true;
		word = next_word(&text);
	}
	if (take_prefix(&word, "installer=")) {
		if (!field_is_word(word.p, word.n))
			return "an installer is one word";
		*installer = word;
		word = next_word(&text);
	}
	if (take_prefix(&word, "origin=")) {
		if (!parse_id(word, &l->origin))
			return "an origin is " SHA256 "DIGEST";
		l->has_origin = true;
		word = next_word(&text);
	}
	if (take_prefix(&word, "wheel=")) {
		fault = parse_wheel(word, wheel, &l->wheel);
		if (fault)
			return fault;
		word = next_word(&text);
	}
	if (word.n || text.n || text.p[-1] == ' ')
		return "a word is unknown, out of order, or there is a space too many";
	return NULL;
}

static int add_line(struct lock *l, struct slice text, size_t number, struct diag *diag)
{
	struct lock_line line = {0};
	struct slice name, version, installer = {0}, wheel = {0};
	const char *fault = parse_line(text, &line, &name, &version, &installer, &wheel);

	if (fault)
		return diag_set(diag, -EPROTO, "line %zu of the lock: %s", number, fault);
	if (array_grow(l->lines, l->cap, l->n + 1) < 0)
		return -ENOMEM;
	if (keep(name, &line.name) < 0 || keep(version, &line.version) < 0 ||
		(installer.n && keep(installer, &line.installer) < 0) ||
		(wheel.n && keep(wheel, &line.wheel_name) < 0)) {
		line_clear(&line);
		return -ENOMEM;
	}
	l->lines[l->n++] = line;
	if (l->n > 1 && strcmp(line.name, l->lines[l->n - 2].name) <= 0)
		return diag_set(diag, -EPROTO, "line %zu of the lock: \"%s\" is out of order",
			number, line.name);
	return 0;
}

int lock_parse(const char *text, size_t n, struct lock **ret, struct diag *diag)
{
	auto_of(lock) struct lock *l = lock_new();
	struct slice rest = {text, n};
	int r;

	if (!l)
		return -ENOMEM;
	for (size_t number = 1; rest.n; number++) {
		const char *newline = memchr(rest.p, '\n', rest.n);
		struct slice line = {rest.p, newline ? (size_t)(newline - rest.p) : 0};

		if (!newline)
			return diag_set(diag, -EPROTO,
				"line %zu of the lock has no end; the file was cut off", number);
		r = add_line(l, line, number, diag);
		if (r < 0)
			return r;
		rest.n -= line.n + 1;
		rest.p = newline + 1;
	}
	*ret = steal_ptr(l);
	return 0;
}

static bool is_word(const char *s)
{
	return field_is_word(s, strlen(s));
}

static bool line_ok(const struct lock_line *l)
{
	return l->name && l->version && field_is_name(l->name, strlen(l->name)) &&
	       field_is_version(l->version, strlen(l->version)) &&
	       (!l->installer || is_word(l->installer)) &&
	       (!l->wheel_name || (is_word(l->wheel_name) && field_is_component(l->wheel_name,
								     strlen(l->wheel_name))));
}

static int format_line(const struct lock_line *l, struct str *out)
{
	char hex[DIGEST_HEX + 1];
	int r;

	if (!line_ok(l))
		return -EINVAL;
	digest_format(&l->address, hex);
	r = str_addf(out, "%s %s " SHA256 "%s%s", l->name, l->version, hex,
		l->requested ? " requested" : "");
	if (r == 0 && l->installer)
		r = str_addf(out, " installer=%s", l->installer);
	if (r == 0 && l->has_origin) {
		digest_format(&l->origin, hex);
		r = str_addf(out, " origin=" SHA256 "%s", hex);
	}
	if (r == 0 && l->wheel_name) {
		digest_format(&l->wheel, hex);
		r = str_addf(out, " wheel=%s:" SHA256 "%s", l->wheel_name, hex);
	}
	return r < 0 ? r : str_add(out, "\n");
}

int lock_format(const struct lock *l, struct str *out)
{
	size_t before = out->len;
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n; i++)
		r = format_line(&l->lines[i], out);
	if (r < 0)
		str_truncate(out, before);
	return r;
}
