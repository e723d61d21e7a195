/* SPDX-License-Identifier: MIT
 *
 * One sink for the daemon's log, used by the edges (src/cmd, mount) alone.
 * Thread-safe; a line is written in one write(2).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/* Sends lines to `fd` (not owned), each behind a time; before it, to stderr behind "venvfs: ". */
void log_open(int fd);
void log_msg(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
