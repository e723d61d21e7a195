/* SPDX-License-Identifier: MIT
 *
 * The keyed form draws a whole secret for XXH3, not a 64-bit seed: short inputs mix a seed
 * with the published secret, and pairs that collide under any seed could be looked for.
 */
#include "store/checksum.h"

#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <xxhash.h>

enum { SECRET_SIZE = 192 };
_Static_assert(SECRET_SIZE >= XXH3_SECRET_SIZE_MIN && SECRET_SIZE <= 256,
	"XXH3's minimum; up to 256 bytes getrandom() is never short");

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint8_t secret[SECRET_SIZE];

/* Where getrandom() is forbidden, the kernel's 16 bytes for this process are stretched. */
static void draw_secret(void)
{
	uint8_t seed[24] = {0};
	const void *random = (const void *)getauxval(AT_RANDOM);

	if (getrandom(secret, sizeof secret, 0) == (ssize_t)sizeof secret)
		return;
	if (random)
		memcpy(seed, random, 16);
	for (size_t i = 0; i < sizeof secret; i += 16) {
		XXH128_canonical_t out;

		seed[16] = (uint8_t)i;
		XXH128_canonicalFromHash(&out, XXH3_128bits(seed, sizeof seed));
		memcpy(secret + i, out.digest, 16);
	}
}

uint64_t checksum(const void *buf, size_t n)
{
	return XXH3_64bits(buf, n);
}

uint64_t checksum_keyed(const void *buf, size_t n)
{
	pthread_once(&once, draw_secret);
	return XXH3_64bits_withSecret(buf, n, secret, sizeof secret);
}
