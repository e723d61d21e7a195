/* SPDX-License-Identifier: MIT
 *
 * Any bytes as a wheel: it is refused with a reason, or added, and then every file of its manifest
 * reads back with the digest that stands there.
 */
#include "py/wheel.h"

#include "base/io.h"
#include "tests/fuzz/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/venvfs-fuzz-wheel-XXXXXX";
static char wheel[128];
static struct store *store;

static void end(void)
{
	store_free(store);
	io_remove_tree_at(AT_FDCWD, dir);
}

static void begin(void)
{
	char own[64];

	CHECK(mkdtemp(dir));
	snprintf(own, sizeof own, "%s/store", dir);
	snprintf(wheel, sizeof wheel, "%s/demo-1.0-py3-none-any.whl", dir);
	CHECK(store_open(own, NULL, 0, &store, NULL) == 0);
	atexit(end);
}

static void read_back(const struct digest *address)
{
	struct dist *d;

	CHECK(store_dist(store, "demo", "1.0", address, &d, NULL) == 0);
	for (size_t i = 0; i < d->manifest->n_entries; i++) {
		struct extent x;
		struct digest is;

		CHECK(dist_extent(d, i, &x) == 0 && x.size == d->manifest->entries[i].size);
		CHECK((x.size ? digest_fd(x.fd, x.off, x.size, &is) : digest_buf("", 0, &is)) == 0);
		CHECK(digest_equal(&is, &d->manifest->entries[i].digest));
		extent_release(&x);
	}
	dist_unref(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct digest address, file, is;
	struct diag diag = {{0}};
	struct ingest *in;
	int fd, r;

	if (!store)
		begin();
	fd = open(wheel, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && io_write_full(fd, data, n) == 0 && close(fd) == 0);
	CHECK(ingest_begin(store, &in, NULL) == 0);
	r = wheel_ingest(in, wheel, NULL, 1, &address, &file, &diag);
	CHECK(r == 0 || (r == -EINVAL && strstr(diag.text, "(rule ")));
	if (r == 0) {
		CHECK(digest_buf(data, n, &is) == 0 && digest_equal(&is, &file));
		CHECK(ingest_commit(in, NULL) == 0);
		read_back(&address);
	}
	ingest_free(in);
	return 0;
}
