/* SPDX-License-Identifier: MIT */
#include "base/io.h"

#include "tests/tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[PATH_MAX];
static int root = -1; /* `dir`, open */

static bool holds(const char *name, const char *text)
{
	struct str s = {0};
	bool r = io_slurp_at(root, name, 1 << 20, &s) == 0 && s.len == strlen(text) &&
		 !memcmp(s.p, text, s.len);

	str_free(&s);
	return r;
}

static size_t count(const char *name)
{
	int fd = openat(root, name, O_RDONLY | O_DIRECTORY);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	size_t n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n - 2;
}

static void test_publish(void)
{
	struct stat st;

	umask(077);
	ok(io_publish_at(root, "f", "one", 3, 0644) == 0 && holds("f", "one"), "published");
	ok(fstatat(root, "f", &st, 0) == 0 && (st.st_mode & 07777) == 0644,
		"with its mode, whatever the umask");
	ok(io_publish_at(root, "f", "two\0", 3, 0444) == 0 && holds("f", "two"), "replaced");
	ok(io_publish_at(root, "f", "", 0, 0644) == 0 && holds("f", ""), "an empty file");
	mkdirat(root, "d", 0755);
	ok(io_publish_at(root, "d", "x", 1, 0644) == -EISDIR, "not over a directory");
	ok(io_publish_at(root, "no/f", "x", 1, 0644) == -ENOENT, "nor into one that is not there");
	ok(count(".") == 2, "and no temporary is left");
}

static void test_slurp_path(void)
{
	struct str s = {0};
	char path[PATH_MAX + 16];
	int ends[2];

	io_publish_at(root, "f", "12345678", 8, 0644);
	snprintf(path, sizeof path, "%s/soft", dir);
	ok(symlinkat("f", root, "soft") == 0 && io_slurp_at(root, "soft", 100, &s) == -ELOOP,
		"in a directory of ours no link is followed");
	ok(io_slurp_path(path, 100, &s) == 0 && s.len == 8, "what a person names may be one");
	ok(io_slurp_path(path, 7, &s) == -EFBIG, "but not too long");
	ok(pipe(ends) == 0 && write(ends[1], "abc", 3) == 3 && close(ends[1]) == 0, "a pipe");
	snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
	ok(io_slurp_path(path, 100, &s) == 0 && s.len == 3 && !memcmp(s.p, "abc", 3),
		"is read to its end");
	close(ends[0]);
	unlinkat(root, "soft", 0);
	str_free(&s);
}

static void test_slurp(void)
{
	struct str s = {0};

	io_publish_at(root, "f", "12345678", 8, 0644);
	ok(io_slurp_at(root, "f", 8, &s) == 0 && s.len == 8 && !strcmp(s.p, "12345678"),
		"all of it");
	str_free(&s);
	str_add(&s, "before");
	ok(io_slurp_at(root, "f", 7, &s) == -EFBIG && !strcmp(s.p, "before"), "one byte too many");
	ok(io_slurp_at(root, "none", 8, &s) == -ENOENT, "no such file");
	ok(io_slurp_at(root, "d", 8, &s) == -EISDIR, "a directory");
	symlinkat("f", root, "link");
	ok(io_slurp_at(root, "link", 8, &s) == -ELOOP, "a symlink");
	str_free(&s);
}

static void test_transfer(void)
{
	int fd = openat(root, "t", O_RDWR | O_CREAT, 0600);
	char buf[8] = "";

	ok(io_write_full(fd, "abcdef", 6) == 0 && io_pwrite_full(fd, "XY", 2, 2) == 0 &&
			holds("t", "abXYef"),
		"written at the end and in the middle");
	ok(io_pread_full(fd, buf, 3, 1) == 3 && !memcmp(buf, "bXY", 3), "read from the middle");
	ok(io_pread_full(fd, buf, 8, 4) == 2, "less at the end");
	ok(io_pread_full(fd, buf, 8, 60) == 0, "nothing behind it");
	ok(io_pread_full(-1, buf, 1, 0) == -EBADF && io_write_full(-1, "x", 1) == -EBADF &&
			io_pwrite_full(-1, "x", 1, 0) == -EBADF,
		"errors are told");
	close(fd);
}

static void test_copy(void)
{
	size_t n = 700000;
	char *bytes = malloc(n), *back = malloc(n);
	int in = openat(root, "in", O_RDWR | O_CREAT, 0600);
	int out = openat(root, "out", O_RDWR | O_CREAT, 0600);
	struct stat st;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i * 7 + i / 251);
	io_write_full(in, bytes, n);
	ok(io_copy(in, 0, out, 0, n) == 0 && io_pread_full(out, back, n, 0) == (ssize_t)n &&
			!memcmp(bytes, back, n),
		"a whole file");
	ok(io_copy(in, 4097, out, 3, 300001) == 0 && io_pread_full(out, back, n, 0) == (ssize_t)n &&
			!memcmp(back, bytes, 3) && !memcmp(back + 3, bytes + 4097, 300001) &&
			!memcmp(back + 300004, bytes + 300004, n - 300004),
		"a part of it, at odd places");
	ok(io_copy(in, (off_t)n - 10, out, 0, 11) == -EIO, "the source is too short");
	ok(io_copy(in, 0, out, 0, 0) == 0 && fstat(out, &st) == 0 && (size_t)st.st_size == n,
		"nothing at all");
	ok(io_copy(in, 0, -1, 0, 10) == -EBADF, "errors are told");
	close(in);
	close(out);
	free(bytes);
	free(back);
}

static void test_beneath(void)
{
	int fd;

	ok(io_mkdirs_at(root, "p//q/r", 0755) == 0 && io_mkdirs_at(root, "p/q/r", 0755) == 0,
		"directories with their parents, again too");
	fd = io_open_beneath(root, "p/q/f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ok(fd >= 0 && holds("p/q/f", ""), "a file is made below");
	close(fd);
	fd = io_open_beneath(root, "", O_PATH | O_CLOEXEC, 0);
	ok(fd >= 0 && faccessat(fd, "p", F_OK, 0) == 0, "the directory itself");
	close(fd);
	symlinkat("/", root, "away");
	symlinkat("p", root, "near");
	ok(io_open_beneath(root, "../x", O_RDONLY, 0) == -EXDEV, "no way out by ..");
	ok(io_open_beneath(root, "/etc/passwd", O_RDONLY, 0) == -EXDEV, "nor by an absolute path");
	ok(io_open_beneath(root, "away/etc/passwd", O_RDONLY, 0) == -ELOOP, "nor by a symlink");
	ok(io_open_beneath(root, "near/q", O_RDONLY, 0) == -ELOOP, "not even by one that stays");
	ok(io_mkdirs_at(root, "near/x", 0755) == -ELOOP && io_mkdirs_at(root, "away/x", 0755) < 0,
		"no directory is made behind a symlink");
	ok(io_mkdirs_at(root, "p/q/f/x", 0755) == -ENOTDIR, "nor below a file");
	ok(io_open_beneath(root, "p/none", O_RDONLY, 0) == -ENOENT, "what is not there");
	ok(io_fsync_dir_at(root, "p") == 0 && io_fsync_dir_at(root, "none") == -ENOENT,
		"a directory is made durable");
}

static void test_mkdir_p(void)
{
	char path[sizeof dir + 32];

	symlinkat("keep_p", root, "to_p");
	mkdirat(root, "keep_p", 0755);
	snprintf(path, sizeof path, "%s/to_p/a/b", dir);
	ok(io_mkdir_p(path, 0755) == 0 && faccessat(root, "keep_p/a/b", F_OK, 0) == 0,
		"an absolute path is made, through a link");
	ok(io_mkdir_p(path, 0755) == 0, "again");
	close(openat(root, "keep_p/a/f", O_CREAT | O_WRONLY, 0644));
	snprintf(path, sizeof path, "%s/to_p/a/f", dir);
	ok(io_mkdir_p(path, 0755) == -ENOTDIR, "a file is no directory");
	strcat(path, "/x");
	ok(io_mkdir_p(path, 0755) == -ENOTDIR, "nor has any in it");
}

static void test_remove(void)
{
	int keep;

	io_mkdirs_at(root, "keep", 0755);
	keep = openat(root, "keep/f", O_CREAT | O_WRONLY, 0600);
	close(keep);
	io_mkdirs_at(root, "gone/a/b", 0755);
	symlinkat("../keep", root, "gone/link");
	close(openat(root, "gone/a/f", O_CREAT | O_WRONLY, 0400));
	ok(io_remove_tree_at(root, "gone") == 0 && faccessat(root, "gone", F_OK, 0) < 0,
		"a tree is removed");
	ok(count("keep") == 1, "and not what a link in it leads to");
	ok(io_remove_tree_at(root, "gone") == 0, "again");
	ok(io_remove_tree_at(root, "f") == 0 && faccessat(root, "f", F_OK, 0) < 0, "a file");
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof dir, "%s/venvfs-unit-io.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(dir) || (root = open(dir, O_RDONLY | O_DIRECTORY)) < 0) {
		printf("Bail out! %s: %s\n", dir, strerror(errno));
		return 1;
	}
	test_publish();
	test_slurp();
	test_slurp_path();
	test_transfer();
	test_copy();
	test_beneath();
	test_mkdir_p();
	test_remove();
	ok(io_remove_tree_at(AT_FDCWD, dir) == 0 && access(dir, F_OK) < 0, "all of it is removed");
	close(root);
	return done_testing();
}
