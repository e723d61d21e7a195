/* SPDX-License-Identifier: MIT
 *
 * File names, versions and the two header files of a wheel. Archives are
 * tests/it/test_bad_wheels.py.
 */
#include "py/wheel.h"

#include "py/metadata.h"
#include "py/name.h"
#include "tests/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static bool same(const char *a, const char *b)
{
	return version_equal(a, strlen(a), b, strlen(b));
}

static void test_versions(void)
{
	static const char *const equal[][2] = {{"1.0", "1.00.0"}, {"1.0", "1"},
		{"1.0-beta", "1.0b0"}, {"1.0+x_1", "1.0+x.1"}, {"1.0.post0", "1.0-0"},
		{"v1.0", "1.0"}, {"1.0RC1", "1.0rc1"}, {"0!1.0", "1.0"}, {"1.0.dev", "1.0.dev0"},
		{"odd_one", "odd-one"}};
	static const char *const other[][2] = {{"1.0", "1.0.1"}, {"1.0", "1.0b0"}, {"1.0", "1!1.0"},
		{"1.0", "1.0+x"}, {"1.10", "1.1"}, {"1.0.post1", "1.0"}, {"odd", "even"}};

	for (size_t i = 0; i < sizeof equal / sizeof *equal; i++)
		ok(same(equal[i][0], equal[i][1]) && same(equal[i][1], equal[i][0]), "%s is %s",
			equal[i][0], equal[i][1]);
	for (size_t i = 0; i < sizeof other / sizeof *other; i++)
		ok(!same(other[i][0], other[i][1]), "%s is not %s", other[i][0], other[i][1]);
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

int main(void)
{
	test_file_names();
	test_versions();
	test_metadata();
	test_wheel_file();
	test_left_out();
	return done_testing();
}
