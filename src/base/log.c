/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic int log_fd = -1;

void log_open(int fd)
{
	log_fd = fd;
}

void log_msg(const char *fmt, ...)
{
	char line[2048];
	size_t n = 0;
	int fd = log_fd, k;
	va_list ap;

	if (fd >= 0) {
		time_t now = time(NULL);
		struct tm tm;

		localtime_r(&now, &tm);
		n = strftime(line, sizeof line, "%Y-%m-%d %H:%M:%S ", &tm);
	} else {
		n = (size_t)snprintf(line, sizeof line, "venvfs: ");
	}
	va_start(ap, fmt);
	k = vsnprintf(line + n, sizeof line - n - 1, fmt, ap);
	va_end(ap);
	if (k < 0)
		return;
	n += (size_t)k < sizeof line - n - 1 ? (size_t)k : sizeof line - n - 2;
	line[n++] = '\n';
	if (write(fd >= 0 ? fd : STDERR_FILENO, line, n) < 0)
		return; /* nowhere left to complain */
}
