/* SPDX-License-Identifier: MIT
 *
 * The paths of a RECORD that is accepted are the same after they were written anew.
 */
#include "py/record.h"

#include "tests/fuzz/check.h"

#include <errno.h>
#include <string.h>

struct rows {
	struct str paths; /* each with a NUL behind it */
	struct str text;  /* the rows anew */
};

static int take(void *arg, const struct record_row *row)
{
	static const struct digest digest;
	struct rows *rows = arg;

	CHECK(*row->path && row->hash && row->size);
	str_add_mem(&rows->paths, row->path, strlen(row->path) + 1);
	CHECK(record_add(&rows->text, row->path, *row->hash ? &digest : NULL, 1) == 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct rows rows = {0}, again = {0};
	struct diag diag = {{0}};
	int r = record_parse(n ? (const char *)data : "", n, take, &rows, &diag);

	CHECK(r == 0 || (r == -EINVAL && diag.text[0]));
	CHECK(record_parse(rows.text.p ? rows.text.p : "", rows.text.len, take, &again, NULL) == 0);
	CHECK(rows.paths.len == again.paths.len && rows.text.len == again.text.len);
	CHECK(!rows.text.len || (!memcmp(rows.paths.p, again.paths.p, rows.paths.len) &&
					!memcmp(rows.text.p, again.text.p, rows.text.len)));
	str_free(&rows.paths);
	str_free(&rows.text);
	str_free(&again.paths);
	str_free(&again.text);
	return 0;
}
