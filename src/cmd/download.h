/* SPDX-License-Identifier: MIT
 *
 * Files over https, http and file, several at once. Bytes are hashed as they arrive, and a file that is
 * not what it should be is never there under its name. Proxies, netrc and certificate bundles are
 * taken from where curl, pip and uv take them ($https_proxy, ~/.netrc, $SSL_CERT_FILE...).
 */
#ifndef CMD_DOWNLOAD_H
#define CMD_DOWNLOAD_H

#include "base/diag.h"
#include "store/digest.h"

struct download {
	const char *url;
	const char *file; /* the name it gets in the directory */
	bool has_digest;
	struct digest digest; /* what it must have; afterwards what it has */
	uint64_t size;	      /* what it must have; 0: unknown */
	/* 0; -EACCES: the server wants a login; -ENOENT: it is not there; -EBADMSG: other bytes than
	 * the digest says; -EPROTONOSUPPORT: no http, https or file; -EIO and others: diag says why */
	int err;
	struct diag diag;
};

struct download_events {
	void (*done)(void *arg, struct download *d);		/* each, as it ends, well or not; NULL: none */
	void (*bytes)(void *arg, uint64_t have, uint64_t total); /* of all; NULL: none */
	void *arg;
};

/* Gets all of them into `dir` (absolute). A failed one does not stop the others and is tried again once
 * where that can help. 0 even then: see err of each. -errno: nothing could be begun. */
int download_all(const char *dir, struct download *d, size_t n, const struct download_events *events,
	struct diag *diag);

#endif
