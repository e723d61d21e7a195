/* SPDX-License-Identifier: MIT
 *
 * libzip reads from a source of ours: pread on a descriptor that all threads share. So the file is
 * opened once (no name is looked up a second time), a handle costs no descriptor, and a file
 * that shrinks meanwhile is an error, where a mapping would be a fault.
 *
 * libzip finds members and reads them as they are packed; they are inflated here, since libzip is
 * content with a stream that ends before its data does, or never. A reader that goes by the stream
 * would find other members there than one that goes by the directory.
 */
#include "py/wheel_archive.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "py/refuse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>
#include <zlib.h>

enum { PIECE = 128 * 1024, PACKED = 64 * 1024 };

struct archive {
	int fd;
	uint64_t size;
	const struct zip_index *index;
	const char *file;
	zip_t *zip;
	zip_int64_t at; /* the source's position */
	zip_error_t error;
	z_stream inflater;
	bool can_inflate;
	uint8_t *piece;	 /* bytes of a file */
	uint8_t *packed; /* and of the archive */
};

/* A member that is being read. */
struct member {
	const struct zip_member *m;
	zip_file_t *file;
	uint64_t left; /* packed bytes that are not read yet */
	bool ended;
};

static zip_int64_t give_stat(struct archive *a, void *data)
{
	zip_stat_t *st = data;

	zip_stat_init(st);
	st->size = a->size;
	st->valid |= ZIP_STAT_SIZE;
	return sizeof *st;
}

static zip_int64_t source(void *user, void *data, zip_uint64_t len, zip_source_cmd_t cmd)
{
	struct archive *a = user;
	ssize_t k;

	switch (cmd) {
	case ZIP_SOURCE_OPEN:
		a->at = 0;
		return 0;
	case ZIP_SOURCE_READ:
		k = io_pread_full(a->fd, data, (size_t)len, a->at);
		if (k < 0) {
			zip_error_set(&a->error, ZIP_ER_READ, (int)-k);
			return -1;
		}
		a->at += k;
		return k;
	case ZIP_SOURCE_SEEK: {
		zip_int64_t to = zip_source_seek_compute_offset(
			(zip_uint64_t)a->at, a->size, data, len, &a->error);

		if (to < 0)
			return -1;
		a->at = to;
		return 0;
	}
	case ZIP_SOURCE_TELL:
		return a->at;
	case ZIP_SOURCE_STAT:
		return give_stat(a, data);
	case ZIP_SOURCE_ERROR:
		return zip_error_to_data(&a->error, data, len);
	case ZIP_SOURCE_CLOSE:
	case ZIP_SOURCE_FREE:
		return 0;
	case ZIP_SOURCE_SUPPORTS:
		return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ,
			ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE,
			ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL, ZIP_SOURCE_SUPPORTS, -1);
	default:
		zip_error_set(&a->error, ZIP_ER_OPNOTSUPP, 0);
		return -1;
	}
}

int archive_open(int fd, uint64_t size, const struct zip_index *z, const char *file,
	struct archive **ret, struct diag *diag)
{
	struct archive *a = calloc(1, sizeof *a);
	zip_source_t *src;

	if (!a)
		return -ENOMEM;
	*a = (struct archive){.fd = fd, .size = size, .index = z, .file = file};
	zip_error_init(&a->error);
	a->piece = malloc(PIECE);
	a->packed = malloc(PACKED);
	a->can_inflate = inflateInit2(&a->inflater, -MAX_WBITS) == Z_OK;
	src = a->piece && a->packed && a->can_inflate
		      ? zip_source_function_create(source, a, &a->error)
		      : NULL;
	if (!src) {
		archive_free(a);
		return -ENOMEM;
	}
	a->zip = zip_open_from_source(src, ZIP_RDONLY, &a->error);
	if (!a->zip) {
		zip_source_free(src);
		refuse(diag, file, NULL, RULE_STRUCTURE, "libzip: %s",
			zip_error_strerror(&a->error));
		archive_free(a);
		return -EINVAL;
	}
	if (zip_get_num_entries(a->zip, 0) != (zip_int64_t)z->n) {
		archive_free(a);
		return refuse(
			diag, file, NULL, RULE_STRUCTURE, "libzip sees another central directory");
	}
	*ret = a;
	return 0;
}

void archive_free(struct archive *a)
{
	if (!a)
		return;
	if (a->zip)
		zip_discard(a->zip);
	zip_error_fini(&a->error);
	if (a->can_inflate)
		inflateEnd(&a->inflater);
	free(a->piece);
	free(a->packed);
	free(a);
}

static int fault(struct archive *a, const struct zip_member *m, zip_error_t *e, struct diag *diag)
{
	switch (zip_error_code_zip(e)) {
	case ZIP_ER_MEMORY:
		return -ENOMEM;
	case ZIP_ER_READ:
		return refuse_errno(diag,
			zip_error_code_system(e) ? -zip_error_code_system(e) : -EIO, a->file,
			m->name, "reading");
	case ZIP_ER_CRC: /* of stored ones libzip looks at it as well */
		return refuse(diag, a->file, m->name, RULE_HEADERS,
			"its bytes have another checksum than its headers");
	default:
		return refuse(diag, a->file, m->name, RULE_STRUCTURE, "libzip: %s",
			zip_error_strerror(e));
	}
}

static int open_member(struct archive *a, size_t i, struct member *ret, struct diag *diag)
{
	const struct zip_member *m = &a->index->members[i];
	const char *name = zip_get_name(a->zip, i, ZIP_FL_ENC_RAW);
	zip_stat_t st;

	*ret = (struct member){.m = m, .left = m->packed};
	if (!name || zip_stat_index(a->zip, i, 0, &st) < 0 || strcmp(name, m->name) != 0 ||
		st.size != m->size || st.comp_size != m->packed || st.crc != m->crc ||
		st.comp_method != m->method)
		return refuse(diag, a->file, m->name, RULE_STRUCTURE,
			"libzip sees another central directory");
	if (inflateReset(&a->inflater) != Z_OK)
		return -ENOMEM;
	a->inflater.avail_in = 0;
	ret->file = zip_fopen_index(a->zip, i, ZIP_FL_COMPRESSED);
	return ret->file ? 0 : fault(a, m, zip_get_error(a->zip), diag);
}

static void close_member(struct member *x)
{
	if (x->file)
		zip_fclose(x->file);
}

static ssize_t read_packed(
	struct archive *a, struct member *x, void *buf, size_t n, struct diag *diag)
{
	zip_int64_t k;

	if (n > x->left)
		n = (size_t)x->left;
	if (!n)
		return 0;
	k = zip_fread(x->file, buf, n);
	if (k < 0)
		return fault(a, x->m, zip_file_get_error(x->file), diag);
	if (k == 0)
		return refuse(diag, a->file, x->m->name, RULE_STRUCTURE,
			"libzip ends before its headers do");
	x->left -= (uint64_t)k;
	return (ssize_t)k;
}

/* One step of inflating into what is free of the piece. */
static int inflate_some(struct archive *a, struct member *x, struct diag *diag)
{
	z_stream *z = &a->inflater;

	if (!z->avail_in) {
		ssize_t k = read_packed(a, x, a->packed, PACKED, diag);

		if (k < 0)
			return (int)k;
		z->next_in = a->packed;
		z->avail_in = (uInt)k;
	}
	switch (inflate(z, Z_NO_FLUSH)) {
	case Z_OK:
		return 0;
	case Z_STREAM_END:
		x->ended = true;
		if (z->avail_in || x->left)
			return refuse(diag, a->file, x->m->name, RULE_STRUCTURE,
				"%llu of its packed bytes lie behind the end of the stream",
				(unsigned long long)(x->left + z->avail_in));
		return 0;
	case Z_BUF_ERROR: /* there was output to fill, so what it lacks is input */
		return refuse(diag, a->file, x->m->name, RULE_STRUCTURE,
			"its packed bytes are over before the stream ends");
	case Z_MEM_ERROR:
		return -ENOMEM;
	default:
		return refuse(diag, a->file, x->m->name, RULE_HEADERS, "it does not inflate: %s",
			z->msg ? z->msg : "data error");
	}
}

/* The next `n` bytes of the file into the piece, fewer only at its end. */
static ssize_t fill(struct archive *a, struct member *x, size_t n, struct diag *diag)
{
	z_stream *z = &a->inflater;
	int r = 0;

	if (x->m->method == ZIP_STORED)
		return read_packed(a, x, a->piece, n, diag);
	z->next_out = a->piece;
	z->avail_out = (uInt)n;
	while (r == 0 && z->avail_out && !x->ended)
		r = inflate_some(a, x, diag);
	return r < 0 ? r : (ssize_t)(n - z->avail_out);
}

static int read_all(struct archive *a, struct member *x,
	int (*sink)(void *arg, const void *buf, size_t n), void *arg, struct diag *diag)
{
	const struct zip_member *m = x->m;
	uint64_t left = m->size;
	uLong crc = crc32(0, NULL, 0);
	ssize_t k;
	int r;

	/* one byte more than declared: the end must come by itself */
	while ((k = fill(a, x, left < PIECE ? (size_t)left + 1 : PIECE, diag)) > 0) {
		if ((uint64_t)k > left)
			return refuse(diag, a->file, m->name, RULE_SIZE,
				"it is larger than its headers tell");
		crc = crc32(crc, a->piece, (uInt)k);
		if ((r = sink(arg, a->piece, (size_t)k)) < 0)
			return r;
		left -= (uint64_t)k;
	}
	if (k < 0)
		return (int)k;
	if (left)
		return refuse(
			diag, a->file, m->name, RULE_SIZE, "it is smaller than its headers tell");
	if (crc != m->crc)
		return refuse(diag, a->file, m->name, RULE_HEADERS,
			"its bytes have another checksum than its headers");
	return 0;
}

int archive_read(struct archive *a, size_t member,
	int (*sink)(void *arg, const void *buf, size_t n), void *arg, struct diag *diag)
{
	struct member x;
	int r = open_member(a, member, &x, diag);

	if (r == 0)
		r = read_all(a, &x, sink, arg, diag);
	close_member(&x);
	return r;
}

static int add_piece(void *arg, const void *buf, size_t n)
{
	return str_add_mem(arg, buf, n);
}

int archive_slurp(struct archive *a, size_t member, size_t max, struct str *ret, struct diag *diag)
{
	const struct zip_member *m = &a->index->members[member];
	struct str s = {0};
	int r;

	if (m->size > max)
		return refuse(
			diag, a->file, m->name, RULE_SIZE, "it is larger than %zu KiB", max / 1024);
	r = str_reserve(&s, (size_t)m->size + 1);
	if (r == 0)
		r = archive_read(a, member, add_piece, &s, diag);
	if (r < 0)
		str_free(&s);
	else
		*ret = s;
	return r;
}

ssize_t archive_head(struct archive *a, size_t member, void *buf, size_t n, struct diag *diag)
{
	struct member x;
	ssize_t k = open_member(a, member, &x, diag);

	if (k == 0)
		k = fill(a, &x, n < PIECE ? n : PIECE, diag);
	if (k > 0)
		memcpy(buf, a->piece, (size_t)k);
	close_member(&x);
	return k;
}
