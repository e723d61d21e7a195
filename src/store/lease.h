/* SPDX-License-Identifier: MIT
 *
 * Private to store/: a lease says that somebody is adding to the own store. It is a directory
 * under tmp/ that its owner keeps locked (flock), so that it ends with the process however that
 * ends; what is in it then is anybody's to remove.
 */
#ifndef STORE_LEASE_H
#define STORE_LEASE_H

#include "store/tier.h"

struct lease {
	int fd;	 /* the directory, locked; -1: none */
	int tmp; /* tmp/ */
	char name[48];
};

/* Removes what ended leases left, then takes a new one. -EROFS: there is no own store. */
int lease_take(const struct tier *t, struct lease *ret);
/* Removes the directory with all that is still in it. */
void lease_end(struct lease *l);

#endif
