/* SPDX-License-Identifier: MIT
 *
 * A lock that is accepted is written as it was read, and so is one that was put together anew
 * from its lines.
 */
#include "store/lock.h"

#include "tests/fuzz/check.h"

#include <errno.h>
#include <string.h>

static void check_format(const struct lock *l, const uint8_t *data, size_t n)
{
	struct str text = {0};

	CHECK(lock_format(l, &text) == 0);
	CHECK(text.len == n && (n == 0 || memcmp(text.p, data, n) == 0));
	str_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct lock *l = NULL, *copy, *anew;
	struct diag diag = {{0}};
	int r = lock_parse(n ? (const char *)data : "", n, &l, &diag);

	CHECK(r == 0 || (r == -EPROTO && !l && diag.text[0]));
	if (r < 0)
		return 0;
	check_format(l, data, n);
	copy = lock_copy(l);
	check_format(copy, data, n);
	anew = lock_new();
	for (size_t i = l->n; i-- > 0;)
		CHECK(lock_set(anew, &l->lines[i]) == 0);
	for (size_t i = 0; i < l->n; i += 2)
		CHECK(lock_set(anew, &copy->lines[i]) == 0);
	check_format(anew, data, n);
	for (size_t i = 0; i < l->n; i++)
		CHECK(lock_find(copy, l->lines[i].name) &&
			lock_remove(anew, l->lines[i].name) == 0);
	CHECK(anew->n == 0);
	lock_free(l);
	lock_free(copy);
	lock_free(anew);
	return 0;
}
