/* SPDX-License-Identifier: MIT */
#include "cmd/pins.h"

#include "tests/tap.h"

#include <errno.h>
#include <string.h>

#define HASH_A "59bb03251907983d1603d27c3087ddb1e93299ea2163adcdba37899a4fb12ffb"
#define HASH_B "c66ae634e0b8228396b801741beb3294326d4b6102f7bba4041c0dfb58c29026"

static int parse(const char *text, struct pins *ret, struct diag *diag)
{
	*diag = (struct diag){0};
	return pins_parse(text, strlen(text), "req.txt", "/project", ret, diag);
}

static void good(void)
{
	struct pins p = {0};
	struct diag d;
	int r = parse("\xef\xbb\xbf# made by a tool\r\n"
		      "--index-url https://index.example/simple\n"
		      "-f wheels\n"
		      "--find-links=/abs/wheels\n"
		      "--require-hashes\n"
		      "\n"
		      "anyio==4.16.0 \\\n"
		      "    --hash=sha256:" HASH_A " \\\n"
		      "    --hash=sha256:" HASH_B "\n"
		      "    # via httpx\n"
		      "Zope.Interface[test, docs] == 6.0 ; python_version < '3.12'  # why\n"
		      "Foo__Bar===1.0+local.1\n"
		      "zope-interface==7.0;python_version>='3.12' --hash=sha256:" HASH_A "\n"
		      "last==1 \\",
		&p, &d);

	if (!ok(r == 0, "a file of pins is read: %s", d.text))
		return;
	ok(p.n == 5, "every pin is there, once");
	ok(strcmp(p.pins[0].name, "anyio") == 0 && strcmp(p.pins[0].version, "4.16.0") == 0 &&
			!p.pins[0].marker && p.pins[0].line == 7,
		"a pin over three lines");
	ok(p.pins[0].n_hashes == 2 && p.pins[0].hashes[0].b[0] == 0x59 &&
			p.pins[0].hashes[1].b[31] == 0x26,
		"both of its hashes");
	ok(strcmp(p.pins[1].name, "zope-interface") == 0 && strcmp(p.pins[1].version, "6.0") == 0,
		"the name is normalized, extras are dropped");
	ok(p.pins[1].marker && strcmp(p.pins[1].marker, "python_version < '3.12'") == 0,
		"the marker without the comment");
	ok(strcmp(p.pins[2].name, "foo-bar") == 0 && strcmp(p.pins[2].version, "1.0+local.1") == 0,
		"=== and a local version");
	ok(p.pins[3].n_hashes == 1 && p.pins[3].marker &&
			strcmp(p.pins[3].marker, "python_version>='3.12'") == 0,
		"a marker and a hash; a name may be pinned for either marker");
	ok(strcmp(p.pins[4].name, "last") == 0, "a continuation at the end of the file");
	ok(p.options.p && strcmp(p.options.p, "--index-url https://index.example/simple\n"
					      "-f /project/wheels\n"
					      "--find-links /abs/wheels\n") == 0,
		"options for the installer, local paths absolute");
	pins_free(&p);
	ok(parse("", &p, &d) == 0 && p.n == 0, "an empty file pins nothing");
	pins_free(&p);
}

static void bad(const char *text, const char *where, const char *why)
{
	struct pins p = {0};
	struct diag d;
	int r = parse(text, &p, &d);

	ok(r == -EINVAL && str_starts(d.text, where) && strstr(d.text, why),
		"refused, with file, line and reason: %s (%d)", d.text, r);
	if (r == 0)
		pins_free(&p);
}

int main(void)
{
	good();
	bad("a==1\nnumpy\n", "req.txt:2: ", "not pinned");
	bad("numpy>=2\n", "req.txt:1: ", "not pinned");
	bad("numpy==2.*\n", "req.txt:1: ", "not pinned");
	bad("numpy==2,<3\n", "req.txt:1: ", "behind the pin");
	bad("numpy==\n", "req.txt:1: ", "no version");
	bad("\n\n-r other.txt\n", "req.txt:3: ", "another file");
	bad("--requirement=other.txt\n", "req.txt:1: ", "another file");
	bad("-c limits.txt\n", "req.txt:1: ", "another file");
	bad("-e .\n", "req.txt:1: ", "editable");
	bad("a @ https://h.example/a-1-py3-none-any.whl\n", "req.txt:1: ", "URL");
	bad("https://h.example/a-1-py3-none-any.whl\n", "req.txt:1: ", "not a pinned");
	bad("./a-1-py3-none-any.whl\n", "req.txt:1: ", "not a pinned");
	bad("--frobnicate\n", "req.txt:1: ", "does not know");
	bad("a==1 --hash=md5:00\n", "req.txt:1: ", "not a SHA-256");
	bad("a==1 --hash=sha256:00\n", "req.txt:1: ", "64");
	bad("a==1 --config-settings x=y\n", "req.txt:1: ", "can not have");
	bad("a[b==1\n", "req.txt:1: ", "bracket");
	bad("a==1 ;\n", "req.txt:1: ", "no marker");
	bad("a==1\n\\\n\nA==2\n", "req.txt:4: ", "twice");
	bad("a==1\x01\n", "req.txt:1: ", "control byte");
	return done_testing();
}
