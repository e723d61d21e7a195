/* SPDX-License-Identifier: MIT */
#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void str_free(struct str *s)
{
	free(s->p);
	*s = (struct str){0};
}

char *str_steal(struct str *s)
{
	char *p = s->p ? s->p : strdup("");

	*s = (struct str){0};
	return p;
}

int str_reserve(struct str *s, size_t more)
{
	size_t need = s->len + more + 1, cap = s->cap ? s->cap : 64;
	char *p;

	if (need < more)
		return -ENOMEM;
	if (need <= s->cap)
		return 0;
	while (cap < need)
		cap = cap > need / 2 ? need : cap * 2;
	if (cap < s->cap * 2)
		cap = s->cap * 2;
	p = realloc(s->p, cap);
	if (!p)
		return -ENOMEM;
	s->p = p;
	s->cap = cap;
	return 0;
}

int str_add_mem(struct str *s, const void *p, size_t n)
{
	if (str_reserve(s, n) < 0)
		return -ENOMEM;
	if (n)
		memcpy(s->p + s->len, p, n);
	s->len += n;
	s->p[s->len] = '\0';
	return 0;
}

int str_add(struct str *s, const char *text)
{
	return str_add_mem(s, text, strlen(text));
}

int str_addf(struct str *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	if (str_reserve(s, (size_t)n) < 0)
		return -ENOMEM;
	va_start(ap, fmt);
	vsnprintf(s->p + s->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	s->len += (size_t)n;
	return 0;
}

void str_truncate(struct str *s, size_t len)
{
	if (len < s->len) {
		s->len = len;
		s->p[len] = '\0';
	}
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), k = strlen(suffix);

	return n >= k && memcmp(s + n - k, suffix, k) == 0;
}

const char *path_next(const char **path, size_t *len)
{
	const char *start = *path + strspn(*path, "/");

	if (!*start)
		return NULL;
	*len = strcspn(start, "/");
	*path = start + *len;
	return start;
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}
