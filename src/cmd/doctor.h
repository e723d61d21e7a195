/* SPDX-License-Identifier: MIT
 *
 * Private to cmd_doctor.c and doctor_*.c: a check is a row of the table in cmd_doctor.c. It looks
 * at one thing, changes nothing, and says what it found, at least one line.
 */
#ifndef CMD_DOCTOR_H
#define CMD_DOCTOR_H

#include "cmd/cmd.h"

enum verdict { VERDICT_OK, VERDICT_NOTE, VERDICT_BAD };

struct finding {
	const char *check; /* borrowed */
	enum verdict verdict;
	char *what, *mend; /* mend NULL: none is needed, or `what` tells it */
};

struct doctor {
	struct cmd_context *ctx;
	char *root;  /* the default one; NULL: nobody can tell it */
	char *place; /* a directory of ours for the time of the run, beside the root where that may
		      * be; NULL: none could be made */
	struct store *store; /* a new one in `place` above those that can be used, so that what is
			      * found out is kept by none of them; NULL without a place */
	const char *check;   /* the one under way */
	struct finding *found;
	size_t n, cap;
	bool out_of_memory;
};

void doctor_say(struct doctor *d, enum verdict v, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The one-line mend of what was said last. */
void doctor_mend(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* doctor_host.c: the machine, by what it has */
void doctor_kernel(struct doctor *d);
void doctor_fuse_device(struct doctor *d);
void doctor_fusermount(struct doctor *d);
void doctor_container(struct doctor *d);
void doctor_variables(struct doctor *d);
bool doctor_in_container(void);
/* What `docker run` lacks here: "--device /dev/fuse --cap-add SYS_ADMIN"; empty if nothing. -ENOMEM
 */
int doctor_docker_flags(struct str *out);

/* doctor_mount.c: mounting, and what is mounted */
void doctor_trial(struct doctor *d);
void doctor_mounts(struct doctor *d);
void doctor_other_users(struct doctor *d);
void doctor_allow_other(struct doctor *d);

/* doctor_store.c */
void doctor_config(struct doctor *d);
void doctor_own_store(struct doctor *d);
void doctor_tiers(struct doctor *d);
void doctor_apart(struct doctor *d);

/* doctor_envs.c */
void doctor_roots(struct doctor *d);
void doctor_envs(struct doctor *d);
void doctor_python(struct doctor *d);
void doctor_installers(struct doctor *d);

#endif
