/* SPDX-License-Identifier: MIT
 *
 * Growable bytes. `p` is always NUL-terminated once anything was added, and
 * `len` does not count that NUL, so the bytes may hold NULs themselves. Adding
 * is all or nothing: 0, or -ENOMEM with the string as it was.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct str {
	char *p;
	size_t len, cap;
};

/* life cycle */
void str_free(struct str *s); /* safe on a zeroed or freed string; leaves it zeroed */
#define auto_str __attribute__((cleanup(str_free)))
/* Hands the bytes over (never NULL unless out of memory) and zeroes the string. */
char *str_steal(struct str *s);

/* adding */
int str_reserve(struct str *s, size_t more);
int str_add_mem(struct str *s, const void *p, size_t n);
int str_add(struct str *s, const char *text);
int str_addf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_truncate(struct str *s, size_t len);

/* text */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* A path's next component: *path moves behind it, the slice is [return, *len).
 * NULL at the end. Repeated slashes count as one; "." and ".." are given as is. */
const char *path_next(const char **path, size_t *len);
/* The last component; the whole string where there is no slash. Borrowed from `path`. */
const char *path_base(const char *path);

#endif
