/* SPDX-License-Identifier: MIT
 *
 * A directory for what a command gets and builds on its way into the store: private, locked while
 * its owner lives, and swept away by the next command where that one was killed.
 */
#ifndef CMD_WORKDIR_H
#define CMD_WORKDIR_H

#include "base/diag.h"

struct workdir {
	char *path; /* absolute; NULL: not made yet */
	int fd;	    /* locked */
};

/* In $TMPDIR, else /var/tmp (a disk: /tmp may be memory). Nothing if it is made already. */
int workdir_make(struct workdir *w, struct diag *diag);
/* Removes it with all in it. */
void workdir_free(struct workdir *w);
/* "PATH/name", made as a directory. */
int workdir_sub(struct workdir *w, const char *name, char **ret, struct diag *diag);

#endif
