/* SPDX-License-Identifier: MIT
 *
 * A requirements.txt whose every line is pinned, as `pip freeze`, `pip-compile` and `uv pip compile`
 * write it (pip's "Requirements file format"). What is no pin is an error that names file and line.
 */
#ifndef CMD_PINS_H
#define CMD_PINS_H

#include "base/diag.h"
#include "base/str.h"
#include "store/digest.h"

struct pin {
	char *name;    /* normalized: lower case, runs of "-_." are one "-" (PEP 503) */
	char *version; /* as written */
	char *marker;  /* behind ";", NULL if there is none */
	struct digest *hashes;
	size_t n_hashes; /* 0: any file of that version */
	unsigned line;	 /* where it begins */
};

struct pins {
	struct pin *pins; /* in the order of the file; a name may be there again with another marker */
	size_t n, cap;
	struct str options; /* lines of options about indexes, for pip or uv; relative local paths made absolute */
};

/* `file` is for messages, `dir` what relative paths are relative to. -EINVAL: "FILE:LINE: reason". */
int pins_parse(const char *text, size_t n, const char *file, const char *dir, struct pins *ret,
	struct diag *diag);
void pins_free(struct pins *p);

#endif
