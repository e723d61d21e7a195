/* SPDX-License-Identifier: MIT
 *
 * The private half held against the lock (view/changes.h), and told by distribution. What somebody
 * installed privately has a RECORD that names its files: then one line tells of all.
 */
#include "cmd/cmd.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"
#include "py/metadata.h"
#include "py/record.h"
#include "py/scheme.h"
#include "view/changes.h"
#include "view/materialize.h"

#include <fcntl.h>
#include <string.h>

enum { RECORD_MAX = 64 * 1024 * 1024, METADATA_MAX = 16 * 1024 * 1024 };

struct installed {
	char *name, *version, *info; /* info: the .dist-info directory, from the environment's */
	size_t n;		     /* its files */
};

struct diff {
	struct env_path path;
	int upper;
	struct lower *lower;
	struct changes changes;
	int *owner; /* of each change: an index into installed, or -1 */
	struct installed *installed;
	size_t n_installed, cap_installed;
};

static int by_path(const void *key, const void *x)
{
	return strcmp(key, ((const struct change *)x)->path);
}

static struct change *find_change(const struct diff *d, const char *path)
{
	return d->changes.n
		       ? bsearch(path, d->changes.p, d->changes.n, sizeof *d->changes.p, by_path)
		       : NULL;
}

/* A path of RECORD, which begins at `site`, from the environment. -EINVAL: it leads out. */
static int clean(const char *site, const char *row, struct str *out)
{
	auto_str struct str whole = {0};
	const char *part, *p;
	size_t len;
	int r = *row == '/' ? -EINVAL : str_addf(&whole, "%s/%s", site, row);

	for (p = whole.p; r == 0 && (part = path_next(&p, &len));) {
		if (len == 1 && *part == '.')
			continue;
		if (len == 2 && memcmp(part, "..", 2) == 0) {
			char *slash = out->len ? strrchr(out->p, '/') : NULL;

			if (!out->len)
				return -EINVAL;
			str_truncate(out, slash ? (size_t)(slash - out->p) : 0);
			continue;
		}
		r = str_addf(out, "%s%.*s", out->len ? "/" : "", (int)len, part);
	}
	return r;
}

struct claiming {
	struct diff *d;
	const char *site;
};

static int claim(void *arg, const struct record_row *row)
{
	struct claiming *c = arg;
	struct diff *d = c->d;
	auto_str struct str path = {0};
	int r = clean(c->site, row->path, &path);
	struct change *x = r == 0 && path.len ? find_change(d, path.p) : NULL;

	if (x && x->kind != CHANGE_DELETED && d->owner[x - d->changes.p] < 0) {
		d->owner[x - d->changes.p] = (int)d->n_installed;
		d->installed[d->n_installed].n++;
	}
	return r == -ENOMEM ? r : 0;
}

/* Name and version as its METADATA has them, else the directory's name. */
static int name_it(const struct diff *d, struct installed *i)
{
	auto_str struct str path = {0}, text = {0};
	struct manifest *m = calloc(1, sizeof *m);
	const char *base = path_base(i->info);
	int r = m ? str_addf(&path, "%s/METADATA", i->info) : -ENOMEM;

	if (r == 0 && io_slurp_at(d->upper, path.p, METADATA_MAX, &text) == 0 &&
		metadata_parse(text.p ? text.p : "", text.len, m, NULL) == 0) {
		i->name = steal_ptr(m->name);
		i->version = steal_ptr(m->version);
	} else if (r == 0) {
		i->name = strndup(base, strlen(base) - strlen(".dist-info"));
		i->version = strdup("");
	}
	manifest_free(m);
	return r < 0 ? r : i->name && i->version ? 0 : -ENOMEM;
}

static int take_record(struct diff *d, const char *site, const char *record)
{
	auto_close int fd = io_open_beneath(
		d->upper, record, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	struct claiming c = {.d = d, .site = site};
	auto_str struct str text = {0};
	struct installed *i;
	int r = fd < 0 ? fd : io_slurp(fd, RECORD_MAX, &text);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = array_grow(d->installed, d->cap_installed, d->n_installed + 1);
	if (r < 0)
		return r;
	i = &d->installed[d->n_installed];
	*i = (struct installed){.info = strndup(record, (size_t)(path_base(record) - record) - 1)};
	r = i->info ? name_it(d, i) : -ENOMEM;
	if (r == 0)
		r = record_parse(text.p ? text.p : "", text.len, claim, &c, NULL);
	d->n_installed++;
	return r == -EINVAL ? 0 : r; /* what such a RECORD names is told file by file */
}

static int find_installed(struct diff *d)
{
	auto_str struct str site = {0};
	int r = scheme_dir(lower_interpreter(d->lower), TREE_SITE, "", &site);

	d->owner = malloc((d->changes.n + 1) * sizeof *d->owner);
	if (!d->owner)
		return -ENOMEM;
	for (size_t i = 0; i < d->changes.n; i++)
		d->owner[i] = -1;
	for (size_t i = 0; r == 0 && i < d->changes.n; i++) {
		const struct change *x = &d->changes.p[i];
		const char *rest = x->path + site.len + 1, *slash;

		if (x->kind == CHANGE_DELETED || !str_starts(x->path, site.p) ||
			x->path[site.len] != '/')
			continue;
		slash = strchr(rest, '/');
		if (slash && strcmp(slash, "/RECORD") == 0 && slash - rest > 10 &&
			memcmp(slash - 10, ".dist-info", 10) == 0)
			r = take_record(d, site.p, x->path);
	}
	return r;
}

static const char *mark(enum change_kind kind)
{
	static const char *const marks[] = {
		[CHANGE_ADDED] = "+",
		[CHANGE_DELETED] = "-",
		[CHANGE_BYTES] = "~",
		[CHANGE_MODE] = "mode",
		[CHANGE_XATTR] = "xattr",
		[CHANGE_NONE] = "same",
	};

	return marks[kind];
}

/* All that belongs to distribution `dist`, under a line that names it. */
static size_t print_group(const struct diff *d, int dist)
{
	size_t n = 0;

	for (size_t i = 0; i < d->changes.n; i++) {
		const struct change *x = &d->changes.p[i];

		if (d->owner[i] >= 0 || x->dist != dist)
			continue;
		if (n++ == 0 && dist >= 0)
			printf("%s %s\n", lower_line(d->lower, (size_t)dist)->name,
				lower_line(d->lower, (size_t)dist)->version);
		else if (n == 1)
			puts("of no distribution");
		printf("  %s %s\n", mark(x->kind), x->path);
	}
	return n;
}

static void print_text(const struct diff *d)
{
	size_t n = d->n_installed;

	for (size_t i = 0; i < d->n_installed; i++) {
		const struct installed *x = &d->installed[i];

		printf("%s%s%s installed privately, %zu file%s\n", x->name, *x->version ? " " : "",
			x->version, x->n, plural(x->n));
	}
	for (size_t i = 0; i < lower_n_dists(d->lower); i++)
		n += print_group(d, (int)i);
	n += print_group(d, -1);
	if (!n)
		printf("%s: as its lock says\n", d->path.path);
}

static int add_change(struct str *out, const struct diff *d, size_t i)
{
	static const char *const words[] = {
		[CHANGE_ADDED] = "added",
		[CHANGE_DELETED] = "deleted",
		[CHANGE_BYTES] = "changed",
		[CHANGE_MODE] = "mode",
		[CHANGE_XATTR] = "xattr",
		[CHANGE_NONE] = "same",
	};
	const struct change *x = &d->changes.p[i];
	int r = str_add(out, "{\"path\": ");

	if (r == 0)
		r = json_add_string(out, x->path);
	if (r == 0)
		r = str_addf(out, ", \"change\": \"%s\", \"distribution\": ", words[x->kind]);
	if (r == 0)
		r = json_add_string(
			out, x->dist < 0 ? NULL : lower_line(d->lower, (size_t)x->dist)->name);
	if (r == 0)
		r = str_add(out, ", \"installed\": ");
	if (r == 0)
		r = json_add_string(out, d->owner[i] < 0 ? NULL : d->installed[d->owner[i]].name);
	return r == 0 ? str_add(out, "}") : r;
}

static int add_installed(struct str *out, const struct installed *x)
{
	int r = str_add(out, "{\"name\": ");

	if (r == 0)
		r = json_add_string(out, x->name);
	if (r == 0)
		r = str_add(out, ", \"version\": ");
	if (r == 0)
		r = json_add_string(out, x->version);
	return r == 0 ? str_addf(out, ", \"files\": %zu}", x->n) : r;
}

static int print_json(const struct diff *d)
{
	auto_str struct str out = {0};
	int r = str_add(&out, "{\"env\": ");

	if (r == 0)
		r = json_add_string(&out, d->path.path);
	if (r == 0)
		r = str_add(&out, ",\n \"installed\": [");
	for (size_t i = 0; r == 0 && i < d->n_installed; i++) {
		r = str_add(&out, i ? ",\n  " : "\n  ");
		if (r == 0)
			r = add_installed(&out, &d->installed[i]);
	}
	if (r == 0)
		r = str_add(&out, "],\n \"changes\": [");
	for (size_t i = 0; r == 0 && i < d->changes.n; i++) {
		r = str_add(&out, i ? ",\n  " : "\n  ");
		if (r == 0)
			r = add_change(&out, d, i);
	}
	if (r == 0)
		r = str_add(&out, "]}");
	if (r == 0)
		puts(out.p);
	return r;
}

static int read_diff(struct cmd_context *ctx, const char *env, struct diff *d, struct diag *diag)
{
	auto_str struct str text = {0};
	struct cfg cfg = {0};
	int r = cmd_env_path(ctx, env, &d->path, diag);

	if (r == 0)
		r = d->upper = cmd_open_upper(&d->path, diag);
	if (r < 0)
		return r;
	r = io_slurp_at(d->upper, "pyvenv.cfg", CFG_MAX, &text);
	if (r < 0)
		return diag_errno(diag, r, "%s is no environment: pyvenv.cfg", d->path.path);
	r = cfg_parse(text.p ? text.p : "", text.len, &cfg, diag);
	if (r == 0 && cfg.lock_kind == CFG_LOCK_ABSENT)
		r = diag_set(diag, -EINVAL,
			"%s is an ordinary environment: it has no lock that its files could differ "
			"from",
			d->path.path);
	if (r == 0)
		r = materialize_lower(ctx->store, &cfg, &d->lower, diag);
	if (r == 0)
		r = changes_read(d->lower, d->upper, &d->changes);
	if (r == 0)
		r = find_installed(d);
	cfg_free(&cfg);
	return r < 0 && !diag->text[0] ? diag_errno(diag, r, "%s", d->path.path) : r;
}

static void diff_free(struct diff *d)
{
	for (size_t i = 0; i < d->n_installed; i++) {
		free(d->installed[i].name);
		free(d->installed[i].version);
		free(d->installed[i].info);
	}
	free(d->installed);
	free(d->owner);
	changes_free(&d->changes);
	lower_unref(d->lower);
	cleanup_close(&d->upper);
	env_path_free(&d->path);
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	struct diff d = {.upper = -1};
	struct diag diag = {0};
	bool json = false;
	const struct cmd_option options[] = {{"json", .flag = &json}, {0}};
	int first = cmd_options(&cmd_diff, options, argc, argv), r;

	if (first < 0)
		return -first;
	if (argc - first != 1)
		return cmd_usage(&cmd_diff, "the name or path of one environment is wanted");
	if (!cmd_store(ctx))
		return 1;
	r = read_diff(ctx, argv[first], &d, &diag);
	if (r == 0 && json)
		r = print_json(&d);
	else if (r == 0)
		print_text(&d);
	diff_free(&d);
	return r < 0 ? cmd_fail("%s", diag_text(&diag, r)) : 0;
}

const struct cmd cmd_diff = {
	.name = "diff",
	.usage = "diff ENV [--json]",
	.summary = "show what is private in an environment: in what it differs from its lock",
	.help = "By distribution, one line a path: \"+\" was added, \"-\" deleted, \"~\" has other bytes; \"mode\" and\n"
		"\"xattr\" differ in these alone, and \"same\" was made private without a change. Of what was\n"
		"installed privately one line tells. Nothing is changed.\n\n"
		"example: venvfs diff web\n",
	.run = run,
};
