/* SPDX-License-Identifier: MIT
 *
 * Equal after this means equal in NFC and in case. Marks that follow a letter are put in the order
 * of their code points, not of their combining classes: that takes a few texts for equal that
 * Unicode tells apart, which for refusing look-alikes is the safe side, and needs no classes.
 */
#include "py/fold.h"

#include "py/fold_table.h"

#include <errno.h>
#include <string.h>

enum { HANGUL = 0xac00, HANGUL_END = 0xd7a4, MARKS_MAX = 64 };
enum { HANGUL_L = 0x1100, HANGUL_V = 0x1161, HANGUL_T = 0x11a7, N_V = 21, N_T = 28 };

#define COUNT(a) (sizeof(a) / sizeof *(a))

struct folding {
	struct str *out;
	uint32_t marks[MARKS_MAX]; /* seen since the last letter, sorted */
	size_t n_marks;
};

int64_t utf8_next(const char **p, const char *end)
{
	const unsigned char *s = (const unsigned char *)*p;
	size_t left = (size_t)(end - *p), n;
	uint32_t c, least;

	if (!left)
		return -EILSEQ;
	if (s[0] < 0x80) {
		*p += 1;
		return s[0];
	}
	if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		n = 2;
		least = 0x80;
		c = s[0] & 0x1f;
	} else if (s[0] >= 0xe0 && s[0] <= 0xef) {
		n = 3;
		least = 0x800;
		c = s[0] & 0x0f;
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		n = 4;
		least = 0x10000;
		c = s[0] & 0x07;
	} else {
		return -EILSEQ;
	}
	if (left < n)
		return -EILSEQ;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return -EILSEQ;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return -EILSEQ;
	*p += n;
	return c;
}

static int add_char(struct str *out, uint32_t c)
{
	char b[4];

	if (c < 0x80) {
		b[0] = (char)c;
		return str_add_mem(out, b, 1);
	}
	if (c < 0x800) {
		b[0] = (char)(0xc0 | c >> 6);
		b[1] = (char)(0x80 | (c & 0x3f));
		return str_add_mem(out, b, 2);
	}
	if (c < 0x10000) {
		b[0] = (char)(0xe0 | c >> 12);
		b[1] = (char)(0x80 | (c >> 6 & 0x3f));
		b[2] = (char)(0x80 | (c & 0x3f));
		return str_add_mem(out, b, 3);
	}
	b[0] = (char)(0xf0 | c >> 18);
	b[1] = (char)(0x80 | (c >> 12 & 0x3f));
	b[2] = (char)(0x80 | (c >> 6 & 0x3f));
	b[3] = (char)(0x80 | (c & 0x3f));
	return str_add_mem(out, b, 4);
}

static uint32_t lower(uint32_t c)
{
	size_t lo = 0, hi = COUNT(foldings);

	if (c < 0x80)
		return c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (c > foldings[mid].last)
			lo = mid + 1;
		else if (c < foldings[mid].first)
			hi = mid;
		else if ((c - foldings[mid].first) % (uint32_t)foldings[mid].step)
			return c;
		else
			return (uint32_t)((int64_t)c + foldings[mid].delta);
	}
	return c;
}

static bool is_mark(uint32_t c)
{
	size_t lo = 0, hi = COUNT(marks);

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (c > marks[mid].last)
			lo = mid + 1;
		else if (c < marks[mid].first)
			hi = mid;
		else
			return true;
	}
	return false;
}

/* One step of the canonical decomposition; false: there is none. *second is 0 for a single. */
static bool decompose(uint32_t c, uint32_t *first, uint32_t *second)
{
	size_t lo = 0, hi = COUNT(decompositions);

	*second = 0;
	if (c >= 0xf900 && c - 0xf900 < COUNT(cjk_f900))
		return (*first = cjk_f900[c - 0xf900]) != 0;
	if (c >= 0x2f800 && c - 0x2f800 < COUNT(cjk_2f800))
		return (*first = cjk_2f800[c - 0x2f800]) != 0;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (c > decompositions[mid].c) {
			lo = mid + 1;
		} else if (c < decompositions[mid].c) {
			hi = mid;
		} else {
			*first = decompositions[mid].first;
			*second = decompositions[mid].second;
			return true;
		}
	}
	return false;
}

static int flush_marks(struct folding *f)
{
	for (size_t i = 0; i < f->n_marks; i++)
		if (add_char(f->out, f->marks[i]) < 0)
			return -ENOMEM;
	f->n_marks = 0;
	return 0;
}

static int add_simple(struct folding *f, uint32_t c)
{
	size_t i;

	if (!is_mark(c)) {
		if (flush_marks(f) < 0)
			return -ENOMEM;
		return add_char(f->out, c);
	}
	if (f->n_marks == MARKS_MAX && flush_marks(f) < 0)
		return -ENOMEM;
	for (i = f->n_marks++; i > 0 && f->marks[i - 1] > c; i--)
		f->marks[i] = f->marks[i - 1];
	f->marks[i] = c;
	return 0;
}

static int add_folded(struct folding *f, uint32_t c)
{
	uint32_t tail[8], first, second;
	size_t n = 0;

	if (c >= HANGUL && c < HANGUL_END) {
		uint32_t s = c - HANGUL, t = s % N_T;

		if (add_simple(f, HANGUL_L + s / (N_V * N_T)) < 0 ||
			add_simple(f, HANGUL_V + s % (N_V * N_T) / N_T) < 0)
			return -ENOMEM;
		return t ? add_simple(f, HANGUL_T + t) : 0;
	}
	/* case first and last: folding and decomposing meet in either order */
	for (c = lower(c); decompose(c, &first, &second); c = lower(first))
		if (second && n < COUNT(tail))
			tail[n++] = second;
	if (add_simple(f, c) < 0)
		return -ENOMEM;
	while (n)
		if (add_simple(f, lower(tail[--n])) < 0)
			return -ENOMEM;
	return 0;
}

int fold_add(struct str *out, const char *text)
{
	struct folding f = {.out = out};
	const char *end = text + strlen(text);
	size_t before = out->len;
	int r = str_reserve(out, (size_t)(end - text));

	while (r == 0 && text < end) {
		int64_t c = utf8_next(&text, end);

		r = c < 0 ? (int)c : add_folded(&f, (uint32_t)c);
	}
	if (r == 0)
		r = flush_marks(&f);
	if (r < 0)
		str_truncate(out, before);
	return r;
}
