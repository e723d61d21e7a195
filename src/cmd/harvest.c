/* SPDX-License-Identifier: MIT */
#include "cmd/harvest.h"

#include "base/cleanup.h"
#include "cmd/compile.h"
#include "cmd/own_view.h"

#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/xattr.h>

enum { STEP_MS = 5, STEP_MAX_MS = 100, ANSWER_MAX = 64 * 1024 };

static int parse_answer(const char *text, struct harvest *ret, struct diag *diag)
{
	int err = 0, n = 0;

	if (sscanf(text, "error %d %n", &err, &n) == 1 && n) {
		diag_set(diag, -err, "%s", text + n);
		diag->text[strcspn(diag->text, "\n")] = '\0';
		return err > 0 ? -err : -EPROTO;
	}
	return harvest_parse(text, ret);
}

/* The daemon answers when it is done; should it end before, so does the mount. */
static int wait_for(const char *root, const char *token, struct harvest *ret, struct diag *diag)
{
	auto_free char *text = malloc(ANSWER_MAX + 1), *name = NULL;
	int step = STEP_MS;

	if (!text || asprintf(&name, "user.venvfs.harvest.%s", token) < 0)
		return name = NULL, -ENOMEM;
	for (;;) {
		ssize_t n = getxattr(root, name, text, ANSWER_MAX);

		if (n >= 0) {
			text[n] = '\0';
			return parse_answer(text, ret, diag);
		}
		if (errno != ENODATA)
			return diag_errno(
				diag, -errno, "%s: the daemon of this root did not answer", root);
		poll(NULL, 0, step);
		if (step < STEP_MAX_MS)
			step *= 2;
	}
}

static int ask(const char *root, const char *env, struct harvest *ret, struct diag *diag)
{
	auto_str struct str value = {0};
	uint64_t random[2];
	char token[40];

	if (getrandom(random, sizeof random, 0) != sizeof random)
		return -errno;
	snprintf(token, sizeof token, "%016llx%016llx", (unsigned long long)random[0],
		(unsigned long long)random[1]);
	if (str_addf(&value, "%s %s", token, env) < 0)
		return -ENOMEM;
	if (setxattr(root, "user.venvfs.harvest", value.p, value.len, 0) < 0)
		return diag_errno(
			diag, -errno, "%s: the daemon of this root takes no harvest", root);
	return wait_for(root, token, ret, diag);
}

/* Nobody has mounted it, so nobody works in it through a view: the same, by a view of our own. */
static int harvest_here(struct cmd_context *ctx, const char *root, const char *env,
	struct harvest *ret, struct diag *diag)
{
	struct own_view o;
	int r = own_view_open(ctx, root, &o, diag);

	if (r < 0)
		return r;
	r = view_harvest(o.view, env, ret, diag);
	own_view_close(&o);
	return r;
}

int harvest_env(
	struct cmd_context *ctx, const struct env_path *p, struct harvest *ret, struct diag *diag)
{
	const char *env;
	int r;

	if (!p->root)
		return diag_set(diag, -EINVAL,
			"%s lies outside of every root; `venvfs mount` its directory first",
			p->path);
	env = p->path + strlen(p->root);
	env += strspn(env, "/");
	if (own_view_is_mounted(p->root))
		return ask(p->root, env, ret, diag);
	r = harvest_here(ctx, p->root, env, ret, diag);
	if (r == 0)
		cmd_compile_harvested(ctx, ret);
	return r;
}

void cmd_compile_harvested(struct cmd_context *ctx, const struct harvest *h)
{
	auto_free struct lock_line *lines = calloc(h->n + 1, sizeof *lines);
	size_t n = 0;

	for (size_t i = 0; lines && i < h->n; i++)
		if (h->items[i].what == HARVEST_ADDED)
			lines[n++] = (struct lock_line){.name = h->items[i].name,
				.version = h->items[i].version,
				.address = h->items[i].address};
	if (n)
		compile_added(ctx, NULL, lines, n, COMPILE_LATER);
}

void harvest_print(const struct env_path *p, const struct harvest *h)
{
	size_t changed = 0;

	for (size_t i = 0; i < h->n; i++) {
		const struct harvest_item *x = &h->items[i];

		changed += x->what != HARVEST_KEPT;
		if (x->what == HARVEST_KEPT)
			printf("= %s stays private: %s\n", x->name, x->why);
		else
			printf("%c %s %s\n", x->what == HARVEST_ADDED ? '+' : '-', x->name,
				x->version);
	}
	if (h->n_dropped)
		printf("%s: %zu file%s private no longer\n", p->path, h->n_dropped,
			h->n_dropped == 1 ? " is" : "s are");
	else if (!changed)
		printf("%s: nothing to harvest\n", p->path);
}

/* Whether the upper has more than pyvenv.cfg and .venvfs. */
static bool holds_more(const struct env_path *p)
{
	int fd = cmd_open_upper(p, NULL);
	auto_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
			strcmp(e->d_name, ".venvfs") != 0 && strcmp(e->d_name, "pyvenv.cfg") != 0)
			return true;
	return false;
}

int harvest_first(struct cmd_context *ctx, const struct env_path *p, struct diag *diag)
{
	struct diag why = {{0}};
	struct harvest h = {0};
	int r = p->root && holds_more(p) ? harvest_env(ctx, p, &h, &why) : 0;

	harvest_free(&h);
	switch (r) {
	case -EAGAIN:
	case -EDQUOT:
	case -EIO:
	case -ENOMEM:
	case -ENOSPC:
		return diag_set(diag, r, "%s", diag_text(&why, r));
	default:
		return 0;
	}
}
