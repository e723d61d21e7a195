/* SPDX-License-Identifier: MIT */
#include "view/held.h"

#include "base/io.h"
#include "view/whiteout.h"

#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int top;

static void file(const char *path)
{
	char dir[PATH_MAX];
	char *slash;
	int fd;

	snprintf(dir, sizeof dir, "%s", path);
	slash = strrchr(dir, '/');
	if (slash) {
		*slash = '\0';
		io_mkdirs_at(top, dir, 0755);
	}
	fd = openat(top, path, O_WRONLY | O_CREAT, 0644);
	if (fd < 0) {
		printf("Bail out! %s: %s\n", path, strerror(errno));
		exit(1);
	}
	close(fd);
}

static void shows(const struct held_table *t, const char *path, bool want)
{
	ok(held_lower_shows(t, path) == want, "%s %s", path, want ? "shows" : "is hidden");
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	struct held_table t = {0};
	char dir[PATH_MAX], path[PATH_MAX], name[NAME_MAX + 1], mark[NAME_MAX + 1];

	snprintf(dir, sizeof dir, "%s/venvfs-unit-held.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(dir) || (top = open(dir, O_RDONLY | O_DIRECTORY)) < 0) {
		printf("Bail out! %s: %s\n", dir, strerror(errno));
		return 1;
	}
	ok(held_read(top, &t) == 0 && t.n == 0 && !t.redirects && !t.temporaries, "nothing");
	held_free(&t);

	file("lib/a.py");
	file("lib/.wh.b.py");
	file("lib/pkg/c.py");
	file("lib/new/" WHITEOUT_OPAQUE);
	file("lib/moved/" WHITEOUT_REDIRECT);
	file("lib/.wh.gone");
	file(".venvfs/generations");
	ok(symlinkat("a.py", top, "lib/l.py") == 0, "a link");
	ok(held_read(top, &t) == 0, "read");
	ok(t.redirects && !t.temporaries, "a directory was renamed");
	ok(held_find(&t, "lib/a.py", HELD_FILE) && held_find(&t, "lib", HELD_DIR) &&
			held_find(&t, "lib/l.py", HELD_LINK),
		"files, directories, links");
	ok(held_find(&t, "lib/b.py", HELD_WHITEOUT) && held_find(&t, "lib/new", HELD_OPAQUE) &&
			held_find(&t, "lib/moved", HELD_REDIRECT),
		"marks, by what they mark");
	ok(!held_find(&t, ".venvfs", HELD_DIR) && !held_find(&t, "lib/b.py", HELD_FILE),
		"and nothing else");
	shows(&t, "lib/z.py", true);
	shows(&t, "lib/pkg/z.py", true);
	shows(&t, "bin/z", true);
	shows(&t, "lib/a.py", false);
	shows(&t, "lib/b.py", false);
	shows(&t, "lib/l.py", false);
	shows(&t, "lib/a.py/z", false);
	shows(&t, "lib/gone/deep/z", false);
	shows(&t, "lib/new/z", false);
	shows(&t, "lib/moved/z", false);
	shows(&t, "lib/pkg", false);
	held_free(&t);

	memset(name, 'x', 255);
	name[255] = '\0';
	whiteout_name(name, mark);
	snprintf(path, sizeof path, "lib/%s", mark);
	file(path);
	ok(held_read(top, &t) == 0, "a deleted name of 255 bytes");
	snprintf(path, sizeof path, "lib/%s", name);
	shows(&t, path, false);
	path[strlen(path) - 1] = 'y';
	shows(&t, path, true);
	held_free(&t);

	file("lib/.venvfs-tmp.1.view0");
	ok(held_read(top, &t) == 0 && t.temporaries, "something not in its place");
	held_free(&t);
	io_remove_tree_at(AT_FDCWD, dir);
	close(top);
	return done_testing();
}
