/* SPDX-License-Identifier: MIT
 *
 * Readers of zip archives differ in where they look first, and an archive can be made that shows
 * each of them other files. So nothing is searched or skipped here but the end record; every other
 * byte must be where the records say, and everything that is said twice must agree:
 *
 *	[header name extra data (descriptor)]*  [directory]  [zip64 end, locator]  end (comment)
 *	^ 0                                     ^ end's offset                             size ^
 *
 * (APPNOTE.TXT 6.3.9, sections 4.3 to 4.5.)
 */
#include "py/wheel_zip.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "py/refuse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	END_SIZE = 22,
	LOCATOR_SIZE = 20,
	END64_SIZE = 56,
	CENTRAL_SIZE = 46,
	LOCAL_SIZE = 30,
	COMMENT_MAX = 0xffff,
	MEMBERS_MAX = 500000,
	DIRECTORY_MAX = 256 * 1024 * 1024,
	LOCAL_READ = 1024, /* enough for nearly every header with its name */
	EXTRA_ZIP64 = 0x0001,
	EXTRA_UNICODE_PATH = 0x7075,
};
#define SIG_LOCAL 0x04034b50u
#define SIG_CENTRAL 0x02014b50u
#define SIG_END 0x06054b50u
#define SIG_END64 0x06064b50u
#define SIG_LOCATOR 0x07064b50u
#define SIG_DESCRIPTOR 0x08074b50u
#define FULL16 0xffffu
#define FULL32 0xffffffffu
#define FLAGS_KNOWN                                                                                \
	0x080eu		    /* how hard it was deflated, a descriptor follows, the name is UTF-8   \
			     */
#define FLAGS_CRYPT 0x2041u /* encrypted, strongly encrypted, the directory is masked */

struct reader {
	int fd;
	uint64_t size;
	const char *file;
	struct diag *diag;
	uint64_t directory; /* where the members end */
	uint64_t directory_size;
	uint64_t n;
	uint8_t *local; /* LOCAL_SIZE + 2 * 64 KiB */
};

static uint16_t u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t u32(const uint8_t *p)
{
	return u16(p) | (uint32_t)u16(p + 2) << 16;
}

static uint64_t u64(const uint8_t *p)
{
	return u32(p) | (uint64_t)u32(p + 4) << 32;
}

static int read_at(const struct reader *r, void *buf, size_t n, uint64_t off)
{
	ssize_t k = io_pread_full(r->fd, buf, n, (off_t)off);

	if (k < 0)
		return refuse_errno(r->diag, (int)k, r->file, NULL, "reading");
	if ((size_t)k < n)
		return refuse_errno(r->diag, -EIO, r->file, NULL, "it became shorter");
	return 0;
}

#define REFUSE(r, member, rule, ...) refuse((r)->diag, (r)->file, (member), (rule), __VA_ARGS__)

/* A field of the end record: the 64-bit record's where it is full, and never another value. */
static bool agrees(uint64_t small, uint64_t full, uint64_t big)
{
	return small == full || small == big;
}

static int read_end64(struct reader *r, uint64_t end, const uint8_t *e)
{
	uint8_t locator[LOCATOR_SIZE], big[END64_SIZE];
	uint64_t at;
	int k;

	if ((k = read_at(r, locator, sizeof locator, end - LOCATOR_SIZE)) < 0)
		return k;
	at = u64(locator + 8);
	if (u32(locator + 4) != 0 || u32(locator + 16) > 1)
		return REFUSE(r, NULL, RULE_METHOD, "the archive is part of a set of disks");
	if (end < LOCATOR_SIZE + END64_SIZE || at != end - LOCATOR_SIZE - END64_SIZE)
		return REFUSE(r, NULL, RULE_STRUCTURE,
			"the ZIP64 locator does not point at a plain record before it");
	if ((k = read_at(r, big, sizeof big, at)) < 0)
		return k;
	if (u32(big) != SIG_END64 || u64(big + 4) != END64_SIZE - 12)
		return REFUSE(r, NULL, RULE_STRUCTURE,
			"the ZIP64 end record is missing or has extensible data");
	if (u32(big + 16) != 0 || u32(big + 20) != 0 || u64(big + 24) != u64(big + 32))
		return REFUSE(r, NULL, RULE_METHOD, "the archive is part of a set of disks");
	r->n = u64(big + 32);
	r->directory_size = u64(big + 40);
	r->directory = u64(big + 48);
	if (!agrees(u16(e + 4), FULL16, 0) || !agrees(u16(e + 6), FULL16, 0) ||
		!agrees(u16(e + 8), FULL16, r->n) || !agrees(u16(e + 10), FULL16, r->n) ||
		!agrees(u32(e + 12), FULL32, r->directory_size) ||
		!agrees(u32(e + 16), FULL32, r->directory))
		return REFUSE(r, NULL, RULE_STRUCTURE, "the two end records contradict each other");
	if (r->directory > at || r->directory_size != at - r->directory)
		return REFUSE(r, NULL, RULE_STRUCTURE,
			"the central directory does not end at the end record");
	return 0;
}

/* The comment may be no second archive. */
static bool has_signature(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 4 <= n; i++) {
		uint32_t s = u32(p + i);

		if (s == SIG_LOCAL || s == SIG_CENTRAL || s == SIG_END || s == SIG_END64 ||
			s == SIG_LOCATOR || s == SIG_DESCRIPTOR)
			return true;
	}
	return false;
}

static int read_end(struct reader *r)
{
	size_t n = r->size < END_SIZE + COMMENT_MAX ? (size_t)r->size : END_SIZE + COMMENT_MAX;
	auto_free uint8_t *tail = malloc(n + 1);
	uint8_t sig[4] = {0};
	const uint8_t *e = NULL;
	uint64_t end;
	int k;

	if (!tail)
		return -ENOMEM;
	if ((k = read_at(r, tail, n, r->size - n)) < 0)
		return k;
	for (size_t i = n < END_SIZE ? 0 : n - END_SIZE + 1; i-- > 0;)
		if (u32(tail + i) == SIG_END) {
			e = tail + i;
			break;
		}
	if (!e)
		return REFUSE(
			r, NULL, RULE_STRUCTURE, "it is no zip archive: there is no end record");
	if (u16(e + 20) != (size_t)(tail + n - e) - END_SIZE)
		return REFUSE(r, NULL, RULE_STRUCTURE, "the end record is not where the file ends");
	if (has_signature(e + END_SIZE, u16(e + 20)))
		return REFUSE(r, NULL, RULE_STRUCTURE, "the archive's comment holds zip records");
	end = r->size - (uint64_t)(tail + n - e);
	if (end >= LOCATOR_SIZE && (k = read_at(r, sig, sizeof sig, end - LOCATOR_SIZE)) < 0)
		return k;
	if (u32(sig) == SIG_LOCATOR)
		return read_end64(r, end, e);
	if (u16(e + 4) != 0 || u16(e + 6) != 0)
		return REFUSE(r, NULL, RULE_METHOD, "the archive is part of a set of disks");
	if (u16(e + 8) != u16(e + 10))
		return REFUSE(r, NULL, RULE_STRUCTURE, "the end record has two counts of members");
	if (u16(e + 10) == FULL16 || u32(e + 12) == FULL32 || u32(e + 16) == FULL32)
		return REFUSE(r, NULL, RULE_STRUCTURE, "the ZIP64 locator is missing");
	r->n = u16(e + 10);
	r->directory_size = u32(e + 12);
	r->directory = u32(e + 16);
	if (r->directory > end || r->directory_size != end - r->directory)
		return REFUSE(r, NULL, RULE_STRUCTURE,
			"the central directory does not end at the end record");
	return 0;
}

/* Extra fields: [id size data]*. The 64-bit sizes stand in for those of the three fields that are
 * full, in their order. */
struct extra {
	const uint8_t *zip64;
	size_t zip64_size;
};

static int read_extra(
	const struct reader *r, const char *name, const uint8_t *p, size_t n, struct extra *ret)
{
	*ret = (struct extra){0};
	while (n) {
		uint16_t id, len;

		if (n < 4 || (len = u16(p + 2)) > n - 4)
			return REFUSE(r, name, RULE_STRUCTURE, "its extra fields are malformed");
		id = u16(p);
		if (id == EXTRA_ZIP64) {
			if (ret->zip64)
				return REFUSE(r, name, RULE_STRUCTURE, "it has two ZIP64 fields");
			ret->zip64 = p + 4;
			ret->zip64_size = len;
		}
		/* version, CRC of the plain name, the name */
		if (id == EXTRA_UNICODE_PATH && (len < 5 || (size_t)len - 5 != strlen(name) ||
							memcmp(p + 9, name, strlen(name)) != 0))
			return REFUSE(r, name, RULE_NAME, "an extra field gives it another name");
		p += 4 + len;
		n -= 4 + (size_t)len;
	}
	return 0;
}

static bool take64(struct extra *x, uint64_t *v)
{
	if (*v != FULL32)
		return true;
	if (x->zip64_size < 8)
		return false;
	*v = u64(x->zip64);
	x->zip64 += 8;
	x->zip64_size -= 8;
	return true;
}

static int check_flags(const struct reader *r, const struct zip_member *m)
{
	if (m->flags & FLAGS_CRYPT)
		return REFUSE(r, m->name, RULE_METHOD, "it is encrypted");
	if (m->flags & ~FLAGS_KNOWN)
		return REFUSE(r, m->name, RULE_METHOD, "it has unknown flags (0x%04x)", m->flags);
	if (m->method != ZIP_STORED && m->method != ZIP_DEFLATED)
		return REFUSE(r, m->name, RULE_METHOD,
			"compression method %u is neither stored nor deflated", m->method);
	if (m->method == ZIP_STORED && m->packed != m->size)
		return REFUSE(r, m->name, RULE_HEADERS, "it is stored, with two different sizes");
	return 0;
}

/* One entry of the directory; *used is its size. */
static int read_central(struct reader *r, const uint8_t *p, size_t left, char *name,
	struct zip_member *m, size_t *used)
{
	size_t name_len, extra_len, comment_len;
	struct extra x;
	int k;

	if (left < CENTRAL_SIZE || u32(p) != SIG_CENTRAL)
		return REFUSE(r, NULL, RULE_STRUCTURE,
			"the central directory has fewer entries than the end record counts");
	name_len = u16(p + 28);
	extra_len = u16(p + 30);
	comment_len = u16(p + 32);
	if (left - CENTRAL_SIZE < name_len + extra_len + comment_len)
		return REFUSE(r, NULL, RULE_STRUCTURE, "the central directory is cut short");
	memcpy(name, p + CENTRAL_SIZE, name_len);
	name[name_len] = '\0';
	if (!name_len)
		return REFUSE(r, NULL, RULE_NAME, "a member has an empty name");
	if (memchr(name, '\0', name_len))
		return REFUSE(r, name, RULE_NAME, "the name goes on behind a NUL");
	*m = (struct zip_member){
		.name = name,
		.flags = u16(p + 8),
		.method = u16(p + 10),
		.crc = u32(p + 16),
		.packed = u32(p + 20),
		.size = u32(p + 24),
		.mode = u32(p + 38) >> 16,
		.offset = u32(p + 42),
		.dir = name[name_len - 1] == '/',
	};
	if (u16(p + 34) != 0)
		return REFUSE(r, name, RULE_METHOD, "it lies on another disk");
	if ((k = read_extra(r, name, p + CENTRAL_SIZE + name_len, extra_len, &x)) < 0)
		return k;
	if (!take64(&x, &m->size) || !take64(&x, &m->packed) || !take64(&x, &m->offset) ||
		x.zip64_size)
		return REFUSE(r, name, RULE_STRUCTURE, "its ZIP64 field does not fit its sizes");
	*used = CENTRAL_SIZE + name_len + extra_len + comment_len;
	return check_flags(r, m);
}

static int read_directory(struct reader *r, struct zip_index *z)
{
	auto_free uint8_t *dir = NULL;
	size_t size, at = 0;
	char *name;
	int k;

	if (r->n > MEMBERS_MAX || r->directory_size > DIRECTORY_MAX)
		return REFUSE(r, NULL, RULE_SIZE, "it has more members than any wheel");
	size = (size_t)r->directory_size;
	if (r->n > size / CENTRAL_SIZE)
		return REFUSE(r, NULL, RULE_STRUCTURE,
			"the central directory has fewer entries than the end record counts");
	dir = malloc(size + 1);
	z->members = calloc((size_t)r->n + 1, sizeof *z->members);
	name = z->names = malloc(size + 1); /* a name is shorter than its entry */
	if (!dir || !z->members || !z->names)
		return -ENOMEM;
	if ((k = read_at(r, dir, size, r->directory)) < 0)
		return k;
	for (; z->n < r->n; z->n++) {
		size_t used = 0;

		k = read_central(r, dir + at, size - at, name, &z->members[z->n], &used);
		if (k < 0)
			return k;
		name += strlen(name) + 1;
		at += used;
	}
	if (at != size)
		return REFUSE(r, NULL, RULE_STRUCTURE,
			"the central directory has more than the end record counts");
	return 0;
}

/* What lies between a member's data and the next member: its descriptor, or nothing. Its sizes are
 * `wide` (64 bits) by what its own header has, or where they have to be: readers go by that, not by
 * the room there is. */
static int check_gap(
	struct reader *r, const struct zip_member *m, bool wide, uint64_t at, uint64_t gap)
{
	uint8_t b[24];
	const uint8_t *p = b;
	size_t plain;
	int k;

	if (gap > sizeof b) {
		if ((k = read_at(r, b, 4, at)) < 0)
			return k;
		if (u32(b) == SIG_LOCAL)
			return REFUSE(r, m->name, RULE_HEADERS,
				"behind it lies a member that the central directory does not name");
		return REFUSE(r, m->name, RULE_STRUCTURE,
			"%llu bytes behind it belong to no member", (unsigned long long)gap);
	}
	if ((k = read_at(r, b, (size_t)gap, at)) < 0)
		return k;
	if (!(m->flags & ZIP_FLAG_DESCRIPTOR)) {
		if (!gap)
			return 0;
		if (gap >= 12 && u32(b) == SIG_DESCRIPTOR)
			return REFUSE(r, m->name, RULE_HEADERS,
				"a data descriptor follows that its header does not announce");
		return REFUSE(r, m->name, RULE_STRUCTURE,
			"%llu bytes behind it belong to no member", (unsigned long long)gap);
	}
	wide = wide || m->packed >= FULL32 || m->size >= FULL32;
	plain = wide ? 20 : 12;
	if (gap != plain && gap != plain + 4)
		return REFUSE(r, m->name, RULE_HEADERS,
			"its data descriptor is missing, or of another kind than its header");
	/* a checksum that looks like the signature would be taken for it */
	if ((u32(b) == SIG_DESCRIPTOR) != (gap == plain + 4))
		return REFUSE(r, m->name, RULE_HEADERS, "its data descriptor is malformed");
	p += gap - plain;
	if (u32(p) != m->crc || (wide ? u64(p + 4) : u32(p + 4)) != m->packed ||
		(wide ? u64(p + 12) : u32(p + 8)) != m->size)
		return REFUSE(r, m->name, RULE_HEADERS,
			"its data descriptor and the central directory differ");
	return 0;
}

/* A size in the member's own header: the directory's, or 0 where a descriptor tells it later. */
static bool same(const struct zip_member *m, uint64_t local, uint64_t central)
{
	return local == central || (local == 0 && (m->flags & ZIP_FLAG_DESCRIPTOR));
}

/* The member's own header against the directory's entry; `next` is where the one behind it begins.
 */
static int check_local(struct reader *r, const struct zip_member *m, uint64_t next)
{
	size_t name_len, extra_len, got;
	uint64_t packed, size, start;
	uint8_t *h = r->local;
	struct extra x;
	int k;

	if (next - m->offset < LOCAL_SIZE)
		return REFUSE(r, m->name, RULE_OVERLAP, "it overlaps the next member");
	got = next - m->offset < LOCAL_READ ? (size_t)(next - m->offset) : LOCAL_READ;
	if ((k = read_at(r, h, got, m->offset)) < 0)
		return k;
	if (u32(h) != SIG_LOCAL)
		return REFUSE(r, m->name, RULE_HEADERS, "it has no header of its own");
	name_len = u16(h + 26);
	extra_len = u16(h + 28);
	start = LOCAL_SIZE + name_len + extra_len;
	if (next - m->offset < start)
		return REFUSE(r, m->name, RULE_OVERLAP, "it overlaps the next member");
	if (start > got && (k = read_at(r, h + got, (size_t)start - got, m->offset + got)) < 0)
		return k;
	if (name_len != strlen(m->name) || memcmp(h + LOCAL_SIZE, m->name, name_len) != 0)
		return REFUSE(r, m->name, RULE_HEADERS, "its own header has another name");
	if (u16(h + 6) != m->flags || u16(h + 8) != m->method)
		return REFUSE(r, m->name, RULE_HEADERS,
			"its own header has other flags or another method");
	if ((k = read_extra(r, m->name, h + LOCAL_SIZE + name_len, extra_len, &x)) < 0)
		return k;
	packed = u32(h + 18);
	size = u32(h + 22);
	/* here both sizes are in the field if it is there, in the same order */
	if (packed == FULL32 || size == FULL32) {
		if (x.zip64_size != 16)
			return REFUSE(r, m->name, RULE_STRUCTURE,
				"its ZIP64 field does not fit its sizes");
		size = size == FULL32 ? u64(x.zip64) : size;
		packed = packed == FULL32 ? u64(x.zip64 + 8) : packed;
	} else if (x.zip64_size) {
		return REFUSE(r, m->name, RULE_STRUCTURE, "its ZIP64 field does not fit its sizes");
	}
	if (!same(m, u32(h + 14), m->crc) || !same(m, packed, m->packed) || !same(m, size, m->size))
		return REFUSE(
			r, m->name, RULE_HEADERS, "its own header has another size or checksum");
	/* who reads from the front can not tell where it ends */
	if (m->method == ZIP_STORED && packed != m->packed)
		return REFUSE(r, m->name, RULE_HEADERS,
			"it is stored, and its own header leaves out its size");
	start += m->offset;
	if (m->packed > next - start)
		return REFUSE(r, m->name, RULE_OVERLAP, "it overlaps the next member");
	return check_gap(r, m, x.zip64 != NULL, start + m->packed, next - start - m->packed);
}

static int by_offset(const void *a, const void *b)
{
	const struct zip_member *x = *(const struct zip_member *const *)a;
	const struct zip_member *y = *(const struct zip_member *const *)b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int check_members(struct reader *r, const struct zip_index *z)
{
	auto_free const struct zip_member **order = calloc(z->n + 1, sizeof(*order));
	int k;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < z->n; i++)
		order[i] = &z->members[i];
	qsort(order, z->n, sizeof *order, by_offset);
	if (r->directory && (!z->n || order[0]->offset != 0))
		return REFUSE(
			r, NULL, RULE_STRUCTURE, "there is something before the first member");
	for (size_t i = 0; i < z->n; i++) {
		uint64_t next = i + 1 < z->n ? order[i + 1]->offset : r->directory;

		if (order[i]->offset >= r->directory || next > r->directory)
			return REFUSE(r, order[i]->name, RULE_OVERLAP,
				"it lies in or behind the central directory");
		if ((k = check_local(r, order[i], next)) < 0)
			return k;
	}
	return 0;
}

int zip_index_read(
	int fd, uint64_t size, const char *file, struct zip_index *ret, struct diag *diag)
{
	auto_free uint8_t *local = malloc(LOCAL_SIZE + 2 * (FULL16 + 1));
	struct reader r = {.fd = fd, .size = size, .file = file, .diag = diag, .local = local};
	struct zip_index z = {0};
	int k;

	if (!local)
		return -ENOMEM;
	if ((k = read_end(&r)) < 0)
		return k;
	if ((k = read_directory(&r, &z)) < 0 || (k = check_members(&r, &z)) < 0) {
		zip_index_free(&z);
		return k;
	}
	*ret = z;
	return 0;
}

void zip_index_free(struct zip_index *z)
{
	free(z->members);
	free(z->names);
	*z = (struct zip_index){0};
}
