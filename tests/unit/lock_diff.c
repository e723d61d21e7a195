/* SPDX-License-Identifier: MIT */
#include "cmd/lock_diff.h"

#include "tests/tap.h"

static void add(struct lock *l, const char *name, const char *version, uint8_t address)
{
	struct lock_line line = {
		.name = (char *)name, .version = (char *)version, .address = {{address}}};

	ok(lock_set(l, &line) == 0, "%s %s", name, version);
}

int main(void)
{
	struct lock *old = lock_new(), *new = lock_new();
	struct lock_diff d;

	add(old, "a", "1", 1);
	add(old, "b", "1", 2);
	add(old, "c", "1", 3);
	add(old, "z", "1", 4);
	add(new, "b", "2", 5);
	add(new, "c", "1", 6);
	add(new, "d", "1", 7);
	add(new, "z", "1", 4);
	d = lock_diff_print(old, new);
	ok(d.n_added == 1 && d.n_removed == 1 && d.n_changed == 2, "old to new");
	d = lock_diff_print(new, old);
	ok(d.n_added == 1 && d.n_removed == 1 && d.n_changed == 2, "and back");
	d = lock_diff_print(NULL, new);
	ok(d.n_added == 4 && !d.n_removed && !d.n_changed, "from nothing");
	d = lock_diff_print(new, new);
	ok(!d.n_added && !d.n_removed && !d.n_changed, "to itself");
	lock_free(old);
	lock_free(new);
	return done_testing();
}
