/* SPDX-License-Identifier: MIT
 *
 * Whatever is accepted can be kept in a manifest and be made a script.
 */
#include "py/entrypoint.h"

#include "py/script.h"

#include "tests/fuzz/check.h"

#include <errno.h>
#include <string.h>

static void check_text(struct manifest *m)
{
	struct manifest *back = NULL;
	struct str text = {0};

	CHECK(manifest_format(m, &text) == 0);
	CHECK(manifest_parse(text.p, text.len, &back, NULL) == 0);
	CHECK(back->n_entry_points == m->n_entry_points);
	manifest_free(back);
	str_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct manifest *m = calloc(1, sizeof *m);
	struct diag diag = {{0}};
	int r = entry_points_parse(n ? (const char *)data : "", n, m, &diag);

	CHECK(r == 0 || (r == -EINVAL && diag.text[0] && !strpbrk(diag.text, "\n\r\x1b")));
	m->name = strdup("a");
	m->version = strdup("1");
	for (size_t i = 0; r == 0 && i < m->n_entry_points; i++) {
		struct str script = {0};

		CHECK(script_entry_point("/e/bin/python", m->entry_points[i].target, &script) == 0);
		str_free(&script);
	}
	if (r == 0 && manifest_sort(m, NULL) == 0)
		check_text(m);
	manifest_free(m);
	return 0;
}
