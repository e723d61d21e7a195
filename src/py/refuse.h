/* SPDX-License-Identifier: MIT
 *
 * How a refused wheel is told: "FILE: MEMBER: reason (rule N)". Names from an archive are shown
 * with their control bytes escaped, and cut where they are long, so that the rule always shows.
 */
#ifndef PY_REFUSE_H
#define PY_REFUSE_H

#include "base/diag.h"

/* What SECURITY.md tells by number. 14 is the view's business: paths that two distributions share.
 */
enum wheel_rule {
	RULE_HEADERS =
		1, /* what the archive says of a member in two places is the same, and true */
	RULE_DUPLICATE = 2,  /* every installed path once */
	RULE_STRUCTURE = 3,  /* no byte that belongs to nothing, one end record */
	RULE_OVERLAP = 4,    /* no byte that belongs to two members */
	RULE_METHOD = 5,     /* stored or deflated, not encrypted, one disk */
	RULE_NAME = 6,	     /* names that mean one thing everywhere */
	RULE_MODE = 7,	     /* files and directories, no special bits */
	RULE_RECORD = 8,     /* RECORD is complete and right */
	RULE_SIZE = 9,	     /* within the limits, and no bomb */
	RULE_SCHEME = 10,    /* known schemes, scripts stay in bin */
	RULE_IDENTITY = 11,  /* file name, directories and METADATA name one distribution */
	RULE_COLLISION = 12, /* no two names that differ by case or normalization alone */
	RULE_DIGEST = 13,    /* the file is the one that was asked for */
	RULE_RESERVED = 15,  /* no name that means something to an environment */
};

/* Sets the text and returns -EINVAL. `member` NULL: the fault is the archive's. */
int refuse(struct diag *d, const char *file, const char *member, enum wheel_rule rule,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The same for what is no fault of the wheel: "FILE: MEMBER: what: <strerror>"; returns `err`. */
int refuse_errno(struct diag *d, int err, const char *file, const char *member, const char *what);

#endif
