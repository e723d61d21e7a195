/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <string.h>

/* The length of the UTF-8 sequence at `s`, 0 if there is none. */
static size_t utf8_len(const unsigned char *s)
{
	unsigned first = s[0], min = 0, code;
	size_t n;

	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf) {
		n = 2;
		code = first & 0x1f;
	} else if (first >= 0xe0 && first <= 0xef) {
		n = 3;
		code = first & 0x0f;
		min = 0x800;
	} else if (first >= 0xf0 && first <= 0xf4) {
		n = 4;
		code = first & 0x07;
		min = 0x10000;
	} else {
		return 0;
	}
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < min || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return n;
}

int json_add_string(struct str *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	int r;

	if (!text)
		return str_add(out, "null");
	r = str_add(out, "\"");
	while (r == 0 && *s) {
		size_t n = utf8_len(s);

		if (n == 0) {
			r = str_add(out, "\\ufffd");
			n = 1;
		} else if (*s == '"' || *s == '\\') {
			r = str_addf(out, "\\%c", *s);
		} else if (*s < 0x20 || *s == 0x7f) {
			r = str_addf(out, "\\u%04x", *s);
		} else {
			r = str_add_mem(out, s, n);
		}
		s += n;
	}
	return r == 0 ? str_add(out, "\"") : r;
}
