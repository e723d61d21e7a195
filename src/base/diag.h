/* SPDX-License-Identifier: MIT
 *
 * A complaint for a person where errno can not say it: what, why, and where it
 * helps the way out. Lower layers fill it; only the edge prints it. A NULL diag
 * is allowed everywhere and drops the text.
 */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

struct diag {
	char text[1024]; /* one line, no newline at the end; "" when unset */
};

/* Sets the text and returns `err` (a negative errno), so that a failing
 * function ends in `return diag_set(d, -EINVAL, "...")`. */
int diag_set(struct diag *d, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same with ": <strerror(-err)>" behind the text. */
int diag_errno(struct diag *d, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The text, or strerror(-err) where none was set. Borrowed from `d`. */
const char *diag_text(const struct diag *d, int err);

#endif
