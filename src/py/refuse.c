/* SPDX-License-Identifier: MIT */
#include "py/refuse.h"

#include "py/fold.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 300, REASON_MAX = 320 };

/* The name with what is no printable UTF-8 as \xNN; of a long one the end, which tells more. */
static const char *shown(const char *name, char buf[SHOWN_MAX])
{
	size_t len = strlen(name), n = 0, from = 0;

	if (len > SHOWN_MAX / 2) {
		from = len - SHOWN_MAX / 2;
		n = (size_t)snprintf(buf, SHOWN_MAX, "...");
		while ((name[from] & 0xc0) == 0x80) /* not in the middle of a character */
			from++;
	}
	for (const char *p = name + from, *end = name + len, *next; p < end; p = next) {
		int64_t c = (next = p, utf8_next(&next, end));
		bool shows = c >= 0x20 && (c < 0x7f || c >= 0xa0);

		if (c < 0) /* how far it went is not said */
			next = p + 1;
		if (n + 4 * (size_t)(next - p) >= SHOWN_MAX)
			break;
		for (; p < next; p++)
			if (shows)
				buf[n++] = *p;
			else
				n += (size_t)snprintf(
					buf + n, SHOWN_MAX - n, "\\x%02x", (unsigned char)*p);
	}
	buf[n] = '\0';
	return buf;
}

int refuse(struct diag *d, const char *file, const char *member, enum wheel_rule rule,
	const char *fmt, ...)
{
	char file_buf[SHOWN_MAX], member_buf[SHOWN_MAX], reason[REASON_MAX];
	va_list ap;

	if (!d)
		return -EINVAL;
	va_start(ap, fmt);
	vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	shown(file, file_buf);
	if (!member)
		return diag_set(d, -EINVAL, "%s: %s (rule %d)", file_buf, reason, rule);
	return diag_set(d, -EINVAL, "%s: %s: %s (rule %d)", file_buf, shown(member, member_buf),
		reason, rule);
}

int refuse_errno(struct diag *d, int err, const char *file, const char *member, const char *what)
{
	char file_buf[SHOWN_MAX], member_buf[SHOWN_MAX];

	if (!d)
		return err;
	shown(file, file_buf);
	if (!member)
		return diag_errno(d, err, "%s: %s", file_buf, what);
	return diag_errno(d, err, "%s: %s: %s", file_buf, shown(member, member_buf), what);
}
