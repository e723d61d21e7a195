/* SPDX-License-Identifier: MIT */
#include "store/ingest.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

CLEANUP_DEFINE(store, store_free)

static char dir[] = "/tmp/venvfs-ingest-XXXXXX";
static char own[64], lower[64];

static void begin(void)
{
	if (!mkdtemp(dir))
		abort();
	snprintf(own, sizeof own, "%s/own", dir);
	snprintf(lower, sizeof lower, "%s/lower", dir);
}

static void empty(void)
{
	io_remove_tree_at(AT_FDCWD, own);
	io_remove_tree_at(AT_FDCWD, lower);
}

/* One byte of each is `letter`; the second is a blob. */
static struct manifest *two_files(const char *version)
{
	struct manifest *m = calloc(1, sizeof *m);

	m->name = strdup("demo");
	m->version = strdup(version);
	m->info = strdup("");
	m->entries = calloc(3, sizeof *m->entries);
	m->n_entries = 3;
	m->entries[0] = (struct entry){.path = strdup("demo/big.bin"), .size = PACK_FILE_MAX + 1};
	m->entries[1] = (struct entry){.path = strdup("demo/__init__.py"), .size = 5000};
	m->entries[2] = (struct entry){.path = strdup("demo/empty"), .size = 0};
	return m;
}

static int fill(struct ingest_dist *d, char letter)
{
	struct manifest *m = ingest_dist_manifest(d);

	for (size_t i = 0; i < m->n_entries; i++) {
		struct entry *e = &m->entries[i];
		char *bytes = malloc(e->size + 1);
		off_t off;
		int fd, r = ingest_dist_file(d, i, &fd, &off);

		memset(bytes, letter, e->size);
		if (r == 0)
			r = digest_buf(bytes, e->size, &e->digest);
		if (r == 0 && e->size)
			r = io_pwrite_full(fd, bytes, e->size, off);
		free(bytes);
		if (r == 0)
			r = ingest_dist_file_done(d, i, fd);
		if (r < 0)
			return r;
	}
	return 0;
}

static int stage(struct ingest *in, const char *version, char letter, const char *wheel_name,
	struct digest *ret)
{
	struct ingest_dist *d;
	struct digest wheel;
	int r = ingest_dist_new(in, two_files(version), &d, NULL);

	if (r == 0)
		r = fill(d, letter);
	if (r == 0)
		r = digest_buf(&letter, 1, &wheel);
	return r < 0 ? r : ingest_dist_done(d, wheel_name, &wheel, ret, NULL);
}

static int add(const char *store, const char *version, char letter, const char *wheel_name,
	struct digest *ret)
{
	auto_of(store) struct store *s = NULL;
	struct ingest *in = NULL;
	int r = store_open(store, NULL, 0, &s, NULL);

	if (r == 0)
		r = ingest_begin(s, &in, NULL);
	if (r == 0)
		r = stage(in, version, letter, wheel_name, ret);
	if (r == 0)
		r = ingest_commit(in, NULL);
	ingest_free(in);
	return r;
}

static bool bytes_are(struct dist *d, const char *path, char letter)
{
	const struct entry *e = manifest_find(d->manifest, TREE_SITE, path);
	struct extent x = {0};
	bool same = e && dist_extent(d, (size_t)(e - d->manifest->entries), &x) == 0;
	char *buf = malloc(x.size + 1);

	same = same && x.size == e->size &&
	       io_pread_full(x.fd, buf, x.size, x.off) == (ssize_t)x.size;
	for (size_t i = 0; same && i < x.size; i++)
		same = buf[i] == letter;
	free(buf);
	extent_release(&x);
	return same;
}

static size_t count(const char *path)
{
	auto_closedir DIR *d = opendir(path);
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.';
	return n;
}

static size_t count_in(const char *store, const char *sub)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", store, sub);
	return count(path);
}

static void test_add(void)
{
	auto_of(store) struct store *s = NULL;
	struct digest a, again;
	struct found *f;
	struct dist *d = NULL;
	size_t n;

	empty();
	ok(add(own, "1.0", 'a', "demo-1.0-py3-none-any.whl", &a) == 0, "a distribution is added");
	ok(store_open(own, NULL, 0, &s, NULL) == 0 &&
			store_dist(s, "demo", "1.0", &a, &d, NULL) == 0,
		"and found by its address");
	ok(bytes_are(d, "demo/big.bin", 'a') && bytes_are(d, "demo/__init__.py", 'a'),
		"its bytes are what was written, in pack and blob");
	ok(d->mtime.tv_nsec && d->mtime.tv_sec < time(NULL),
		"its time is past and has nanoseconds");
	dist_unref(d);
	ok(store_has_dist(s, "demo", "1.0", &a) == 0 &&
			store_has_dist(s, "demo", "2", &a) == -ENOENT,
		"whether it is there is told by name");
	ok(add(own, "1.0", 'a', "demo-1.0-py3-none-any.whl", &again) == 0 &&
			digest_equal(&a, &again),
		"adding it again has the same address");
	ok(add(own, "1.0", 'a', "demo-1.0-1-py3-none-any.whl", &again) == 0,
		"adding it from another wheel");
	ok(store_find(s, "demo", NULL, &f, &n) == 0 && n == 2 && f[0].wheel_name && f[1].wheel_name,
		"makes a second row, not a second distribution");
	found_free(f, n);
	ok(count_in(own, "dists/demo/1.0") == 1 && count_in(own, "tmp") == 0,
		"and leaves nothing over");
}

static void test_times(void)
{
	auto_of(store) struct store *s = NULL;
	struct digest a[3];
	struct dist *d[3] = {0};
	bool all = true;

	empty();
	for (int i = 0; i < 3; i++)
		all = all && add(own, i ? "2.0" : "1.0", (char)('a' + i), NULL, &a[i]) == 0;
	store_open(own, NULL, 0, &s, NULL);
	for (int i = 0; i < 3; i++)
		all = all && store_dist(s, "demo", i ? "2.0" : "1.0", &a[i], &d[i], NULL) == 0;
	ok(all, "three of one name");
	ok(all && d[0]->mtime.tv_sec != d[1]->mtime.tv_sec &&
			d[0]->mtime.tv_sec != d[2]->mtime.tv_sec &&
			d[1]->mtime.tv_sec != d[2]->mtime.tv_sec,
		"added at once, they show three different seconds");
	for (int i = 0; i < 3; i++)
		dist_unref(d[i]);
}

static void test_not_committed(void)
{
	auto_of(store) struct store *s = NULL;
	struct ingest *in;
	struct digest a;
	pid_t child;
	int status;

	empty();
	store_open(own, NULL, 0, &s, NULL);
	child = fork();
	if (child == 0) { /* dies with a staged distribution */
		if (ingest_begin(s, &in, NULL) < 0 || stage(in, "1.0", 'a', NULL, &a) < 0)
			_exit(1);
		_exit(0);
	}
	waitpid(child, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a process ends without committing");
	ok(count_in(own, "dists") == 0 && count_in(own, "blobs") == 0, "nothing of it is visible");
	ok(count_in(own, "tmp") == 1, "it leaves its directory");
	ok(ingest_begin(s, &in, NULL) == 0 && count_in(own, "tmp") == 1,
		"which the next one removes");
	ok(stage(in, "1.0", 'a', NULL, &a) == 0, "staged");
	child = fork();
	if (child == 0) {
		struct store *other;
		struct ingest *second;

		if (store_open(own, NULL, 0, &other, NULL) < 0 ||
			ingest_begin(other, &second, NULL) < 0 ||
			stage(second, "1.0", 'a', NULL, &a) < 0 || ingest_commit(second, NULL) < 0)
			_exit(1);
		ingest_free(second);
		_exit(0);
	}
	waitpid(child, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		"another process adds the same meanwhile");
	ok(ingest_commit(in, NULL) == 0 && count_in(own, "dists/demo/1.0") == 1,
		"and both succeed");
	ingest_free(in);
	ok(count_in(own, "tmp") == 0, "and nothing is left over");
}

static void spoil(const char *path)
{
	auto_close int fd = -1;

	chmod(path, 0644);
	fd = open(path, O_WRONLY | O_TRUNC);
	if (fd < 0 || write(fd, "x", 1) != 1)
		abort();
}

static void flip(const char *store, const struct digest *a)
{
	auto_close int fd = -1;
	char hex[DIGEST_HEX + 1], path[256];

	digest_format(a, hex);
	snprintf(path, sizeof path, "%s/dists/demo/1.0/%s/pack", store, hex);
	chmod(path, 0644);
	fd = open(path, O_WRONLY);
	if (fd < 0 || pwrite(fd, "x", 1, 9) != 1)
		abort();
}

static void test_damaged(void)
{
	auto_of(store) struct store *s = NULL;
	struct digest a, blob;
	char hex[DIGEST_HEX + 1], path[256];
	char *bytes = malloc(PACK_FILE_MAX + 1);
	struct dist *d;

	empty();
	add(own, "1.0", 'a', NULL, &a);
	digest_format(&a, hex);
	snprintf(path, sizeof path, "%s/dists/demo/1.0/%s/pack", own, hex);
	spoil(path);
	memset(bytes, 'a', PACK_FILE_MAX + 1);
	digest_buf(bytes, PACK_FILE_MAX + 1, &blob);
	free(bytes);
	digest_format(&blob, hex);
	snprintf(path, sizeof path, "%s/blobs/%.2s/%s", own, hex, hex + 2);
	spoil(path);
	store_open(own, NULL, 0, &s, NULL);
	ok(store_dist(s, "demo", "1.0", &a, &d, NULL) == 0 && !bytes_are(d, "demo/big.bin", 'a') &&
			!bytes_are(d, "demo/__init__.py", 'a'),
		"a shortened pack and a shortened blob are not served");
	dist_unref(d);
	ok(add(own, "1.0", 'a', NULL, &a) == 0, "adding it again");
	ok(store_dist(s, "demo", "1.0", &a, &d, NULL) == 0 && bytes_are(d, "demo/big.bin", 'a') &&
			bytes_are(d, "demo/__init__.py", 'a'),
		"heals both");
	dist_unref(d);
	flip(own, &a);
	ok(store_dist(s, "demo", "1.0", &a, &d, NULL) == 0 &&
			!bytes_are(d, "demo/__init__.py", 'a'),
		"a changed byte of the same size");
	dist_unref(d);
	ok(add(own, "1.0", 'a', NULL, &a) == 0 && store_dist(s, "demo", "1.0", &a, &d, NULL) == 0 &&
			bytes_are(d, "demo/__init__.py", 'a'),
		"is healed by adding it again, too");
	dist_unref(d);
}

static void test_tiers(void)
{
	auto_of(store) struct store *s = NULL, *none = NULL;
	char *tiers[] = {lower};
	struct ingest *in = NULL;
	struct digest a, b;
	struct dist *d = NULL;

	empty();
	add(lower, "1.0", 'a', "demo-1.0-py3-none-any.whl", &a);
	ok(store_open(own, tiers, 1, &s, NULL) == 0 &&
			store_dist(s, "demo", "1.0", &a, &d, NULL) == 0 && d->tier == 1 &&
			bytes_are(d, "demo/big.bin", 'a'),
		"what a tier has is found in it");
	dist_unref(d);
	ok(ingest_begin(s, &in, NULL) == 0 &&
			stage(in, "1.0", 'a', "demo-1.0-py3-none-any.whl", &b) == 0 &&
			ingest_commit(in, NULL) == 0 && digest_equal(&a, &b) &&
			count_in(own, "dists") == 0,
		"and not added to the own store");
	ingest_free(in);
	ok(count_in(lower, "tmp") == 0, "nothing was written to the tier");
	ok(store_open(NULL, tiers, 1, &none, NULL) == 0 && ingest_begin(none, &in, NULL) == -EROFS,
		"without an own store nothing can be added");
	ok(store_dist(none, "demo", "1.0", &a, &d, NULL) == 0, "but all is found");
	dist_unref(d);
}

static void test_pyc(void)
{
	auto_of(store) struct store *s = NULL;
	struct ingest *in;
	struct ingest_dist *d;
	struct dist *source, *pyc;
	struct manifest *m;
	struct digest a;

	empty();
	add(own, "1.0", 'a', NULL, &a);
	store_open(own, NULL, 0, &s, NULL);
	store_dist(s, "demo", "1.0", &a, &source, NULL);
	ok(store_pyc(s, source, "cpython-311-a70d0d0a-0", &pyc) == -ENOENT, "no bytecode yet");
	m = two_files("1.0");
	for (int i = 0; i < 3; i++)
		m->entries[i].tree = TREE_PYC;
	ok(ingest_begin(s, &in, NULL) == 0 && ingest_dist_new(in, m, &d, NULL) == 0 &&
			fill(d, 'p') == 0 &&
			ingest_pyc_done(d, &a, "cpython-311-a70d0d0a-0", NULL) == 0 &&
			store_pyc(s, source, "cpython-311-a70d0d0a-0", &pyc) == -ENOENT,
		"staged, it is not visible");
	ok(ingest_commit(in, NULL) == 0 &&
			store_pyc(s, source, "cpython-311-a70d0d0a-0", &pyc) == 0 &&
			pyc->manifest->entries[0].tree == TREE_PYC,
		"committed, it is");
	ok(store_pyc(s, source, "cpython-312-a70d0d0a-0", &pyc) == -ENOENT,
		"under its own key alone");
	ingest_free(in);
	dist_unref(pyc);
	dist_unref(source);
}

int main(void)
{
	begin();
	test_add();
	test_times();
	test_not_committed();
	test_damaged();
	test_tiers();
	test_pyc();
	io_remove_tree_at(AT_FDCWD, dir);
	return done_testing();
}
