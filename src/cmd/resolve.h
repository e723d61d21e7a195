/* SPDX-License-Identifier: MIT
 *
 * From requirements to a lock file, by who knows how: the user's uv, else the Python's own pip.
 * What it answers is what sync_lock() reads.
 */
#ifndef CMD_RESOLVE_H
#define CMD_RESOLVE_H

#include "cmd/sync.h"

struct resolve_request {
	struct interpreter *py;
	struct str lines; /* requirements, one a line, as a requirements.txt has them */
	char **files;	  /* absolute paths of requirements.txt files beside these */
	size_t n_files;
	const struct lock *prefer; /* its versions are taken where they can be; NULL: none */
	bool no_deps;		   /* these alone */
	enum index_asker asker;
};

/* Adds an argument of a command line to `lines`: what is a path that is there is made absolute. */
int resolve_add(struct resolve_request *request, const char *argument, struct diag *diag);
/* The names of the requirements, normalized, one a line with "\n" behind each; of a path or a bare
 * URL there is none. -errno: a file can not be read. */
int resolve_names(const struct resolve_request *request, struct str *ret, struct diag *diag);
/* *ret_file is in `work` and can be given to sync_lock(). 1: the resolver could not, and what it
 * said is on stderr, unchanged; -errno with diag. */
int resolve(const struct resolve_request *request, struct workdir *work, char **ret_file,
	struct diag *diag);
void resolve_free(struct resolve_request *request); /* lines and files */

#endif
