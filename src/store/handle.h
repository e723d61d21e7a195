/* SPDX-License-Identifier: MIT
 *
 * Private to store/: packs and blobs kept open. At most as many descriptors stay open
 * as a share of RLIMIT_NOFILE allows, but those in use ("pinned") at one time. Thread-safe.
 */
#ifndef STORE_HANDLE_H
#define STORE_HANDLE_H

#include "store/digest.h"

/* A blob may hold the very bytes of a manifest, so a digest alone does not tell what is meant. */
enum handle_kind { HANDLE_BLOB, HANDLE_PACK };

struct handles;
struct handle;

int handles_new(struct handles **ret);
void handles_free(struct handles *h); /* nothing may be pinned */

/* The open file of this name. If it is not open, `open_file` gives a descriptor or -errno; it runs
 * under no lock, perhaps in two threads at once. Give it back with handle_unpin(). */
int handle_pin(struct handles *h, enum handle_kind kind, const struct digest *id,
	int (*open_file)(const void *arg), const void *arg, struct handle **ret);
int handle_fd(const struct handle *handle);
void handle_unpin(struct handle *handle);
/* The name stands for another file now: the next pin opens it again. */
void handle_forget(struct handles *h, enum handle_kind kind, const struct digest *id);

#endif
