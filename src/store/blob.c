/* SPDX-License-Identifier: MIT
 *
 * Large files of distributions are blobs so that two distributions, or two versions of
 * one, share them; all else is in packs (ingest.c). They are written by ingest.c and
 * served by dist.c without a look at the bytes. What is here takes small objects as a
 * whole: those are hashed each time, since nothing else would notice that they are wrong.
 */
#include "store/blob.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "store/store.h"

#include <fcntl.h>
#include <string.h>

enum { BLOB_PUT_MAX = 1 << 20 };

void blob_path(const char *kind, const struct digest *id, char ret[BLOB_PATH])
{
	char hex[DIGEST_HEX + 1];

	digest_format(id, hex);
	snprintf(ret, BLOB_PATH, "%s/%.2s/%s", kind, hex, hex + 2);
}

int blob_path_parse(const char *shard, const char *rest, struct digest *ret)
{
	char hex[DIGEST_HEX + 1];

	if (strlen(shard) != 2 || strlen(rest) != DIGEST_HEX - 2)
		return -EINVAL;
	snprintf(hex, sizeof hex, "%s%s", shard, rest);
	return digest_parse(hex, DIGEST_HEX, ret);
}

int blob_open(const struct tier *t, const struct digest *id, uint64_t size, int *ret_fd)
{
	auto_close int fd = -1;
	char path[BLOB_PATH];
	struct stat st;
	int r;

	blob_path("blobs", id, path);
	r = tier_open_file(t, path, &fd, &st);
	if (r < 0)
		return r;
	if ((uint64_t)st.st_size != size)
		return -EBADMSG;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int blob_is_there(const struct tier *t, const struct digest *id, uint64_t size)
{
	auto_close int fd = -1;

	return blob_open(t, id, size, &fd) == 0;
}

static int get_from(const struct tier *t, const char *kind, const struct digest *id, size_t max,
	struct str *ret)
{
	auto_str struct str s = {0};
	char path[BLOB_PATH];
	struct digest is;
	int r;

	blob_path(kind, id, path);
	r = tier_read(t, path, max, &s, NULL);
	if (r == 0)
		r = digest_buf(s.p, s.len, &is);
	if (r < 0)
		return r;
	if (!digest_equal(&is, id))
		return -EBADMSG;
	str_free(ret);
	*ret = s;
	s = (struct str){0};
	return 0;
}

int blob_get(struct store *s, const char *kind, const struct digest *id, size_t max,
	struct str *ret)
{
	int first = -ENOENT;

	for (size_t i = 0; i < s->n_tiers; i++) {
		int r = get_from(&s->tiers[i], kind, id, max, ret);

		if (r == 0)
			return 0;
		if (first == -ENOENT)
			first = r;
	}
	return first;
}

int blob_put(struct store *s, const char *kind, const void *buf, size_t n, struct digest *ret)
{
	auto_str struct str there = {0};
	auto_close int dir = -1;
	char path[BLOB_PATH], *name;
	struct digest id;
	int r = digest_buf(buf, n, &id);

	if (r < 0)
		return r;
	if (blob_get(s, kind, &id, n, &there) < 0) {
		blob_path(kind, &id, path);
		name = strrchr(path, '/');
		*name++ = '\0';
		r = tier_make_dir(&s->tiers[0], path, &dir);
		if (r == 0)
			r = io_publish_at(dir, name, buf, n, 0444);
		if (r < 0)
			return r;
	}
	*ret = id;
	return 0;
}

int store_blob_put(struct store *s, const void *buf, size_t n, struct digest *ret)
{
	return n > BLOB_PUT_MAX ? -EFBIG : blob_put(s, "blobs", buf, n, ret);
}

int store_blob_get(struct store *s, const struct digest *id, struct str *ret)
{
	return blob_get(s, "blobs", id, BLOB_PUT_MAX, ret);
}
