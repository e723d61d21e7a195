/* SPDX-License-Identifier: MIT
 *
 * Setting the lock of a pyvenv.cfg that is accepted changes nothing but the lock, and setting it
 * again changes nothing at all.
 */
#include "py/cfg.h"

#include "tests/fuzz/check.h"

#include <errno.h>
#include <string.h>

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void check_set(const struct cfg *before, const uint8_t *data, size_t n, bool none)
{
	static const struct digest id = {{0xab, 0xcd}};
	struct str text = {0}, again = {0};
	struct cfg c = {0};
	int r;

	str_add_mem(&text, data, n);
	r = cfg_set_lock(&text, none ? NULL : &id);
	if (r == -EFBIG) {
		CHECK(text.len == n && memcmp(text.p, data, n) == 0);
		str_free(&text);
		return;
	}
	CHECK(r == 0 && text.len <= CFG_MAX);
	CHECK(cfg_parse(text.p, text.len, &c, NULL) == 0);
	CHECK(c.lock_kind == (none ? CFG_LOCK_NONE : CFG_LOCK_DIGEST));
	CHECK(none || digest_equal(&c.lock, &id));
	CHECK(same(c.home, before->home) && same(c.version, before->version) &&
		same(c.prompt, before->prompt) && same(c.executable, before->executable) &&
		same(c.invoked, before->invoked) && c.system_site == before->system_site);
	str_add_mem(&again, text.p, text.len);
	CHECK(cfg_set_lock(&again, none ? NULL : &id) == 0);
	CHECK(again.len == text.len && memcmp(again.p, text.p, text.len) == 0);
	cfg_free(&c);
	str_free(&text);
	str_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct diag diag = {{0}};
	struct cfg c = {0};
	int r = cfg_parse(n ? (const char *)data : "", n, &c, &diag);

	CHECK(r == 0 || ((r == -EINVAL || r == -EFBIG) && diag.text[0]));
	if (r == 0) {
		CHECK(c.home[0] == '/');
		check_set(&c, data, n, true);
		check_set(&c, data, n, false);
	}
	cfg_free(&c);
	return 0;
}
