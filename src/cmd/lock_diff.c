/* SPDX-License-Identifier: MIT */
#include "cmd/lock_diff.h"

#include <stdio.h>
#include <string.h>

struct lock_diff lock_diff_print(const struct lock *old, const struct lock *new)
{
	struct lock_diff d = {0};
	size_t i = 0, k = 0, n_old = old ? old->n : 0;

	while (i < n_old || k < new->n) {
		const struct lock_line *a = i < n_old ? &old->lines[i] : NULL;
		const struct lock_line *b = k < new->n ? &new->lines[k] : NULL;
		int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);

		if (order < 0) {
			printf(" - %s %s\n", a->name, a->version);
			d.n_removed++;
		} else if (order > 0) {
			printf(" + %s %s\n", b->name, b->version);
			d.n_added++;
		} else if (strcmp(a->version, b->version) != 0) {
			printf(" ~ %s %s -> %s\n", b->name, a->version, b->version);
			d.n_changed++;
		} else if (!digest_equal(&a->address, &b->address)) {
			printf(" ~ %s %s (other files)\n", b->name, b->version);
			d.n_changed++;
		}
		i += order <= 0;
		k += order >= 0;
	}
	return d;
}
