/* SPDX-License-Identifier: MIT
 *
 * What --json needs of JSON: text that is escaped.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/str.h"

/* Appends a quoted string; NULL is null. Bytes that are no UTF-8 become U+FFFD. 0 or -ENOMEM. */
int json_add_string(struct str *out, const char *text);

#endif
