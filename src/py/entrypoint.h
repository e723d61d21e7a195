/* SPDX-License-Identifier: MIT
 *
 * entry_points.txt (Entry points specification): the console_scripts and gui_scripts
 * groups. Read as configparser with "=" alone as delimiter reads it, case kept.
 */
#ifndef PY_ENTRYPOINT_H
#define PY_ENTRYPOINT_H

#include "base/diag.h"
#include "store/manifest.h"

/* Appends what the text names to m->entry_points. -EINVAL: a name that would leave bin/ or hide the
 * interpreter (a slash, "..", control bytes, python*), or a target that is not module:attr. */
int entry_points_parse(const char *text, size_t n, struct manifest *m, struct diag *diag);

#endif
