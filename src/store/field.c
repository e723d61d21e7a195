/* SPDX-License-Identifier: MIT */
#include "store/field.h"

#include <stdint.h>
#include <string.h>

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool field_is_name(const char *p, size_t n)
{
	if (n == 0 || n > FIELD_COMPONENT_MAX || !is_alnum(p[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(p[i]) && (p[i] != '-' || i == 0 || p[i - 1] == '-'))
			return false;
	return true;
}

bool field_is_version(const char *p, size_t n)
{
	if (n == 0 || n > FIELD_COMPONENT_MAX || p[0] == '.')
		return false;
	for (size_t i = 0; i < n; i++)
		if (p[i] <= ' ' || p[i] > '~' || p[i] == '/')
			return false;
	return true;
}

bool field_is_word(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p[i] <= ' ' || p[i] == 0x7f)
			return false;
	return n > 0;
}

bool field_is_component(const char *p, size_t n)
{
	return field_is_path(p, n) && !memchr(p, '/', n);
}

/* Whether any of eight bytes is below 0x20 or is 0x7f, by the carries of whole words. */
static bool has_control(uint64_t w)
{
	const uint64_t ones = 0x0101010101010101, high = ones << 7;
	uint64_t del = w ^ ones * 0x7f;

	return (((w - ones * 0x20) & ~w) | ((del - ones) & ~del)) & high;
}

/* `from` is where a component begins that ends before `to`. */
static bool component_ok(const char *p, size_t from, size_t to)
{
	size_t n = to - from;

	return n > 2 ? n <= FIELD_COMPONENT_MAX
		     : n > 0 && !(p[from] == '.' && (n == 1 || p[from + 1] == '.'));
}

bool field_is_path(const char *p, size_t n)
{
	size_t i = 0, from = 0;
	const char *slash;

	if (n > FIELD_PATH_MAX)
		return false;
	for (; i + 8 <= n; i += 8) {
		uint64_t w;

		memcpy(&w, p + i, sizeof w);
		if (has_control(w))
			return false;
	}
	for (; i < n; i++)
		if ((unsigned char)p[i] < ' ' || p[i] == 0x7f)
			return false;
	while ((slash = memchr(p + from, '/', n - from))) {
		size_t to = (size_t)(slash - p);

		if (!component_ok(p, from, to))
			return false;
		from = to + 1;
	}
	return component_ok(p, from, n);
}
