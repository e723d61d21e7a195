/* SPDX-License-Identifier: MIT */
#include "py/name.h"

#include "base/cleanup.h"
#include "tests/tap.h"

#include <errno.h>
#include <string.h>

static void normal(const char *name, const char *want)
{
	auto_str struct str out = {0};
	int r = name_normalize(name, strlen(name), &out);

	if (want)
		ok(r == 0 && strcmp(out.p, want) == 0, "\"%s\" is %s", name, want);
	else
		ok(r == -EINVAL && out.len == 0, "\"%s\" is no name", name);
}

static void front(const char *requirement, const char *name)
{
	size_t n = name_length(requirement, strlen(requirement));

	ok(n == strlen(name) && strncmp(requirement, name, n) == 0, "\"%s\" begins with \"%s\"",
		requirement, name);
}

static void versions(const char *a, const char *b, bool equal)
{
	ok(version_equal(a, strlen(a), b, strlen(b)) == equal &&
			version_equal(b, strlen(b), a, strlen(a)) == equal,
		"%s and %s are %s", a, b, equal ? "one" : "two");
}

static void pinned(const char *pin, const char *version, bool matches)
{
	ok(version_matches(pin, version, strlen(version)) == matches, "==%s is %s%s", pin,
		matches ? "" : "not ", version);
}

static void stem(const char *s, bool is)
{
	ok(name_is_stem(s, strlen(s), "zope-interface", "6.0") == is,
		"%s is %szope-interface 6.0's", s, is ? "" : "not ");
}

int main(void)
{
	char long_name[202];

	normal("Zope.Interface", "zope-interface");
	normal("a-_.-b", "a-b");
	normal("7z", "7z");
	normal("", NULL);
	normal("-a", NULL);
	normal("a.", NULL);
	normal("a b", NULL);
	normal("caf\xc3\xa9", NULL);
	memset(long_name, 'a', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	normal(long_name, NULL);
	normal(long_name + 1, long_name + 1);

	front("numpy", "numpy");
	front("numpy>=2", "numpy");
	front("zope.interface[test] ; x", "zope.interface");
	front("a--b_.c==1", "a--b_.c");
	front("pip-==1", "pip");
	front("-e .", "");
	front("./a", "");
	front("", "");
	ok(name_length("numpyx", 5) == 5, "not a byte behind the end is looked at");

	versions("1.0", "1.00.0", true);
	versions("1.0-beta", "1.0b0", true);
	versions("1.0+x_1", "1.0+X.1", true);
	versions("v1", "1", true);
	versions("0!1", "1", true);
	versions("1.0-1", "1.0.post1", true);
	versions("1.0c2", "1.0rc2", true);
	versions("1.0.dev", "1.0.dev0", true);
	versions("1.0.post0", "1.0-0", true);
	versions("1.0RC1", "1.0rc1", true);
	versions("1.0", "1.0.1", false);
	versions("1.0", "1.0b0", false);
	versions("1.10", "1.1", false);
	versions("1.0.post1", "1.0", false);
	versions("odd", "even", false);
	versions("1!1", "1", false);
	versions("1.0a1", "1.0b1", false);
	versions("1.0", "1.0+x", false);
	versions("odd_one", "odd-one", true);
	versions("odd.one", "odd-one", false);

	pinned("1.0", "1.0.0+cu118", true);
	pinned("1.0", "1.0", true);
	pinned("1.0+cu118", "1.0+cu118", true);
	pinned("1.0+cu118", "1.0+cpu", false);
	pinned("1.0+cu118", "1.0", false);
	pinned("1.0", "1.1+cu118", false);

	ok(version_is_plain("1!2.0+a-b_c", 11), "a version that may be part of a file's name");
	ok(!version_is_plain("", 0) && !version_is_plain(".1", 2) && !version_is_plain("1/2", 3) &&
			!version_is_plain("1 2", 3),
		"and what may not");

	stem("zope.interface-6.0", true);
	stem("zope_interface-6", true);
	stem("Zope-Interface-6.0.0", true);
	stem("zope.interface-6.1", false);
	stem("zope.interface", false);
	stem("interface-6.0", false);
	return done_testing();
}
