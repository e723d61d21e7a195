/* SPDX-License-Identifier: MIT
 *
 * The rows as Python's csv module reads them, but that text behind a closing quote is refused:
 * readers differ about it, and it would let one RECORD mean two things.
 */
#include "py/record.h"

#include <errno.h>
#include <string.h>

enum { N_FIELDS = 3 };

struct reader {
	const char *at, *end;
	struct str fields; /* of one row, each with a NUL behind it */
	size_t offset[N_FIELDS];
	size_t n;
	size_t row; /* counted from 1 */
	struct diag *diag;
};

static int fail(const struct reader *r, const char *what)
{
	return diag_set(r->diag, -EINVAL, "row %zu of RECORD: %s", r->row, what);
}

static bool at_line_end(const struct reader *r)
{
	return r->at == r->end || *r->at == '\n' || *r->at == '\r';
}

/* Behind the opening quote; a quote within is doubled. */
static int read_quoted(struct reader *r)
{
	for (;;) {
		const char *quote = memchr(r->at, '"', (size_t)(r->end - r->at));
		bool doubled;

		if (!quote)
			return fail(r, "a quote is not closed");
		doubled = quote + 1 < r->end && quote[1] == '"';
		if (str_add_mem(&r->fields, r->at, (size_t)(quote - r->at) + doubled) < 0)
			return -ENOMEM;
		r->at = quote + 1 + doubled;
		if (!doubled)
			return 0;
	}
}

static int read_field(struct reader *r)
{
	const char *start = r->at;
	int err = 0;

	if (r->n == N_FIELDS)
		return fail(r, "it has more than three fields");
	r->offset[r->n++] = r->fields.len;
	if (r->at < r->end && *r->at == '"') {
		r->at++;
		err = read_quoted(r);
		if (err == 0 && !at_line_end(r) && *r->at != ',')
			return fail(r, "text is behind a closing quote");
	} else {
		while (!at_line_end(r) && *r->at != ',')
			r->at++;
		err = str_add_mem(&r->fields, start, (size_t)(r->at - start));
	}
	return err < 0 ? err : str_add_mem(&r->fields, "", 1);
}

static int read_row(struct reader *r)
{
	str_truncate(&r->fields, 0);
	for (r->n = 0;;) {
		int err = read_field(r);

		if (err < 0)
			return err;
		if (at_line_end(r))
			break;
		r->at++;
	}
	if (r->at < r->end)
		r->at += *r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n' ? 2 : 1;
	return 0;
}

static const char *field(const struct reader *r, size_t i)
{
	return i < r->n ? r->fields.p + r->offset[i] : "";
}

static int read_all(
	struct reader *r, int (*each)(void *arg, const struct record_row *row), void *arg)
{
	while (r->at < r->end) {
		struct record_row row;
		int err;

		r->row++;
		err = read_row(r);
		if (err < 0)
			return err;
		row = (struct record_row){field(r, 0), field(r, 1), field(r, 2)};
		if (r->n == 1 && !*row.path)
			continue; /* an empty line */
		if (!*row.path)
			return fail(r, "it has no path");
		err = each(arg, &row);
		if (err < 0)
			return err;
	}
	return 0;
}

int record_parse(const char *text, size_t n, int (*each)(void *arg, const struct record_row *row),
	void *arg, struct diag *diag)
{
	struct reader r = {.at = text, .end = text + n, .diag = diag};
	int err;

	if (n && memchr(text, '\0', n))
		return diag_set(diag, -EINVAL, "RECORD holds a NUL byte");
	err = read_all(&r, each, arg);
	str_free(&r.fields);
	return err;
}

static int digit64(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* The urlsafe alphabet without padding, and no stray bit at the end. */
static bool decode64(const char *text, uint8_t *out, size_t size)
{
	uint32_t bits = 0;
	size_t n_bits = 0, n = 0;

	if (strlen(text) != (size * 8 + 5) / 6)
		return false;
	for (; *text; text++) {
		int d = digit64(*text);

		if (d < 0)
			return false;
		bits = (bits << 6 | (uint32_t)d) & 0xffff;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			out[n++] = (uint8_t)(bits >> n_bits);
		}
	}
	return (bits & ((1u << n_bits) - 1)) == 0;
}

bool record_hash_parse(const char *text, enum hash_kind *ret_kind, uint8_t ret[HASH_SIZE_MAX])
{
	static const struct {
		const char *prefix;
		enum hash_kind kind;
		size_t size;
	} kinds[] = {{"sha256=", HASH_SHA256, 32}, {"sha384=", HASH_SHA384, 48},
		{"sha512=", HASH_SHA512, 64}};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (str_starts(text, kinds[i].prefix)) {
			*ret_kind = kinds[i].kind;
			return decode64(text + strlen(kinds[i].prefix), ret, kinds[i].size);
		}
	return false;
}

static int add_field(struct str *out, const char *text)
{
	int r;

	if (!strpbrk(text, ",\"\r\n"))
		return str_add(out, text);
	r = str_add(out, "\"");
	for (const char *quote; r == 0 && (quote = strchr(text, '"')); text = quote + 1) {
		r = str_add_mem(out, text, (size_t)(quote - text) + 1);
		if (r == 0)
			r = str_add(out, "\"");
	}
	if (r == 0)
		r = str_add(out, text);
	return r < 0 ? r : str_add(out, "\"");
}

int record_add(struct str *out, const char *path, const struct digest *digest, uint64_t size)
{
	size_t before = out->len;
	char hash[44];
	int r = add_field(out, path);

	if (r == 0 && digest) {
		digest_format_base64(digest, hash);
		r = str_addf(out, ",sha256=%s,%llu\r\n", hash, (unsigned long long)size);
	} else if (r == 0) {
		r = str_add(out, ",,\r\n");
	}
	if (r < 0)
		str_truncate(out, before);
	return r;
}
