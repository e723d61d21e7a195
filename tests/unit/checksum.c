/* SPDX-License-Identifier: MIT
 *
 * Why XXH3 is no identity: two inputs of 512 bytes, written down by hand, that it can not
 * tell apart. Where the low half of a 64-bit word equals the low half of XXH3's published
 * secret, the product it adds is 0 and the word itself goes into the neighbouring sum
 * unmixed; so of two such words, one can give to its upper half what the other's loses.
 */
#include "store/checksum.h"

#include "store/digest.h"
#include "tests/tap.h"

#include <string.h>

static void make_pair(uint8_t a[512], uint8_t b[512])
{
	static const uint8_t low[2][4] = {{0xb8, 0xfe, 0x6c, 0x39}, {0x7c, 0x01, 0x81, 0x2c}};

	for (int i = 0; i < 512; i++)
		a[i] = (uint8_t)('A' + i % 26);
	memcpy(a, low[0], 4);
	memcpy(a + 64, low[1], 4);
	memcpy(b, a, 512);
	for (int i = 4; i < 8; i++) {
		b[i]++;
		b[64 + i]--;
	}
}

static void test_pair(void)
{
	uint8_t a[512], b[512];
	struct digest da, db;

	make_pair(a, b);
	ok(memcmp(a, b, 512) != 0, "two different inputs");
	ok(checksum(a, 512) == checksum(b, 512), "have the same XXH3");
	ok(digest_buf(a, 512, &da) == 0 && digest_buf(b, 512, &db) == 0 && !digest_equal(&da, &db),
		"and different SHA-256");
	ok(checksum_keyed(a, 512) != checksum_keyed(b, 512), "a process's own secret parts them");
}

static void test_vectors(void)
{
	uint8_t a[512], b[512];

	/* XXH3_64bits, seed 0, of nothing: published with the algorithm */
	ok(checksum("", 0) == 0x2d06800538d394c2, "XXH3 of nothing");
	ok(checksum("abc", 3) == 0x78af5f94892f3950, "XXH3 of abc");
	make_pair(a, b);
	a[511] ^= 1;
	ok(checksum(a, 512) != checksum(b, 512), "one bit moves it");
}

/* What another run of this program has for the same name. */
static uint64_t ask_another(const char *self)
{
	char command[4096];
	unsigned long long n = 0;
	FILE *f;

	snprintf(command, sizeof command, "'%s' print", self);
	f = popen(command, "r");
	if (!f || fscanf(f, "%llx", &n) != 1)
		n = 0;
	if (f)
		pclose(f);
	return n;
}

static void test_keyed(const char *self)
{
	uint64_t here = checksum_keyed("numpy", 5), there = ask_another(self);

	ok(here == checksum_keyed("numpy", 5), "keyed checksums are stable in a process");
	ok(here != checksum_keyed("numpx", 5), "and differ by input");
	ok(there != 0, "another process tells its own");
	ok(there != here, "which is another one");
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		printf("%llx\n", (unsigned long long)checksum_keyed("numpy", 5));
		return 0;
	}
	test_pair();
	test_vectors();
	test_keyed(argv[0]);
	return done_testing();
}
