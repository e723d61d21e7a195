/* SPDX-License-Identifier: MIT
 *
 * A manifest that is accepted is written as it was read, is in order, and finds its own files.
 */
#include "store/manifest.h"

#include "tests/fuzz/check.h"

#include <errno.h>
#include <string.h>

static void check_layout(const struct manifest *m)
{
	uint64_t *offsets = malloc((m->n_entries + 1) * sizeof *offsets);
	uint64_t at = 0, size = manifest_layout(m, offsets);

	for (size_t i = 0; i < m->n_entries; i++) {
		const struct entry *e = &m->entries[i];

		CHECK(manifest_find(m, (enum tree)e->tree, e->path) == e);
		if (e->size == 0 || e->size > PACK_FILE_MAX)
			continue;
		CHECK(offsets[i] == at && at % PACK_ALIGN == 0);
		at += (e->size + PACK_ALIGN - 1) / PACK_ALIGN * PACK_ALIGN;
	}
	CHECK(size == at);
	free(offsets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct manifest *m = NULL;
	struct diag diag = {{0}};
	struct str text = {0};
	int r = manifest_parse(n ? (const char *)data : "", n, &m, &diag);

	CHECK(r == 0 || (r == -EPROTO && !m && diag.text[0]));
	if (r < 0)
		return 0;
	CHECK(manifest_format(m, &text) == 0);
	CHECK(text.len == n && memcmp(text.p, data, n) == 0);
	check_layout(m);
	CHECK(manifest_sort(m, NULL) == 0);
	str_truncate(&text, 0);
	CHECK(manifest_format(m, &text) == 0 && text.len == n && memcmp(text.p, data, n) == 0);
	manifest_free(m);
	str_free(&text);
	return 0;
}
