/* SPDX-License-Identifier: MIT */
#include "py/text.h"

#include <stdint.h>
#include <string.h>

/* One code point from the front; 0 bytes for anything invalid. */
static size_t decode(const char *text, size_t n, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)text;
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t c = p[0];

	if (len == 0 || len > n || p[0] > 0xf4)
		return 0;
	if (len > 1) {
		c = p[0] & (0xff >> (len + 1));
		for (size_t i = 1; i < len; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (p[i] & 0x3f);
		}
		if (c < least[len] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
			return 0;
	}
	*ret = c;
	return len;
}

/* str.isspace() */
static bool is_blank(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
	       c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
	       c == 0x202f || c == 0x205f || c == 0x3000;
}

bool text_is_utf8(const char *p, size_t n)
{
	uint32_t c;

	while (n > 0) {
		size_t len = decode(p, n, &c);

		if (len == 0)
			return false;
		p += len;
		n -= len;
	}
	return true;
}

bool text_line(struct slice *rest, struct slice *ret)
{
	size_t i = 0;

	if (rest->n == 0)
		return false;
	while (i < rest->n && rest->p[i] != '\n' && rest->p[i] != '\r')
		i++;
	*ret = (struct slice){rest->p, i};
	if (i < rest->n)
		i += rest->p[i] == '\r' && i + 1 < rest->n && rest->p[i + 1] == '\n' ? 2 : 1;
	rest->p += i;
	rest->n -= i;
	return true;
}

struct slice text_strip(struct slice s)
{
	uint32_t c;
	size_t len;

	while (s.n > 0) {
		len = decode(s.p, s.n, &c);
		if (len == 0 || !is_blank(c))
			break;
		s.p += len;
		s.n -= len;
	}
	while (s.n > 0) {
		len = 1;
		while (len < s.n && len < 4 && ((unsigned char)s.p[s.n - len] & 0xc0) == 0x80)
			len++;
		if (decode(s.p + s.n - len, len, &c) != len || !is_blank(c))
			break;
		s.n -= len;
	}
	return s;
}

bool text_partition(struct slice s, char c, struct slice *ret_before, struct slice *ret_behind)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

	if (!at)
		return false;
	*ret_before = (struct slice){s.p, (size_t)(at - s.p)};
	*ret_behind = (struct slice){at + 1, s.n - ret_before->n - 1};
	return true;
}

bool text_is(struct slice s, const char *lower)
{
	while (s.n > 0) {
		uint32_t c;
		size_t len = decode(s.p, s.n, &c);

		if (len == 0)
			return false;
		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		else if (c ==
			 0x212a) /* KELVIN SIGN, the one other character that lowers to ASCII */
			c = 'k';
		if (*lower == '\0' || c != (unsigned char)*lower)
			return false;
		lower++;
		s.p += len;
		s.n -= len;
	}
	return *lower == '\0';
}

bool text_has_control(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}
