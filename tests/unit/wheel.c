/* SPDX-License-Identifier: MIT
 *
 * File names, versions and the two header files of a wheel. Archives are
 * tests/it/test_bad_wheels.py.
 */
#include "py/wheel.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "py/metadata.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zip.h>

CLEANUP_DEFINE(store, store_free)

static void test_file_names(void)
{
	static const struct {
		const char *file, *name, *version, *tags;
	} good[] = {
		{"demo-1.0-py3-none-any.whl", "demo", "1.0", "py3-none-any"},
		{"Demo.Pkg_x-1.0-py3-none-any.whl", "demo-pkg-x", "1.0", "py3-none-any"},
		{"demo-1.0-2b-py3-none-any.whl", "demo", "1.0", "py3-none-any"},
		{"demo-1.0+cu118-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
			"demo", "1.0+cu118",
			"cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"},
		{"demo-1!2.0.post1-py2.py3-none-any.whl", "demo", "1!2.0.post1",
			"py2.py3-none-any"},
	};
	static const char *const bad[] = {
		"",
		"demo.whl",
		"demo-1.0.whl",
		"demo-1.0-py3-none.whl",
		"demo-1.0-py3-none-any",
		"demo-1.0-py3-none-any.zip",
		"-1.0-py3-none-any.whl",
		"demo--py3-none-any.whl",
		"demo-1.0-b2-py3-none-any.whl",
		"demo-1.0-2-x-py3-none-any.whl",
		"demo-1.0-py3--any.whl",
		"demo-1.0-py 3-none-any.whl",
		"../demo-1.0-py3-none-any.whl",
		"_demo-1.0-py3-none-any.whl",
		"demo-../../x-py3-none-any.whl",
		"d\xc3\xa9mo-1.0-py3-none-any.whl",
	};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct wheel_name w = {0};

		ok(wheel_name_parse(good[i].file, &w, NULL) == 0 && !strcmp(w.name, good[i].name) &&
				!strcmp(w.version, good[i].version) &&
				!strcmp(w.tags, good[i].tags),
			"%s", good[i].file);
		wheel_name_free(&w);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct wheel_name w = {0};
		struct diag diag = {{0}};

		ok(wheel_name_parse(bad[i], &w, &diag) == -EINVAL && diag.text[0] && !w.name,
			"refused: \"%s\"", bad[i]);
	}
}

static int metadata(const char *text, struct manifest *m)
{
	return metadata_parse(text, strlen(text), m, NULL);
}

static struct manifest *fresh(void)
{
	return calloc(1, sizeof(struct manifest));
}

static void test_metadata(void)
{
	static const char *const bad[] = {"", "Metadata-Version: 2.1\nVersion: 1.0\n",
		"Metadata-Version: 2.1\nName: demo\n", "Name: demo\nName: other\nVersion: 1\n",
		"Name: demo\nVersion: 1\nVersion: 2\n", "Name: ../demo\nVersion: 1\n",
		"Name: demo\nVersion: ../1\n", "Name: demo\n\nVersion: 1.0\n"};
	struct manifest *m = fresh();

	ok(metadata("Metadata-Version: 2.1\r\nname:  Demo_Pkg \r\nVERSION: 1.0\r\n\r\nName: body\n",
		   m) == 0 &&
			!strcmp(m->name, "demo-pkg") && !strcmp(m->version, "1.0"),
		"headers in any case, with any line end, up to the body");
	manifest_free(m);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		m = fresh();
		ok(metadata(bad[i], m) == -EINVAL, "METADATA %zu is refused", i);
		manifest_free(m);
	}
}

static void test_wheel_file(void)
{
	static const char *const bad[] = {"", "Wheel-Version: 1.0\n", "Tag: py3-none-any\n",
		"Wheel-Version: 2.0\nTag: py3-none-any\n", "Wheel-Version: 1.0\nTag: py3-none\n",
		"Wheel-Version: x\nTag: py3-none-any\n"};
	static const char text[] = "Wheel-Version: 1.9\nRoot-Is-Purelib: true\n"
				   "Tag: py3-none-any\nTag: py2-none-any\nTag: py3-none-any\n";
	struct manifest *m = fresh();

	ok(wheel_file_parse(text, sizeof text - 1, m, NULL) == 0 && m->n_tags == 2,
		"two tags, one of them twice");
	manifest_free(m);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		m = fresh();
		ok(wheel_file_parse(bad[i], strlen(bad[i]), m, NULL) == -EINVAL,
			"WHEEL %zu is refused", i);
		manifest_free(m);
	}
}

static void test_left_out(void)
{
	static const char *const out[] = {
		"RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json"};
	static const char *const in[] = {"METADATA", "WHEEL", "entry_points.txt", "top_level.txt",
		"licenses/RECORD", "record"};

	for (size_t i = 0; i < sizeof out / sizeof *out; i++)
		ok(info_left_out(out[i]), "%s is in no manifest", out[i]);
	for (size_t i = 0; i < sizeof in / sizeof *in; i++)
		ok(!info_left_out(in[i]), "%s is", in[i]);
}

/* Its large member is one piece of work, the others are another. */
static bool make_wheel(const char *path)
{
	static const char zeros[256 * 1024];
	static const char *const members[][2] = {{"demo.py", ""},
		{"demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"},
		{"demo-1.0.dist-info/WHEEL",
			"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{"demo-1.0.dist-info/RECORD",
			"demo.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n"
			"demo-1.0.dist-info/METADATA,sha256=NKonpgZPlYtBt4GiF_KQ_Qq1-WUeK25Kzas0G3uTwwU,46\n"
			"demo-1.0.dist-info/WHEEL,sha256=JCVX9z8V-js2aV5qmQR2E3fiCs-Yu3vPO91cCBmO1JM,59\n"
			"zeros.bin,sha256=ijnSq9OZmrc8NNskdoSc3fMDzjibNYJoUPmnAFibSpA,262144\n"
			"demo-1.0.dist-info/RECORD,,\n"}};
	zip_t *z = zip_open(path, ZIP_CREATE, NULL);
	zip_source_t *large = z ? zip_source_buffer(z, zeros, sizeof zeros, 0) : NULL;
	bool good = large && zip_file_add(z, "zeros.bin", large, 0) >= 0;

	for (size_t i = 0; good && i < sizeof members / sizeof *members; i++) {
		zip_source_t *text =
			zip_source_buffer(z, members[i][1], strlen(members[i][1]), 0);

		good = text && zip_file_add(z, members[i][0], text, 0) >= 0;
	}
	return good && zip_close(z) == 0;
}

struct meeting { /* of the two pieces of a wheel, when both have been worked on */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned moved, done;
	int err;
};

static void meet(void *arg, uint64_t bytes)
{
	struct meeting *m = arg;
	struct timespec until;

	(void)bytes;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 2;
	pthread_mutex_lock(&m->lock);
	m->moved++; /* the first is that it was opened */
	pthread_cond_broadcast(&m->changed);
	while (m->moved == 2 && pthread_cond_timedwait(&m->changed, &m->lock, &until) == 0)
		;
	pthread_mutex_unlock(&m->lock);
}

static void count_done(void *arg, const struct wheel_result *result)
{
	struct meeting *m = arg;

	pthread_mutex_lock(&m->lock);
	m->done++;
	m->err = result->err;
	pthread_mutex_unlock(&m->lock);
}

/* Two threads that come from its last two pieces at once: one of them closes the wheel. */
static void test_last_pieces_at_once(void)
{
	static char dir[] = "/tmp/venvfs-wheel-XXXXXX";
	struct meeting m = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	const struct wheel_watch watch = {.moved = meet, .done = count_done, .arg = &m};
	auto_of(store) struct store *s = NULL;
	struct wheel_pool *pool = NULL;
	struct ingest *in = NULL;
	struct digest digest;
	char path[64], own[64];
	int fd;

	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof path, "%s/demo-1.0-py3-none-any.whl", dir);
	snprintf(own, sizeof own, "%s/own", dir);
	ok(make_wheel(path), "a wheel is made");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ok(digest_fd(fd, 0, (uint64_t)lseek(fd, 0, SEEK_END), &digest) == 0 &&
			store_open(own, NULL, 0, &s, NULL) == 0 &&
			ingest_begin(s, &in, NULL) == 0 &&
			wheel_pool_new(in, 2, &watch, &pool) == 0 &&
			wheel_pool_add(pool, path, &digest, true, NULL) == 0,
		"a wheel is added by two threads");
	wheel_pool_finish(pool);
	close(fd);
	ok(m.moved == 3, "it was opened and had two pieces: %u", m.moved);
	ok(m.done == 1 && m.err == 0, "and was closed once: %u, %d", m.done, m.err);
	ingest_free(in);
	io_remove_tree_at(AT_FDCWD, dir);
}

int main(void)
{
	test_file_names();
	test_metadata();
	test_wheel_file();
	test_left_out();
	test_last_pieces_at_once();
	return done_testing();
}
