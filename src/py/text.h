/* SPDX-License-Identifier: MIT
 *
 * Text as Python's text files have it: strict UTF-8, universal newlines, and
 * str.strip() with Unicode's blanks. For the small files whose other reader is Python itself.
 */
#ifndef PY_TEXT_H
#define PY_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct slice {
	const char *p;
	size_t n;
};

/* Valid as Python's utf-8 codec sees it: no surrogates, no overlong forms. */
bool text_is_utf8(const char *p, size_t n);
/* The next line without its end ("\n", "\r\n" or "\r"), taken off the front of *rest. False at the end. */
bool text_line(struct slice *rest, struct slice *ret);
/* str.strip(); the text must be UTF-8. */
struct slice text_strip(struct slice s);
/* Splits at the first `c`: false where there is none. */
bool text_partition(struct slice s, char c, struct slice *ret_before, struct slice *ret_behind);
/* s.lower() == `lower`, which is ASCII in lower case. */
bool text_is(struct slice s, const char *lower);
/* Bytes below 0x20, or 0x7f. */
bool text_has_control(struct slice s);

#endif
