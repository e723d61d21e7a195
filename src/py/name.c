/* SPDX-License-Identifier: MIT */
#include "py/name.h"

#include <errno.h>
#include <string.h>

/* isalnum() and the like follow the locale; names do not. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

static bool is_letter(char c)
{
	return lower(c) >= 'a' && lower(c) <= 'z';
}

static bool is_separator(char c)
{
	return c == '-' || c == '_' || c == '.';
}

int name_normalize(const char *name, size_t n, struct str *out)
{
	size_t before = out->len;
	int r = n && n <= 200 && !is_separator(name[0]) && !is_separator(name[n - 1]) ? 0 : -EINVAL;

	for (size_t i = 0; r == 0 && i < n; i++) {
		char c = lower(name[i]);

		if (is_separator(c)) {
			if (is_separator(name[i - 1]))
				continue;
			c = '-';
		} else if (!is_digit(c) && !is_letter(c)) {
			r = -EINVAL;
			break;
		}
		r = str_add_mem(out, &c, 1);
	}
	if (r < 0)
		str_truncate(out, before);
	return r;
}

size_t name_length(const char *requirement, size_t n)
{
	size_t end = 0;

	for (size_t i = 0; i < n; i++) {
		char c = requirement[i];

		if (is_digit(c) || is_letter(c))
			end = i + 1;
		else if (!is_separator(c) || !end)
			break;
	}
	return end;
}

bool version_is_plain(const char *version, size_t n)
{
	if (!n || n > 128 || version[0] == '.')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_digit(version[i]) && !is_letter(version[i]) && !strchr(".!+-_", version[i]))
			return false;
	return true;
}

struct scan {
	const char *p, *end;
};

static bool take_number(struct scan *s, struct str *out)
{
	const char *start = s->p;

	while (s->p < s->end && is_digit(*s->p))
		s->p++;
	if (s->p == start)
		return false;
	while (start < s->p - 1 && *start == '0')
		start++;
	return str_add_mem(out, start, (size_t)(s->p - start)) == 0;
}

static bool take_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(s->p[i]) != word[i])
			return false;
	s->p += n;
	return true;
}

/* [-_.]? WORD [-_.]? N?, as "KIND N"; s does not move where no word fits. Longer words first. */
static bool take_suffix(struct scan *s, const char *const (*words)[2], struct str *out)
{
	struct scan t = *s;

	if (t.p < t.end && is_separator(*t.p))
		t.p++;
	for (; (*words)[0]; words++) {
		struct scan u = t;

		if (!take_word(&u, (*words)[0]))
			continue;
		if (str_add(out, (*words)[1]) < 0)
			return false;
		t = u;
		if (t.p < t.end && is_separator(*t.p) && t.p + 1 < t.end && is_digit(t.p[1]))
			t.p++;
		if (!take_number(&t, out) && str_add(out, "0") < 0)
			return false;
		*s = t;
		return true;
	}
	return false;
}

static bool take_local(struct scan *s, struct str *out)
{
	if (s->p == s->end)
		return true;
	if (*s->p++ != '+' || s->p == s->end || str_add(out, "+") < 0)
		return false;
	while (s->p < s->end) {
		const char *start = s->p;
		bool number = true;
		struct scan word;

		for (; s->p < s->end && !is_separator(*s->p); s->p++) {
			if (!is_digit(*s->p) && !is_letter(*s->p))
				return false;
			number = number && is_digit(*s->p);
		}
		word = (struct scan){start, s->p};
		if (start == s->p || (number && !take_number(&word, out)))
			return false;
		for (; !number && start < s->p; start++)
			if (str_add_mem(out, (char[]){lower(*start)}, 1) < 0)
				return false;
		if (s->p < s->end && (++s->p == s->end || str_add(out, ".") < 0))
			return false;
	}
	return true;
}

/* One text for all spellings of a version; false if it is none of PEP 440's. */
static bool canonical(const char *version, size_t n, struct str *out)
{
	static const char *const pre[][2] = {{"alpha", "a"}, {"beta", "b"}, {"preview", "rc"},
		{"pre", "rc"}, {"rc", "rc"}, {"a", "a"}, {"b", "b"}, {"c", "rc"}, {NULL, NULL}};
	static const char *const post[][2] = {
		{"post", "post"}, {"rev", "post"}, {"r", "post"}, {NULL, NULL}};
	static const char *const dev[][2] = {{"dev", "dev"}, {NULL, NULL}};
	struct scan s = {version, version + n};
	size_t keep;

	take_word(&s, "v");
	if (!take_number(&s, out))
		return false;
	if (s.p < s.end && *s.p == '!') {
		s.p++;
		if (str_add(out, "!") < 0)
			return false;
		if (out->len == 2 && out->p[0] == '0') /* the epoch that is there anyway */
			str_truncate(out, 0);
		if (!take_number(&s, out))
			return false;
	}
	keep = out->len;
	while (s.end - s.p > 1 && *s.p == '.' && is_digit(s.p[1])) {
		size_t from = out->len;

		s.p++;
		if (str_add(out, ".") < 0 || !take_number(&s, out))
			return false;
		if (strcmp(out->p + from, ".0") != 0)
			keep = out->len;
	}
	str_truncate(out, keep); /* without the zeros at the end */
	take_suffix(&s, pre, out);
	if (s.end - s.p > 1 && *s.p == '-' && is_digit(s.p[1])) {
		s.p++;
		if (str_add(out, "post") < 0 || !take_number(&s, out))
			return false;
	} else {
		take_suffix(&s, post, out);
	}
	take_suffix(&s, dev, out);
	return take_local(&s, out) && s.p == s.end;
}

bool version_equal(const char *a, size_t a_len, const char *b, size_t b_len)
{
	auto_str struct str x = {0}, y = {0};

	if (canonical(a, a_len, &x) && canonical(b, b_len, &y))
		return x.len == y.len && memcmp(x.p, y.p, x.len) == 0;
	if (a_len != b_len)
		return false;
	for (size_t i = 0; i < a_len; i++)
		if (a[i] != b[i] &&
			!(is_separator(a[i]) && is_separator(b[i]) && a[i] != '.' && b[i] != '.'))
			return false;
	return true;
}

bool version_matches(const char *pin, const char *version, size_t version_len)
{
	const char *local = memchr(version, '+', version_len);

	if (local && !strchr(pin, '+'))
		version_len = (size_t)(local - version);
	return version_equal(pin, strlen(pin), version, version_len);
}

bool name_is_stem(const char *stem, size_t n, const char *name, const char *version)
{
	for (size_t i = 1; i + 1 < n; i++) {
		auto_str struct str normal = {0};

		if (stem[i] != '-' || name_normalize(stem, i, &normal) < 0)
			continue;
		if (strcmp(normal.p, name) == 0 &&
			version_equal(stem + i + 1, n - i - 1, version, strlen(version)))
			return true;
	}
	return false;
}
