/* SPDX-License-Identifier: MIT
 *
 * The two header files of a .dist-info directory: METADATA (Core metadata) and WHEEL (Binary
 * distribution format). For a wheel in its archive as for an installed distribution.
 */
#ifndef PY_METADATA_H
#define PY_METADATA_H

#include "base/diag.h"
#include "store/manifest.h"

/* Fills m->name (normalized) and m->version (as it is). -EINVAL with the reason: one of them is
 * missing, there twice, or malformed. */
int metadata_parse(const char *text, size_t n, struct manifest *m, struct diag *diag);
/* Appends the tags to m->tags, each once. -EINVAL with the reason: no Wheel-Version, another
 * than 1.x, no tag, or a malformed one. */
int wheel_file_parse(const char *text, size_t n, struct manifest *m, struct diag *diag);
/* Whether a file at the top of a distribution's own .dist-info directory is left out of its
 * manifest: RECORD and its signatures, INSTALLER, REQUESTED, direct_url.json, and the notes of
 * installers. */
bool info_left_out(const char *name);

#endif
