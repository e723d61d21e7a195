/* SPDX-License-Identifier: MIT
 *
 * SHA-256 by libcrypto. Looking the algorithm up costs as much as hashing a few KiB, and
 * most files of a distribution are smaller than that: so it is fetched once in a process,
 * and each thread keeps one context for digest_buf() and digest_fd().
 */
#include "store/digest.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

enum { READ_SIZE = 1 << 16 };

struct hasher {
	EVP_MD_CTX *ctx;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key; /* frees a thread's own hasher at its end */
static bool have_key;
static EVP_MD *sha256; /* kept until exit; NULL if libcrypto has none */
static __thread struct hasher *thread_hasher;

static void free_thread_hasher(void *h)
{
	thread_hasher = NULL;
	hasher_free(h);
}

static void init_once(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	have_key = pthread_key_create(&thread_key, free_thread_hasher) == 0;
}

struct hasher *hasher_new(void)
{
	struct hasher *h = calloc(1, sizeof *h);

	pthread_once(&once, init_once);
	if (!h)
		return NULL;
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx) {
		free(h);
		return NULL;
	}
	return h;
}

void hasher_free(struct hasher *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

CLEANUP_DEFINE(hasher, hasher_free)

int hasher_begin(struct hasher *h)
{
	return sha256 && EVP_DigestInit_ex2(h->ctx, sha256, NULL) == 1 ? 0 : -EIO;
}

int hasher_add(struct hasher *h, const void *buf, size_t n)
{
	return EVP_DigestUpdate(h->ctx, buf, n) == 1 ? 0 : -EIO;
}

int hasher_end(struct hasher *h, struct digest *ret)
{
	unsigned int n;
	uint8_t md[EVP_MAX_MD_SIZE];

	if (EVP_DigestFinal_ex(h->ctx, md, &n) != 1 || n != DIGEST_SIZE)
		return -EIO;
	memcpy(ret->b, md, DIGEST_SIZE);
	return 0;
}

size_t hash_size(enum hash_kind kind)
{
	return kind == HASH_SHA512 ? 64 : kind == HASH_SHA384 ? 48 : 32;
}

int hasher_begin_kind(struct hasher *h, enum hash_kind kind)
{
	const EVP_MD *md = kind == HASH_SHA512   ? EVP_sha512()
	                   : kind == HASH_SHA384 ? EVP_sha384()
	                                         : sha256;

	return md && EVP_DigestInit_ex2(h->ctx, md, NULL) == 1 ? 0 : -EIO;
}

int hasher_end_kind(struct hasher *h, enum hash_kind kind, uint8_t ret[HASH_SIZE_MAX])
{
	unsigned int n;
	uint8_t md[EVP_MAX_MD_SIZE];

	if (EVP_DigestFinal_ex(h->ctx, md, &n) != 1 || n != hash_size(kind))
		return -EIO;
	memcpy(ret, md, n);
	return 0;
}

/* This thread's own. Where it can not be kept, the caller's `spare` owns it. */
static struct hasher *borrow_hasher(struct hasher **spare)
{
	struct hasher *h = thread_hasher;

	if (h)
		return h;
	h = hasher_new();
	if (h && have_key && pthread_setspecific(thread_key, h) == 0)
		thread_hasher = h;
	else
		*spare = h;
	return h;
}

int digest_buf(const void *buf, size_t n, struct digest *ret)
{
	auto_of(hasher) struct hasher *spare = NULL;
	struct hasher *h = borrow_hasher(&spare);
	int r;

	if (!h)
		return -ENOMEM;
	r = hasher_begin(h);
	if (r == 0)
		r = hasher_add(h, buf, n);
	return r < 0 ? r : hasher_end(h, ret);
}

int digest_fd(int fd, off_t off, uint64_t n, struct digest *ret)
{
	auto_of(hasher) struct hasher *spare = NULL;
	auto_free uint8_t *buf = NULL;
	struct hasher *h;
	int r;

	if (off < 0)
		return -EINVAL;
	if (n > (uint64_t)INT64_MAX - (uint64_t)off)
		return -EIO;
	h = borrow_hasher(&spare);
	buf = malloc(n < READ_SIZE ? (size_t)n + 1 : READ_SIZE);
	if (!h || !buf)
		return -ENOMEM;
	r = hasher_begin(h);
	while (r == 0 && n) {
		size_t want = n < READ_SIZE ? (size_t)n : READ_SIZE;
		ssize_t k = io_pread_full(fd, buf, want, off);

		if (k < 0)
			return (int)k;
		if ((size_t)k < want)
			return -EIO;
		r = hasher_add(h, buf, want);
		off += k;
		n -= want;
	}
	return r < 0 ? r : hasher_end(h, ret);
}

void digest_format(const struct digest *d, char hex[DIGEST_HEX + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		hex[2 * i] = digits[d->b[i] >> 4];
		hex[2 * i + 1] = digits[d->b[i] & 15];
	}
	hex[DIGEST_HEX] = '\0';
}

/* a hex digit's value + 1, so that 0 means "none" */
static const uint8_t hex_value[256] = {
	['0'] = 1,
	['1'] = 2,
	['2'] = 3,
	['3'] = 4,
	['4'] = 5,
	['5'] = 6,
	['6'] = 7,
	['7'] = 8,
	['8'] = 9,
	['9'] = 10,
	['a'] = 11,
	['b'] = 12,
	['c'] = 13,
	['d'] = 14,
	['e'] = 15,
	['f'] = 16,
};

int digest_parse(const char *hex, size_t n, struct digest *ret)
{
	struct digest d;

	if (n != DIGEST_HEX)
		return -EINVAL;
	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		unsigned int hi = hex_value[(uint8_t)hex[2 * i]];
		unsigned int lo = hex_value[(uint8_t)hex[2 * i + 1]];

		if (!hi || !lo)
			return -EINVAL;
		d.b[i] = (uint8_t)((hi - 1) << 4 | (lo - 1));
	}
	*ret = d;
	return 0;
}

void digest_format_base64(const struct digest *d, char out[44])
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	unsigned int held = 0;
	size_t k = 0;

	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		bits = bits << 8 | d->b[i];
		for (held += 8; held >= 6; held -= 6)
			out[k++] = digits[bits >> (held - 6) & 63];
	}
	out[k++] = digits[bits << (6 - held) & 63];
	out[k] = '\0';
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->b, b->b, DIGEST_SIZE) == 0;
}
