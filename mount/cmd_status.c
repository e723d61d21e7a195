/* SPDX-License-Identifier: MIT
 *
 * `venvfs status`: what each mounted root's daemon says of itself.
 */
#include "mount/mount.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/mounts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

struct listing {
	bool json;
	size_t n, dead;
};

/* The attribute's text, read again if it grew between asking its size and reading. */
static char *ask(const char *root)
{
	for (int tries = 0; tries < 3; tries++) {
		ssize_t n = getxattr(root, "user.venvfs.status", NULL, 0);
		char *text = n < 0 ? NULL : malloc((size_t)n + 256);

		if (!text)
			return NULL;
		n = getxattr(root, "user.venvfs.status", text, (size_t)n + 255);
		if (n >= 0) {
			text[n] = '\0';
			return text;
		}
		free(text);
		if (errno != ERANGE)
			return NULL;
	}
	return NULL;
}

/* `"key": value` of the daemon's own JSON, whose form is known. */
static const char *field(const char *text, const char *key)
{
	char quoted[64];
	const char *p;

	snprintf(quoted, sizeof quoted, "\"%s\": ", key);
	p = strstr(text, quoted);
	return p ? p + strlen(quoted) : "?";
}

static void print_counts(const char *text)
{
	const char *p = strstr(text, "\"requests\": {");

	printf("  requests:");
	for (p = p ? p + strlen("\"requests\": {") : ""; *p && *p != '}';) {
		char name[32];
		unsigned long long n;
		int used = 0;

		if (sscanf(p, " \"%31[^\"]\": %llu%n", name, &n, &used) < 2)
			break;
		if (n)
			printf(" %s %llu", name, n);
		p += used + (p[used] == ',');
	}
	putchar('\n');
}

static void print_text(const char *root, const char *text)
{
	const char *faults = field(text, "faults");
	size_t n = strcspn(faults, "]");

	printf("%s: mounted%s, daemon %.*s, up %.*s s, %.*s environments in use\n", root,
		*field(text, "read_only") == 't' ? " read-only" : "",
		(int)strcspn(field(text, "pid"), ","), field(text, "pid"),
		(int)strcspn(field(text, "uptime"), ","), field(text, "uptime"),
		(int)strcspn(field(text, "envs"), ","), field(text, "envs"));
	print_counts(text);
	if (n > 1)
		printf("  faults: %.*s\n", (int)n - 1, faults + 1);
}

static int show(void *arg, const char *root)
{
	struct listing *l = arg;
	auto_free char *text = ask(root);
	auto_str struct str quoted = {0};

	if (l->json && l->n)
		fputs(", ", stdout);
	l->n++;
	if (text && l->json) {
		printf("%.*s", (int)strcspn(text, "\n"), text);
	} else if (text) {
		print_text(root, text);
	} else if (l->json) {
		l->dead++;
		if (json_add_string(&quoted, root) == 0)
			printf("{\"root\": %s, \"dead\": true}", quoted.p);
	} else {
		l->dead++;
		printf("%s: does not answer (%s); `venvfs mount %s` clears and mounts it again\n",
			root, strerror(errno), root);
	}
	return 0;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	struct listing l = {0};
	const struct cmd_option options[] = {{"json", .flag = &l.json}, {0}};
	int first = cmd_options(&cmd_status, options, argc, argv), r;

	(void)ctx;
	if (first < 0)
		return -first;
	if (first < argc)
		return cmd_usage(&cmd_status, "no arguments are taken");
	if (l.json)
		putchar('[');
	r = mounts_each(show, &l);
	if (l.json)
		puts("]");
	else if (!l.n)
		puts("nothing is mounted; `venvfs mount` mounts ~/envs");
	if (r < 0)
		return cmd_fail("the list of mounts can not be read: %s", strerror(-r));
	return l.dead ? 1 : 0;
}

const struct cmd cmd_status = {
	.name = "status",
	.usage = "status [--json]",
	.summary = "what is mounted, and how many requests it has answered",
	.help = "      --json   a list with one object for each mounted root: pid, root, requests by opcode, faults\n\n"
		"example: venvfs status --json\n",
	.run = run,
};
