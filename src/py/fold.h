/* SPDX-License-Identifier: MIT
 *
 * The form in which two file names are one to a file system that ignores case or normalization:
 * canonical decomposition and simple case folding.
 */
#ifndef PY_FOLD_H
#define PY_FOLD_H

#include "base/str.h"

#include <stdint.h>

/* The next character of strict UTF-8 (no overlong form, no surrogate) in [*p, end); *p moves behind
 * it. -EILSEQ. */
int64_t utf8_next(const char **p, const char *end);
/* Appends the folded form of a valid UTF-8 text. 0, -ENOMEM, -EILSEQ. */
int fold_add(struct str *out, const char *text);

#endif
