/* SPDX-License-Identifier: MIT
 *
 * An environment may lie at any depth below the root; what is below an environment is its own.
 */
#include "cmd/cmd.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mounts.h"
#include "cmd/env_facts.h"

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 32 };

struct row {
	char *name;
	struct env_facts facts;
};

struct listing {
	struct store *store;
	const char *root;
	struct row *rows;
	size_t n, cap;
};

static void listing_free(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->rows[i].name);
		env_facts_free(&l->rows[i].facts);
	}
	free(l->rows);
}

static int add(struct listing *l, const char *name, struct diag *diag)
{
	struct row row = {0};
	auto_free char *path = NULL;
	struct env_path p = {0};
	int r = array_grow(l->rows, l->cap, l->n + 1);

	if (r < 0)
		return r;
	if (asprintf(&path, "%s/%s", l->root, name) < 0)
		return path = NULL, -ENOMEM;
	p.path = path;
	r = env_facts_read(l->store, &p, &row.facts, diag);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	/* A thousand of them shall not need a thousand descriptors. */
	cleanup_close(&row.facts.cfg.dir);
	row.facts.cfg.dir = -1;
	row.name = strdup(name);
	if (!row.name) {
		env_facts_free(&row.facts);
		return -ENOMEM;
	}
	l->rows[l->n++] = row;
	return 0;
}

static int walk(struct listing *l, int at, const char *sub, unsigned depth, struct diag *diag)
{
	auto_closedir DIR *d = NULL;
	auto_close int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	int r = 0;

	if (fd < 0 || !(d = fdopendir(fd)))
		return diag_errno(diag, -errno, "%s/%s", l->root, sub);
	fd = -1;
	while (r == 0 && (errno = 0, e = readdir(d))) {
		auto_free char *name = NULL;
		auto_close int dir = -1;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
			str_starts(e->d_name, ".wh.") || str_starts(e->d_name, ".venvfs") ||
			(e->d_type != DT_DIR && e->d_type != DT_UNKNOWN))
			continue;
		dir = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir < 0)
			continue; /* no directory, or not ours to read */
		if (asprintf(&name, "%s%s%s", sub, *sub ? "/" : "", e->d_name) < 0)
			return name = NULL, -ENOMEM;
		if (faccessat(dir, "pyvenv.cfg", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			r = add(l, name, diag);
		else if (depth < DEPTH_MAX)
			r = walk(l, dir, name, depth + 1, diag);
	}
	if (r == 0 && errno)
		r = diag_errno(diag, -errno, "%s/%s", l->root, sub);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static int print_json(const struct listing *l)
{
	auto_str struct str out = {0};
	int r = str_add(&out, "{\"root\": ");

	if (r == 0)
		r = json_add_string(&out, l->root);
	if (r == 0)
		r = str_add(&out, ", \"environments\": [");
	for (size_t i = 0; r == 0 && i < l->n; i++) {
		const struct row *row = &l->rows[i];

		r = str_add(&out, i ? ",\n {\"name\": " : "\n {\"name\": ");
		if (r == 0)
			r = json_add_string(&out, row->name);
		if (r == 0)
			r = str_add(&out, ", \"python\": ");
		if (r == 0)
			r = json_add_string(&out, row->facts.cfg.cfg.version);
		if (r == 0)
			r = str_addf(&out, ", \"distributions\": %zu, \"state\": \"%s\"",
				row->facts.lock ? row->facts.lock->n : 0,
				env_facts_state(&row->facts));
		if (r == 0)
			r = str_add(&out, ", \"fault\": ");
		if (r == 0)
			r = json_add_string(&out, row->facts.fault);
		if (r == 0)
			r = str_add(&out, "}");
	}
	if (r == 0)
		r = str_add(&out, "\n]}\n");
	if (r == 0)
		fputs(out.p, stdout);
	return r;
}

static void print_table(const struct listing *l)
{
	int width = 0;

	for (size_t i = 0; i < l->n; i++) {
		int n = (int)strnlen(l->rows[i].name, 60);

		width = n > width ? n : width;
	}
	for (size_t i = 0; i < l->n; i++) {
		const struct env_facts *f = &l->rows[i].facts;

		printf("%-*s  %-8s %5zu  %s%s%s\n", width, l->rows[i].name,
			f->cfg.cfg.version ? f->cfg.cfg.version : "?", f->lock ? f->lock->n : 0,
			env_facts_state(f), f->fault ? ": " : "", f->fault ? f->fault : "");
	}
}

static int list(struct cmd_context *ctx, const char *dir, bool json)
{
	struct listing l = {.store = ctx->store};
	auto_free char *root = NULL;
	auto_close int fd = -1;
	struct diag diag = {0};
	int r = 0;

	if (dir) {
		root = realpath(dir, NULL);
		r = root ? 0 : diag_errno(&diag, -errno, "%s", dir);
	} else {
		r = cmd_root(ctx, &root, &diag);
	}
	if (r == 0) {
		l.root = root;
		fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 && (errno != ENOENT || dir))
			r = errno == ENOTCONN ? diag_set(&diag, -errno,
							"%s: the daemon of this mount is gone; "
							"`venvfs mount` "
							"starts it again",
							root)
					      : diag_errno(&diag, -errno, "%s", root);
		else if (fd >= 0)
			r = walk(&l, fd, "", 0, &diag);
	}
	if (l.n)
		qsort(l.rows, l.n, sizeof *l.rows, by_name);
	if (r == 0 && json)
		r = print_json(&l);
	else if (r == 0)
		print_table(&l);
	listing_free(&l);
	return r < 0 ? cmd_fail("%s", diag_text(&diag, r)) : 0;
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {0}};
	bool json = false;
	int c;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'j')
			return cmd_usage(&cmd_ls, "%s is no option", argv[optind - 1]);
		json = true;
	}
	if (argc - optind > 1)
		return cmd_usage(&cmd_ls, "one directory at most is wanted");
	if (!cmd_store(ctx))
		return 1;
	return list(ctx, argv[optind], json);
}

const struct cmd cmd_ls = {
	.name = "ls",
	.usage = "ls [DIR] [--json]",
	.summary = "list the environments of a root",
	.help = "Shows name, Python, number of distributions and state of each environment in DIR "
		"(default: "
		"the\n"
		"root). \"ordinary\" is one without a lock: all that is in it is its own files.\n\n"
		"example: venvfs ls --json\n",
	.run = run,
};
