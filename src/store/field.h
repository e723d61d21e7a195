/* SPDX-License-Identifier: MIT
 *
 * What a field of a manifest or a lock may hold, so that it can be a directory's name in a
 * store, a file's name in an environment, and a word of a line. Bytes from 0x80 on are taken
 * as they are. All are false for the empty string.
 */
#ifndef STORE_FIELD_H
#define STORE_FIELD_H

#include <stdbool.h>
#include <stddef.h>

enum { FIELD_PATH_MAX = 4095, FIELD_COMPONENT_MAX = 255 };

/* PEP 503, normalized: lower-case ASCII letters, digits, single dashes between them. */
bool field_is_name(const char *p, size_t n);
/* Printable ASCII without spaces and slashes, not beginning with a dot. */
bool field_is_version(const char *p, size_t n);
/* No control bytes, no spaces. */
bool field_is_word(const char *p, size_t n);
/* One name of a file: no slash, no control bytes, not "." or "..", up to 255 bytes. */
bool field_is_component(const char *p, size_t n);
/* Components with single slashes between them, up to 4095 bytes in all. */
bool field_is_path(const char *p, size_t n);

#endif
