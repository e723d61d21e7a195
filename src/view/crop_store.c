/* SPDX-License-Identifier: MIT
 *
 * Two ways through the same files. Where the store knows the version already, they are only read:
 * most likely it has this very distribution. Else they are copied first and what is hashed is the
 * copy, so that nothing that changes meanwhile can make the store hold other bytes than it says.
 */
#include "view/crop.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <fcntl.h>
#include <string.h>

CLEANUP_DEFINE(hasher, hasher_free)
CLEANUP_DEFINE(ingest_dist, ingest_dist_free)

/* Where a file's bytes are now. */
struct source {
	int fd;
	off_t off;
	uint64_t size;
	struct extent extent; /* of the store's */
	bool pinned;
};

static int open_source(const struct field_of *f, const struct crop_file *file, struct source *ret)
{
	const struct lower_entry *low;
	struct stat st;
	int r;

	*ret = (struct source){.fd = -1};
	if (file->held) {
		r = io_open_beneath(
			f->upper, file->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
		if (r < 0)
			return r;
		ret->fd = r;
		if (fstat(r, &st) < 0)
			r = -errno;
		else if (!S_ISREG(st.st_mode) || st.st_size != file->held->st.st_size)
			r = -EINVAL;
		ret->size = (uint64_t)file->held->st.st_size;
		if (r < 0)
			close(steal_fd(&ret->fd));
		return r < 0 ? r : 0;
	}
	low = crop_lower(f, file->path);
	if (!low)
		return -EINVAL;
	r = dist_extent(low->file_dist, low->index, &ret->extent);
	if (r < 0)
		return r;
	ret->pinned = true;
	ret->fd = ret->extent.fd;
	ret->off = ret->extent.off;
	ret->size = ret->extent.size;
	return 0;
}

static void close_source(struct source *s)
{
	if (s->pinned)
		extent_release(&s->extent);
	else if (s->fd >= 0)
		close(s->fd);
}

/* Whether the bytes are those that RECORD has a hash of; and their SHA-256. */
static int check(const struct crop_file *file, int fd, off_t off, uint64_t size, struct digest *ret)
{
	auto_of(hasher) struct hasher *h = NULL;
	uint8_t is[HASH_SIZE_MAX];
	char buf[64 * 1024];
	int r = digest_fd(fd, off, size, ret);

	if (r < 0)
		return r;
	if (file->kind == HASH_SHA256)
		return memcmp(ret->b, file->hash, DIGEST_SIZE) == 0 ? 0 : -EINVAL;
	h = hasher_new();
	r = h ? hasher_begin_kind(h, file->kind) : -ENOMEM;
	while (r == 0 && size) {
		ssize_t n =
			io_pread_full(fd, buf, size < sizeof buf ? (size_t)size : sizeof buf, off);

		if (n <= 0)
			return n < 0 ? (int)n : -EINVAL;
		r = hasher_add(h, buf, (size_t)n);
		off += n;
		size -= (uint64_t)n;
	}
	if (r == 0)
		r = hasher_end_kind(h, file->kind, is);
	return r < 0 ? r : memcmp(is, file->hash, hash_size(file->kind)) == 0 ? 0 : -EINVAL;
}

static int read_only(const struct field_of *f, struct crop_file *file)
{
	struct source s;
	int r = open_source(f, file, &s);

	if (r < 0)
		return r;
	r = check(file, s.fd, s.off, s.size, &file->digest);
	close_source(&s);
	return r == 0 && file->text ? digest_buf(file->text, file->text_size, &file->digest) : r;
}

static int copy(const struct field_of *f, struct crop_file *file, int fd, off_t off)
{
	struct source s;
	int r;

	if (file->text) {
		r = read_only(f, file);
		return r < 0 || !file->text_size
			       ? r
			       : io_pwrite_full(fd, file->text, file->text_size, off);
	}
	r = open_source(f, file, &s);
	if (r < 0)
		return r;
	if (s.size)
		r = io_copy(s.fd, s.off, fd, off, s.size);
	if (r == 0)
		r = check(file, s.size ? fd : s.fd, off, s.size, &file->digest);
	close_source(&s);
	return r;
}

static int copy_checked(
	const struct field_of *f, struct crop_file *file, struct ingest_dist *d, size_t i)
{
	off_t off = 0;
	int fd = -1, done, r = ingest_dist_file(d, i, &fd, &off);

	if (r < 0)
		return r;
	r = copy(f, file, fd, off);
	done = ingest_dist_file_done(d, i, fd);
	ingest_dist_manifest(d)->entries[i].digest = file->digest;
	return r < 0 ? r : done;
}

static int tell(const struct crop *c, size_t i, int r, struct diag *diag)
{
	if (r == -EINVAL || r == -ENOENT || r == -EIO)
		return diag_set(
			diag, -EINVAL, "%s: its bytes are not what RECORD says", c->files[i].path);
	return diag_errno(diag, r, "%s", c->files[i].path);
}

/* 1: a tier has it. */
static int find(const struct field_of *f, struct crop *c, struct diag *diag)
{
	struct manifest *m = c->manifest;
	auto_str struct str text = {0};
	struct found *found = NULL;
	size_t n = 0;
	int r = store_find(f->store, m->name, m->version, &found, &n);

	found_free(found, n);
	if (r < 0 || n == 0)
		return r;
	for (size_t i = 0; i < c->n_files; i++) {
		r = read_only(f, &c->files[i]);
		if (r < 0)
			return tell(c, i, r, diag);
		m->entries[i].digest = c->files[i].digest;
	}
	r = manifest_format(m, &text);
	if (r == 0)
		r = digest_buf(text.p, text.len, &c->line.address);
	if (r < 0)
		return r;
	return store_has_dist(f->store, m->name, m->version, &c->line.address) == 0;
}

static int add(const struct field_of *f, struct crop *c, struct ingest *in, struct diag *diag)
{
	auto_of(ingest_dist) struct ingest_dist *d = NULL;
	int r = ingest_dist_new(in, steal_ptr(c->manifest), &d, diag);

	for (size_t i = 0; r == 0 && i < c->n_files; i++) {
		r = copy_checked(f, &c->files[i], d, i);
		if (r < 0)
			return tell(c, i, r, diag);
	}
	return r < 0 ? r : ingest_dist_done(steal_ptr(d), NULL, NULL, &c->line.address, diag);
}

int crop_store(const struct field_of *f, struct crop *c, struct ingest *in, struct diag *diag)
{
	int r = find(f, c, diag);

	if (r == 0)
		r = add(f, c, in, diag);
	return r < 0 ? r : 0;
}
