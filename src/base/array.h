/* SPDX-License-Identifier: MIT
 *
 * Growing a plain array: element pointer, count and capacity stay the
 * caller's own fields.
 */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static inline int array_grow_raw(void **p, size_t *cap, size_t need, size_t size)
{
	size_t n = *cap ? *cap : 8;
	void *q;

	if (need <= *cap)
		return 0;
	while (n < need) {
		if (n > SIZE_MAX / 2 / size)
			return -ENOMEM;
		n *= 2;
	}
	q = realloc(*p, n * size);
	if (!q)
		return -ENOMEM;
	*p = q;
	*cap = n;
	return 0;
}

/* Room for `need` elements in all. 0 or -ENOMEM; the array is intact on failure. */
#define array_grow(p, cap, need) array_grow_raw((void **)&(p), &(cap), (need), sizeof *(p))

#endif
