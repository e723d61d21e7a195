/* SPDX-License-Identifier: MIT
 *
 * Stands in for libFuzzer in `make check`: every file of the harness's corpus, which is the
 * directory of its name under tests/fuzz/corpus/, or the files given as arguments. What a harness
 * finds wrong aborts, and the plan is missing then.
 */
#include "base/io.h"

#include "tests/tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void replay(const char *path)
{
	struct str text = {0};
	int r = io_slurp_at(AT_FDCWD, path, 1 << 20, &text);
	uint8_t *exact = r == 0 ? malloc(text.len + 1) : NULL;

	printf("# %s\n", path);
	fflush(stdout);
	if (exact) {
		/* without the NUL behind a struct str, so that reading on is found out */
		uint8_t *data = text.len ? realloc(exact, text.len) : exact;

		memcpy(data, text.p, text.len);
		r = LLVMFuzzerTestOneInput(data, text.len);
		exact = data;
	}
	ok(exact && r == 0, "%s%s%s", path_base(path), r < 0 ? ": " : "",
		r < 0 ? strerror(-r) : "");
	free(exact);
	str_free(&text);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_file(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	const char *srcdir = getenv("srcdir"), *name = path_base(argv[0]);
	struct dirent **list = NULL;
	struct str dir = {0};
	int n = 0;

	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	if (argc > 1)
		return done_testing();
	if (str_addf(&dir, "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".", name) < 0)
		return 1;
	n = scandir(dir.p, &list, is_file, by_name);
	if (n <= 0) {
		printf("Bail out! no corpus in %s: %s\n", dir.p,
			n ? strerror(errno) : "it is empty");
		return 1;
	}
	for (int i = 0; i < n; i++) {
		struct str path = {0};

		str_addf(&path, "%s/%s", dir.p, list[i]->d_name);
		replay(path.p);
		str_free(&path);
		free(list[i]);
	}
	free(list);
	str_free(&dir);
	return done_testing();
}
