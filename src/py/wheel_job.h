/* SPDX-License-Identifier: MIT
 *
 * One wheel on its way into an ingest, cut into pieces that different threads may do.
 */
#ifndef PY_WHEEL_JOB_H
#define PY_WHEEL_JOB_H

#include "py/wheel_archive.h"
#include "py/wheel_plan.h"

struct wheel_piece {
	size_t first, n; /* of wheel_job.order; n 0: the digest of the whole file */
	uint64_t cost;	 /* bytes to make; what is begun first is the largest */
	uint64_t packed; /* bytes of the file that are done with it */
};

struct wheel_job {
	struct ingest *in;
	char *path;
	bool named; /* its file name is recorded beside it */
	bool expected;
	struct digest expect, digest; /* of the file */
	int fd;
	uint64_t size;
	struct wheel_name name;
	struct zip_index zip;
	struct plan plan;
	struct ingest_dist *dist;
	size_t *order; /* files to read, as indices into the plan */
	size_t n_order;
	struct wheel_piece *pieces;
	size_t n_pieces;
	uint64_t overhead; /* bytes of the file that belong to no piece */
};

/* Opens the file and takes ownership of nothing. What can be judged without the members' bytes is
 * judged here, and what is left is cut into pieces. -EINVAL: refused. */
int wheel_job_open(struct wheel_job *job, struct archive **ret, struct diag *diag);
/* Does one piece; any thread, with an archive of its own (*archive is opened where NULL). */
int wheel_job_run(struct wheel_job *job, const struct wheel_piece *piece, struct archive **archive,
	struct hasher *h, struct diag *diag);
/* After all pieces: stages the distribution. */
int wheel_job_finish(struct wheel_job *job, struct digest *ret_address, struct diag *diag);
/* Frees all but the archives, which must be gone; gives up what is not finished. */
void wheel_job_clear(struct wheel_job *job);

#endif
