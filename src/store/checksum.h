/* SPDX-License-Identifier: MIT
 *
 * XXH3-64: against accident, never against malice, and never an identity.
 */
#ifndef STORE_CHECKSUM_H
#define STORE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint64_t checksum(const void *buf, size_t n);
/* For hash tables in memory: seeded anew in each process, so that no file name
 * can be chosen to collide. */
uint64_t checksum_keyed(const void *buf, size_t n);

#endif
