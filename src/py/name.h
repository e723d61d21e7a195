/* SPDX-License-Identifier: MIT
 *
 * Names and versions of distributions: when two spellings are one (PEP 503, PEP 440).
 */
#ifndef PY_NAME_H
#define PY_NAME_H

#include "base/str.h"

/* Appends the normalized name: lower case, runs of "-_." are one "-". -EINVAL for what is no name:
 * ASCII letters and digits, with "-_." between them. */
int name_normalize(const char *name, size_t n, struct str *out);
/* How many bytes at the front of a requirement are a name (PEP 508): letters and digits, with "-_." between them.
 * 0: it begins with none. */
size_t name_length(const char *requirement, size_t n);
/* Letters, digits and ".!+-_" alone, 1 to 128 of them, no "." in front. */
bool version_is_plain(const char *version, size_t n);
/* The same version as PEP 440 compares them (1.0 and 1.00.0, 1.0-beta and 1.0b0, 1.0+x_1 and
 * 1.0+x.1); what is no such version must be the same text, "_" and "-" being one. */
bool version_equal(const char *a, size_t a_len, const char *b, size_t b_len);
/* Whether `==pin` means it: also X+local, where the pin is X and says nothing of a local version (PEP 440,
 * version matching). */
bool version_matches(const char *pin, const char *version, size_t version_len);
/* Whether `stem` (of a .dist-info or .data directory) is "NAME-VERSION" in any spelling of both. */
bool name_is_stem(const char *stem, size_t n, const char *name, const char *version);

#endif
