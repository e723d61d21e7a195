/* SPDX-License-Identifier: MIT */
#include "store/digest.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "tests/tap.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
/* FIPS 180-4, 896-bit message of two blocks */
#define TWO_BLOCKS_TEXT "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
#define TWO_BLOCKS "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"

static bool is(const struct digest *d, const char *hex)
{
	char text[DIGEST_HEX + 1];

	digest_format(d, text);
	return strcmp(text, hex) == 0;
}

static void test_buf(void)
{
	struct digest d;

	ok(digest_buf("", 0, &d) == 0 && is(&d, EMPTY), "SHA-256 of nothing");
	ok(digest_buf(NULL, 0, &d) == 0 && is(&d, EMPTY), "nothing at NULL");
	ok(digest_buf("abc", 3, &d) == 0 && is(&d, ABC), "SHA-256 of abc");
	ok(digest_buf(TWO_BLOCKS_TEXT, strlen(TWO_BLOCKS_TEXT), &d) == 0 && is(&d, TWO_BLOCKS),
		"SHA-256 over two blocks");
}

static void test_fd(void)
{
	auto_close int fd = memfd_create("digest", MFD_CLOEXEC);
	static uint8_t big[300000];
	struct digest d, whole;

	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (uint8_t)(i * 7 + i / 256);
	ok(fd >= 0 && io_write_full(fd, big, sizeof big) == 0, "a file of several reads");
	ok(digest_buf(big, sizeof big, &whole) == 0 && digest_fd(fd, 0, sizeof big, &d) == 0 &&
			digest_equal(&d, &whole),
		"a file's digest is that of its bytes");
	ok(digest_buf(big + 4096, 70000, &whole) == 0 && digest_fd(fd, 4096, 70000, &d) == 0 &&
			digest_equal(&d, &whole),
		"a range of a file");
	ok(digest_fd(fd, sizeof big, 0, &d) == 0 && is(&d, EMPTY), "an empty range");
	memset(&d, 0x5a, sizeof d);
	ok(digest_fd(fd, 4096, sizeof big, &d) == -EIO, "-EIO for a file that is shorter");
	ok(digest_fd(fd, 4096, UINT64_MAX, &d) == -EIO, "-EIO for a range that wraps around");
	ok(digest_fd(-1, 0, 1, &d) == -EBADF, "a failing read is told");
	ok(d.b[0] == 0x5a && d.b[31] == 0x5a, "the result is untouched on failure");
}

static void test_hasher(void)
{
	struct hasher *h = hasher_new(), *other = hasher_new();
	struct digest d;
	bool good = h && other;

	for (int round = 0; good && round < 3; round++) {
		good = hasher_begin(h) == 0;
		for (const char *p = TWO_BLOCKS_TEXT; good && *p; p++)
			good = hasher_add(h, p, 1) == 0 && digest_buf("abc", 3, &d) == 0;
		good = good && hasher_end(h, &d) == 0 && is(&d, TWO_BLOCKS);
	}
	ok(good, "a hasher begun again, byte by byte, beside other digests in the same thread");
	ok(hasher_begin(h) == 0 && hasher_add(h, "xyz", 3) == 0 && hasher_begin(other) == 0 &&
			hasher_begin(h) == 0 && hasher_add(h, "abc", 3) == 0 &&
			hasher_add(other, "ab", 2) == 0 && hasher_end(h, &d) == 0 && is(&d, ABC) &&
			hasher_add(other, "c", 1) == 0 && hasher_end(other, &d) == 0 && is(&d, ABC),
		"hashers are independent, and begin forgets what was added");
	hasher_free(h);
	hasher_free(other);
	hasher_free(NULL);
}

static void *thread_main(void *arg)
{
	bool *good = arg;
	struct digest d;

	*good = true;
	for (int i = 0; i < 1000; i++)
		*good = *good && digest_buf("abc", 3, &d) == 0 && is(&d, ABC);
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[8];
	bool good[8] = {false}, all = true;
	size_t n = 0;

	while (n < 8 && pthread_create(&threads[n], NULL, thread_main, &good[n]) == 0)
		n++;
	for (size_t i = 0; i < n; i++) {
		pthread_join(threads[i], NULL);
		all = all && good[i];
	}
	ok(n == 8 && all, "digests in eight threads");
}

static void test_text(void)
{
	char base64[44];
	struct digest d = {{0}}, e;

	ok(digest_parse(ABC, DIGEST_HEX, &d) == 0 && is(&d, ABC), "hex there and back");
	e = d;
	e.b[31] ^= 1;
	ok(digest_equal(&d, &d) && !digest_equal(&d, &e), "equal or not by the last bit");
	ok(digest_parse(ABC, 63, &e) == -EINVAL && digest_parse(ABC "0", 65, &e) == -EINVAL &&
			digest_parse("", 0, &e) == -EINVAL,
		"64 digits, no other number");
	for (const char *bad = "AFgG /:`@\x80"; *bad; bad++) {
		char text[] = ABC;

		text[bad[0] & 63] = *bad;
		ok(digest_parse(text, DIGEST_HEX, &e) == -EINVAL, "byte 0x%02x is no hex digit",
			(unsigned char)*bad);
	}
	/* python3 -c 'base64.urlsafe_b64encode(sha256(b"abc").digest())' */
	digest_format_base64(&d, base64);
	ok(strcmp(base64, "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0") == 0,
		"RECORD's base64: %s", base64);
	memset(d.b, 0xff, sizeof d.b);
	digest_format_base64(&d, base64);
	ok(strcmp(base64, "__________________________________________8") == 0, "all ones: %s",
		base64);
}

int main(void)
{
	test_buf();
	test_fd();
	test_hasher();
	test_threads();
	test_text();
	return done_testing();
}
