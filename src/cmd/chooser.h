/* SPDX-License-Identifier: MIT
 *
 * The Python helper (select.py) that reads what packaging's own library must read, run by the target
 * interpreter over a pinned `packaging` out of the store.
 */
#ifndef CMD_CHOOSER_H
#define CMD_CHOOSER_H

#include "cmd/want.h"
#include "cmd/workdir.h"
#include "store/store.h"

/* Gets one file into the store: a wheel of this name, version and SHA-256. What fetches it is the caller's. */
typedef int chooser_fetch(void *arg, const char *name, const char *version, const char *file,
	const struct digest *digest, struct diag *diag);

struct chooser {
	struct store *store;
	struct interpreter *py; /* with tags and markers */
	struct workdir *work;
	chooser_fetch *fetch; /* when the store does not have the library */
	void *arg;
	char *lib[2]; /* directories with packaging and tomli, once they are needed */
};

void chooser_free(struct chooser *c);

/* A pylock.toml (PEP 751), or pip's installation report as a .json: what it means for this interpreter is appended to `ret`. `allow` (or NULL): pins
 * whose hashes limit the files. -EINVAL: `faults` gets one line for each thing that can not be had. */
int chooser_lock(struct chooser *c, const char *file, const struct wants *allow, struct wants *ret,
	struct str *faults, struct diag *diag);
/* The text of the pylock.toml that holds the distributions of a JSON file (select.py). Errors as above. */
int chooser_freeze(struct chooser *c, const char *file, struct str *ret, struct str *faults,
	struct diag *diag);
/* The requirements, a line each, of a file with the TOML of a script's metadata (PEP 723). Errors as above. */
int chooser_script(struct chooser *c, const char *file, struct str *ret, struct str *faults,
	struct diag *diag);
/* Whether each marker holds for the interpreter. */
int chooser_markers(struct chooser *c, const char *const *markers, size_t n, bool *ret,
	struct str *faults, struct diag *diag);

#endif
