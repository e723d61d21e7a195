/* SPDX-License-Identifier: MIT
 *
 * What is installed already should stay as it is where it can. uv takes the versions of the lock
 * file that it is to write over as preferences. pip knows none: it gets them as constraints, and is
 * asked again without where they can not be met.
 */
#include "cmd/resolve.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cmd/index.h"
#include "cmd/pip.h"
#include "cmd/progress.h"
#include "py/name.h"
#include "py/process.h"

#include <ctype.h>
#include <string.h>

enum { ARGS = 40, FILES_MAX = 8, FILE_MAX = 16 * 1024 * 1024 };

struct args {
	const char *list[ARGS];
	size_t n;
};

static void add(struct args *a, const char *arg)
{
	if (a->n + 1 < ARGS)
		a->list[a->n++] = arg;
}

static bool is_path(const char *s)
{
	return (strchr(s, '/') || str_ends(s, ".whl") || str_ends(s, ".tar.gz") ||
		       str_ends(s, ".zip") || strcmp(s, ".") == 0) &&
	       access(s, F_OK) == 0;
}

int resolve_add(struct resolve_request *request, const char *argument, struct diag *diag)
{
	auto_free char *real = is_path(argument) ? realpath(argument, NULL) : NULL;

	if (!*argument || *argument == '-' || strchr(argument, '\n'))
		return diag_set(diag, -EINVAL, "\"%s\" is no requirement", argument);
	return str_addf(&request->lines, "%s\n", real ? real : argument);
}

/* The name that a line begins with, as PEP 508 has it. */
static int add_name(const char *line, size_t n, struct str *ret)
{
	auto_str struct str name = {0};
	size_t k;
	int r;

	while (n && isspace((unsigned char)*line)) {
		line++;
		n--;
	}
	k = name_length(line, n);
	if (!k || (k < n && !strchr(" \t[<>=!~;@(#", line[k])))
		return 0;
	r = name_normalize(line, k, &name);
	return r == 0 ? str_addf(ret, "%s\n", name.p) : r == -EINVAL ? 0 : r;
}

static int add_names(const char *text, struct str *ret)
{
	int r = 0;

	for (const char *p = text; r == 0 && p && *p; p += strcspn(p, "\n"), p += *p == '\n')
		r = add_name(p, strcspn(p, "\n"), ret);
	return r;
}

int resolve_names(const struct resolve_request *request, struct str *ret, struct diag *diag)
{
	int r = add_names(request->lines.p, ret);

	for (size_t i = 0; r == 0 && i < request->n_files; i++) {
		auto_str struct str text = {0};

		r = io_slurp_path(request->files[i], FILE_MAX, &text);
		if (r < 0)
			return diag_errno(diag, r, "%s", request->files[i]);
		r = add_names(text.p, ret);
	}
	return r;
}

/* A lock file of names and versions: all that uv looks at in what it writes over. */
static int write_preferences(const struct lock *prefer, struct workdir *work)
{
	auto_str struct str text = {0};
	int r = str_add(&text, "lock-version = \"1.0\"\ncreated-by = \"venvfs\"\n");

	for (size_t i = 0; r == 0 && i < prefer->n; i++)
		r = str_addf(&text, "\n[[packages]]\nname = \"%s\"\nversion = \"%s\"\n",
			prefer->lines[i].name, prefer->lines[i].version);
	return r < 0 ? r : io_publish_at(work->fd, "pylock.toml", text.p, text.len, 0600);
}

static int write_constraints(const struct lock *prefer, struct workdir *work)
{
	auto_str struct str text = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < prefer->n; i++)
		r = str_addf(&text, "%s==%s\n", prefer->lines[i].name, prefer->lines[i].version);
	return r < 0 ? r : io_publish_at(work->fd, "constraints.txt", text.p, text.len, 0600);
}

static void pass_on(const struct str *said)
{
	progress_clear();
	fflush(stdout);
	if (said->len)
		fwrite(said->p, 1, said->len, stderr);
	if (said->len && said->p[said->len - 1] != '\n')
		fputc('\n', stderr);
}

static int by_uv(
	const struct resolve_request *q, const char *in, const char *out, struct diag *diag)
{
	struct args a = {0};
	auto_str struct str said = {0};
	int r, status = 0;

	for (const char *const *s = (const char *const[]){"uv", "pip", "compile", "--quiet",
		     "--color", "never", "--no-header", "--no-annotate", "--python",
		     q->py->executable, "--format", "pylock.toml", "--output-file", out, in, NULL};
		*s; s++)
		add(&a, *s);
	if (q->no_deps)
		add(&a, "--no-deps");
	for (size_t i = 0; i < q->n_files; i++)
		add(&a, q->files[i]);
	r = process_run(a.list, NULL, 0, NULL, &said, &status, diag);
	if (r < 0)
		return r;
	if (status)
		pass_on(&said);
	return status != 0;
}

static int by_pip(const struct resolve_request *q, const char *in, const char *out,
	const char *constraints, struct diag *diag)
{
	struct args a = {0};
	auto_str struct str said = {0};
	int r;

	for (const char *const *s = (const char *const[]){"install", "--quiet", "--dry-run",
		     "--ignore-installed", "--report", out, "--requirement", in, NULL};
		*s; s++)
		add(&a, *s);
	if (q->no_deps)
		add(&a, "--no-deps");
	for (size_t i = 0; i < q->n_files; i++) {
		add(&a, "--requirement");
		add(&a, q->files[i]);
	}
	if (constraints) {
		add(&a, "--constraint");
		add(&a, constraints);
	}
	r = pip_run_loud(q->py, a.list, &said, diag);
	if (r == -EIO && !constraints)
		pass_on(&said);
	return r == -EIO ? 1 : r;
}

int resolve(
	const struct resolve_request *q, struct workdir *work, char **ret_file, struct diag *diag)
{
	auto_free char *in = NULL, *out = NULL, *constraints = NULL;
	bool uv = index_by_uv(q->asker), prefer = q->prefer && q->prefer->n;
	int r = workdir_make(work, diag);

	if (r < 0)
		return r;
	if (q->n_files > FILES_MAX)
		return diag_set(diag, -E2BIG, "more than %d files of requirements", FILES_MAX);
	if (asprintf(&in, "%s/requirements.in", work->path) < 0)
		return in = NULL, -ENOMEM;
	if (asprintf(&out, "%s/%s", work->path, uv ? "pylock.toml" : "report.json") < 0)
		return out = NULL, -ENOMEM;
	if (asprintf(&constraints, "%s/constraints.txt", work->path) < 0)
		return constraints = NULL, -ENOMEM;
	r = io_publish_at(
		work->fd, "requirements.in", q->lines.p ? q->lines.p : "", q->lines.len, 0600);
	if (r == 0 && prefer)
		r = uv ? write_preferences(q->prefer, work) : write_constraints(q->prefer, work);
	if (r < 0)
		return diag_errno(diag, r, "can not write into %s", work->path);
	progress_show("%s resolves", uv ? "uv" : "pip");
	if (uv) {
		r = by_uv(q, in, out, diag);
	} else {
		pip_prepare();
		r = prefer ? by_pip(q, in, out, constraints, diag) : 1;
		if (r > 0)
			r = by_pip(q, in, out, NULL, diag);
	}
	progress_clear();
	if (r == 0)
		*ret_file = steal_ptr(out);
	return r;
}

void resolve_free(struct resolve_request *request)
{
	str_free(&request->lines);
	for (size_t i = 0; i < request->n_files; i++)
		free(request->files[i]);
	free(request->files);
}
