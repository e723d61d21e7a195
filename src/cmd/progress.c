/* SPDX-License-Identifier: MIT */
#include "cmd/progress.h"

#include "base/cleanup.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

enum { INTERVAL_MS = 100, WIDTH_MAX = 200 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool drawn;
static int64_t last_ms;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A line that wraps could not be taken away. */
static int width(void)
{
	struct winsize w;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_col == 0)
		return 79;
	return w.ws_col <= WIDTH_MAX ? w.ws_col - 1 : WIDTH_MAX;
}

void progress_show(const char *fmt, ...)
{
	char text[WIDTH_MAX * 4];
	va_list ap;

	if (!isatty(STDERR_FILENO))
		return;
	pthread_mutex_lock(&lock);
	if (!drawn || now_ms() - last_ms >= INTERVAL_MS) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof text, fmt, ap);
		va_end(ap);
		fprintf(stderr, "\r\033[K%.*s", width(), text);
		fflush(stderr);
		drawn = true;
		last_ms = now_ms();
	}
	pthread_mutex_unlock(&lock);
}

void progress_clear(void)
{
	pthread_mutex_lock(&lock);
	if (drawn) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
	}
	drawn = false;
	pthread_mutex_unlock(&lock);
}
