/* SPDX-License-Identifier: MIT
 *
 * libzip reads from a source of ours: pread on a descriptor that all threads share. So the file is
 * opened once (no name is looked up a second time), a handle costs no descriptor, and a file
 * that shrinks meanwhile is an error, where a mapping would be a fault.
 */
#include "py/wheel_archive.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "py/refuse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

enum { PIECE = 128 * 1024 };

struct archive {
	int fd;
	uint64_t size;
	const struct zip_index *index;
	const char *file;
	zip_t *zip;
	zip_int64_t at; /* the source's position */
	zip_error_t error;
	char *piece;
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
	src = a->piece ? zip_source_function_create(source, a, &a->error) : NULL;
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
	free(a->piece);
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
	case ZIP_ER_CRC:
		return refuse(diag, a->file, m->name, RULE_HEADERS,
			"its bytes have another checksum than its headers");
	case ZIP_ER_INCONS:
		return refuse(diag, a->file, m->name, RULE_SIZE,
			"it has another size than its headers tell");
	default:
		return refuse(diag, a->file, m->name, RULE_HEADERS, "it does not inflate: %s",
			zip_error_strerror(e));
	}
}

static int open_member(struct archive *a, size_t i, zip_file_t **ret, struct diag *diag)
{
	const struct zip_member *m = &a->index->members[i];
	const char *name = zip_get_name(a->zip, i, ZIP_FL_ENC_RAW);
	zip_stat_t st;

	if (!name || zip_stat_index(a->zip, i, 0, &st) < 0 || strcmp(name, m->name) != 0 ||
		st.size != m->size || st.comp_size != m->packed || st.crc != m->crc ||
		st.comp_method != m->method)
		return refuse(diag, a->file, m->name, RULE_STRUCTURE,
			"libzip sees another central directory");
	*ret = zip_fopen_index(a->zip, i, 0);
	return *ret ? 0 : fault(a, m, zip_get_error(a->zip), diag);
}

int archive_read(struct archive *a, size_t member,
	int (*sink)(void *arg, const void *buf, size_t n), void *arg, struct diag *diag)
{
	const struct zip_member *m = &a->index->members[member];
	zip_file_t *f = NULL;
	uint64_t left = m->size;
	int r = open_member(a, member, &f, diag);

	while (r == 0) {
		/* one byte more than declared: the end must come by itself, and with it the
		 * checksum */
		size_t want = left < PIECE ? (size_t)left + 1 : PIECE;
		zip_int64_t k = zip_fread(f, a->piece, want);

		if (k < 0)
			r = fault(a, m, zip_file_get_error(f), diag);
		else if (k == 0)
			break;
		else if ((uint64_t)k > left)
			r = refuse(diag, a->file, m->name, RULE_SIZE,
				"it is larger than its headers tell");
		else
			r = sink(arg, a->piece, (size_t)k);
		left -= r == 0 ? (uint64_t)k : 0;
	}
	if (r == 0 && left)
		r = refuse(
			diag, a->file, m->name, RULE_SIZE, "it is smaller than its headers tell");
	if (f)
		zip_fclose(f);
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
	zip_file_t *f = NULL;
	zip_int64_t k;
	int r = open_member(a, member, &f, diag);

	if (r < 0)
		return r;
	k = zip_fread(f, buf, n);
	if (k < 0)
		k = fault(a, &a->index->members[member], zip_file_get_error(f), diag);
	zip_fclose(f);
	return (ssize_t)k;
}
