/* SPDX-License-Identifier: MIT
 *
 * One line on the terminal that tells how far long work is. Nothing is written where stderr is no
 * terminal. Any thread may call these; cmd_fail() clears the line before it speaks.
 */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

/* Draws the line anew; what comes within a tenth of a second of the last one is left out. */
void progress_show(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Takes the line away. */
void progress_clear(void);

#endif
