/* SPDX-License-Identifier: MIT
 *
 * The list of tiers, locks and notes, and what verify finds.
 */
#include "store/store.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "store/ingest.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

CLEANUP_DEFINE(store, store_free)

static char dir[] = "/tmp/venvfs-store-XXXXXX";
static char own[64], lower[64];

static char *in_dir(char *buf, const char *name)
{
	snprintf(buf, 64, "%s/%s", dir, name);
	return buf;
}

static void test_open(void)
{
	auto_of(store) struct store *s = NULL;
	struct diag diag = {0};
	char path[80], *tiers[] = {lower};
	struct stat st;
	int fd;

	ok(store_open(own, NULL, 0, &s, NULL) == 0 && stat(own, &st) == 0 &&
			(st.st_mode & 0777) == 0700,
		"a missing own store is made, for its owner alone");
	snprintf(path, sizeof path, "%s/CACHEDIR.TAG", own);
	ok(access(path, F_OK) == 0 && strcmp(store_path(s, 0), own) == 0 && !store_path(s, 1),
		"with a tag for backup programs");
	store_free(steal_ptr(s));
	ok(store_open(own, NULL, 0, &s, NULL) == 0, "and opened again");
	store_free(steal_ptr(s));
	ok(store_open(own, tiers, 1, &s, &diag) == -ENOENT && strstr(diag.text, lower),
		"a missing tier is an error that names it");
	chmod(own, 0777);
	ok(store_open(own, NULL, 0, &s, &diag) == -EPERM && strstr(diag.text, "chmod go-w"),
		"one that others may write is refused, with the way out");
	chmod(own, 0700);
	mkdir(in_dir(path, "other"), 0700);
	strcat(path, "/file");
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	close(fd);
	*strrchr(path, '/') = '\0';
	ok(store_open(path, NULL, 0, &s, &diag) == -EPROTO && strstr(diag.text, "not empty"),
		"a directory of something else is not taken over");
	snprintf(path, sizeof path, "%s/store-version", own);
	fd = open(path, O_WRONLY | O_TRUNC);
	ok(write(fd, "venvfs-store 9\n", 15) == 15 &&
			store_open(own, NULL, 0, &s, &diag) == -EPROTO &&
			strstr(diag.text, "newer"),
		"a store of a later version is refused");
	close(fd);
	io_remove_tree_at(AT_FDCWD, own);
}

static void test_locks(void)
{
	auto_of(store) struct store *s = NULL, *both = NULL;
	struct lock *l = lock_new(), *back = NULL;
	struct lock_line line = {.name = (char *)"demo", .version = (char *)"1.0"};
	char *tiers[] = {own};
	struct digest id, none = {{0}};
	struct diag diag = {0};

	store_open(own, NULL, 0, &s, NULL);
	digest_buf("x", 1, &line.address);
	ok(lock_set(l, &line) == 0 && store_lock_put(s, l, &id, NULL) == 0, "a lock is kept");
	ok(store_lock_get(s, &id, &back, NULL) == 0 && back->n == 1 &&
			strcmp(back->lines[0].name, "demo") == 0,
		"and read");
	lock_free(back);
	ok(store_lock_get(s, &none, &back, &diag) == -ENOENT && strstr(diag.text, "in no store"),
		"one that nobody has is missing");
	ok(store_open(lower, tiers, 1, &both, NULL) == 0 &&
			store_lock_get(both, &id, &back, NULL) == 0,
		"a tier's lock is read too");
	lock_free(back);
	lock_free(l);
}

static int count_note(void *arg, const char *text, size_t n)
{
	(void)text;
	*(size_t *)arg += n;
	return 0;
}

static void test_notes(void)
{
	auto_of(store) struct store *s = NULL, *both = NULL;
	auto_str struct str text = {0};
	char *tiers[] = {own};
	size_t n = 0;

	store_open(own, NULL, 0, &s, NULL);
	store_open(lower, tiers, 1, &both, NULL);
	ok(store_note_get(s, "facts", "key", &text) == -ENOENT, "no note");
	ok(store_note_put(s, "facts", "key", "old", 3) == 0 &&
			store_note_put(s, "facts", "key", "new!", 4) == 0 &&
			store_note_get(s, "facts", "key", &text) == 0 &&
			strcmp(text.p, "new!") == 0,
		"the last text of a note holds");
	ok(store_note_get(both, "facts", "key", &text) == 0, "a tier's note is read");
	ok(store_note_put(both, "facts", "key", "mine..", 6) == 0 &&
			store_note_get(both, "facts", "key", &text) == 0 &&
			strcmp(text.p, "mine..") == 0 &&
			store_note_get(s, "facts", "key", &text) == 0 &&
			strcmp(text.p, "new!") == 0,
		"an own one stands before it and leaves it alone");
	ok(store_note_each(both, "facts", count_note, &n) == 0 && n == 6, "each is seen once");
	ok(store_note_put(s, "../x", "key", "", 0) == -EINVAL, "a kind is one plain name");
}

/* verify */

static void add_demo(struct digest *ret)
{
	auto_of(store) struct store *s = NULL;
	struct manifest *m = calloc(1, sizeof *m);
	struct ingest_dist *d;
	struct ingest *in;
	char *big = calloc(1, PACK_FILE_MAX + 1);
	off_t off;
	int fd;

	m->name = strdup("demo");
	m->version = strdup("1.0");
	m->info = strdup("");
	m->entries = calloc(2, sizeof *m->entries);
	m->n_entries = 2;
	m->entries[0] = (struct entry){.path = strdup("a.py"), .size = 3};
	m->entries[1] = (struct entry){.path = strdup("b.bin"), .size = PACK_FILE_MAX + 1};
	if (store_open(own, NULL, 0, &s, NULL) < 0 || ingest_begin(s, &in, NULL) < 0 ||
		ingest_dist_new(in, m, &d, NULL) < 0)
		abort();
	ingest_dist_file(d, 0, &fd, &off);
	if (io_pwrite_full(fd, "abc", 3, off) < 0)
		abort();
	digest_buf("abc", 3, &ingest_dist_manifest(d)->entries[0].digest);
	ingest_dist_file_done(d, 0, fd);
	ingest_dist_file(d, 1, &fd, &off);
	if (io_pwrite_full(fd, big, PACK_FILE_MAX + 1, 0) < 0)
		abort();
	digest_buf(big, PACK_FILE_MAX + 1, &ingest_dist_manifest(d)->entries[1].digest);
	ingest_dist_file_done(d, 1, fd);
	free(big);
	if (ingest_dist_done(d, NULL, NULL, ret, NULL) < 0 || ingest_commit(in, NULL) < 0)
		abort();
	ingest_free(in);
}

static void keep(void *arg, const char *what)
{
	str_addf(arg, "%s\n", what);
}

static size_t verify(struct str *out)
{
	auto_of(store) struct store *s = NULL;
	struct verify_stats stats;

	str_free(out);
	if (store_open(own, NULL, 0, &s, NULL) < 0 || store_verify(s, keep, out, &stats, NULL) < 0)
		return SIZE_MAX;
	return stats.n_bad;
}

static void flip(const char *path)
{
	auto_close int fd = -1;
	char c;

	chmod(path, 0644);
	fd = open(path, O_RDWR);
	if (fd < 0 || pread(fd, &c, 1, 1) != 1 || (c ^= 1, pwrite(fd, &c, 1, 1) != 1))
		abort();
}

static void test_verify(void)
{
	auto_of(store) struct store *s = NULL;
	auto_str struct str said = {0};
	char hex[DIGEST_HEX + 1], path[256];
	struct digest a, blob;
	struct lock *l = lock_new();
	struct lock_line line = {.name = (char *)"gone", .version = (char *)"1"};
	char *big = calloc(1, PACK_FILE_MAX + 1);

	io_remove_tree_at(AT_FDCWD, own);
	add_demo(&a);
	ok(verify(&said) == 0, "a good store has no fault");
	digest_format(&a, hex);
	snprintf(path, sizeof path, "%s/dists/demo/1.0/%s/pack", own, hex);
	flip(path);
	ok(verify(&said) == 1 && strstr(said.p, "a.py"),
		"a changed byte in a pack: the file is named");
	flip(path);
	digest_buf(big, PACK_FILE_MAX + 1, &blob);
	free(big);
	digest_format(&blob, hex);
	snprintf(path, sizeof path, "%s/blobs/%.2s/%s", own, hex, hex + 2);
	flip(path);
	ok(verify(&said) == 1 && strstr(said.p, hex + 2), "a changed byte in a blob");
	unlink(path);
	ok(verify(&said) == 1 && strstr(said.p, "b.bin: missing"), "a missing blob");
	io_remove_tree_at(AT_FDCWD, own);
	add_demo(&a);
	digest_format(&a, hex);
	snprintf(path, sizeof path, "%s/dists/demo/1.0/%s/manifest", own, hex);
	flip(path);
	ok(verify(&said) == 1 && strstr(said.p, "manifest is damaged"), "a changed manifest");
	flip(path);
	snprintf(path, sizeof path, "%s/dists/demo/1.0/%s/extra", own, hex);
	close(open(path, O_CREAT | O_WRONLY, 0644));
	ok(verify(&said) == 1 && strstr(said.p, "belongs to no part"), "a file that nobody knows");
	unlink(path);
	snprintf(path, sizeof path, "%s/blobs", own);
	chmod(path, 0777);
	ok(verify(&said) == 1 && strstr(said.p, "others may write"),
		"a directory that others may write");
	chmod(path, 0755);
	store_open(own, NULL, 0, &s, NULL);
	line.address = a;
	lock_set(l, &line);
	store_lock_put(s, l, &blob, NULL);
	lock_free(l);
	ok(verify(&said) == 1 && strstr(said.p, "gone 1"), "a lock that names what is not there");
}

static int add_root(void *arg, const char *root)
{
	return str_addf(arg, "%s;", root);
}

static void test_roots(void)
{
	auto_of(store) struct store *s = NULL, *none = NULL;
	auto_str struct str all = {0}, said = {0};
	char path[PATH_MAX + 1], *tiers[] = {own};

	io_remove_tree_at(AT_FDCWD, own);
	store_open(own, NULL, 0, &s, NULL);
	ok(store_root_each(s, add_root, &all) == 0 && all.len == 0, "a new store has no root");
	ok(store_root_put(s, "/home/u/envs") == 0 && store_root_put(s, "/home/u/envs") == 0 &&
			store_root_each(s, add_root, &all) == 0 &&
			strcmp(all.p, "/home/u/envs;") == 0,
		"one that is noted twice is there once");
	ok(store_root_put(s, "/a b\nc") == 0 && store_root_put(s, "envs") == -EINVAL,
		"any path, if it is absolute");
	str_truncate(&all, 0);
	ok(store_root_each(s, add_root, &all) == 0 && strstr(all.p, "/a b\nc;") &&
			strstr(all.p, "/home/u/envs;"),
		"all are told");
	ok(verify(&said) == 0, "verify has nothing against them");
	snprintf(path, sizeof path, "%s/roots/%064d", own, 0);
	close(open(path, O_CREAT | O_WRONLY, 0644));
	str_truncate(&all, 0);
	ok(store_root_each(s, add_root, &all) == 0 && all.len == strlen("/a b\nc;/home/u/envs;") &&
			verify(&said) == 1 && strstr(said.p, "roots/0000"),
		"one that its name does not fit is none, and verify says so");
	unlink(path);
	ok(store_open(NULL, tiers, 1, &none, NULL) == 0 && store_root_put(none, "/x") == 0,
		"without a store of one's own nothing is noted");
	str_truncate(&all, 0);
	ok(store_root_each(none, add_root, &all) == 0 && all.len == 0,
		"and a tier's roots are others'");
	memset(path, 'a', PATH_MAX);
	path[0] = '/';
	path[PATH_MAX] = '\0';
	ok(store_root_put(s, path) == -EINVAL, "a path that no call takes is refused");
}

int main(void)
{
	if (!mkdtemp(dir))
		return 99;
	in_dir(own, "own");
	in_dir(lower, "lower");
	test_open();
	test_locks();
	test_notes();
	test_verify();
	test_roots();
	io_remove_tree_at(AT_FDCWD, dir);
	return done_testing();
}
