/* SPDX-License-Identifier: MIT */
#include "cmd/seed.h"

#include "base/cleanup.h"
#include "cmd/answer.h"
#include "cmd/compile.h"
#include "cmd/pip.h"
#include "cmd/want.h"
#include "cmd/workdir.h"
#include "py/name.h"
#include "py/wheel.h"

#include <string.h>
#include <sys/stat.h>

bool seed_is(const char *name)
{
	return strcmp(name, "pip") == 0 || strcmp(name, "setuptools") == 0 ||
	       strcmp(name, "wheel") == 0 || strcmp(name, "uv") == 0;
}

/* A distribution of the system can replace a bundled wheel under the same name. */
static int question(const struct interpreter *py, struct str *out)
{
	int r = str_add(out, "seed\n");

	for (size_t i = 0; r == 0 && i < py->n_wheels; i++) {
		struct stat st = {0};

		if (stat(py->wheels[i], &st) < 0)
			st.st_size = -1;
		r = str_addf(out, "%s %lld %lld.%09ld\n", py->wheels[i], (long long)st.st_size,
			(long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	}
	return r;
}

static int add_wheel(struct cmd_context *ctx, const char *path, struct want *w, struct diag *diag)
{
	struct digest address, wheel;
	struct wheel_name name = {0};
	struct ingest *in = NULL;
	int r = wheel_name_parse(path_base(path), &name, diag);

	if (r < 0)
		return r;
	w->name = strdup(name.name);
	wheel_name_free(&name);
	if (!w->name)
		return -ENOMEM;
	r = ingest_begin(ctx->store, &in, diag);
	if (r == 0)
		r = wheel_ingest(in, path, NULL, 0, &address, &wheel, diag);
	if (r == 0)
		r = ingest_commit(in, diag);
	if (in)
		ingest_free(in);
	if (r == 0) {
		r = want_found_at(ctx->store, w, &address, &wheel);
		if (r < 0)
			diag_errno(diag, r, "%s", path);
	}
	return r;
}

static bool is_requirement_of(const char *requirement, const char *name)
{
	auto_str struct str own = {0};

	return name_normalize(requirement, name_length(requirement, strlen(requirement)), &own) ==
		       0 &&
	       strcmp(own.p, name) == 0;
}

static int add_line(struct cmd_context *ctx, const char *path, struct lock *lock, struct diag *diag)
{
	struct want w = {0};
	int r = add_wheel(ctx, path, &w, diag);

	if (r == 0) {
		/* as ensurepip's pip would say */
		char *installer = strdup("pip");

		if (!installer)
			r = -ENOMEM;
		free(w.line.installer);
		w.line.installer = installer;
	}
	if (r == 0)
		r = lock_set(lock, &w.line);
	want_clear(&w);
	return r;
}

/* The index's wheels of `what` and of what they need; of these, all but `what` are not requested.
 */
static int download(struct cmd_context *ctx, struct interpreter *py, char *const *what, size_t n,
	struct lock *lock, struct diag *diag)
{
	const char **argv = calloc(n + 8, sizeof *argv);
	struct workdir work = {.fd = -1};
	size_t k = 0;
	int r = argv ? workdir_make(&work, diag) : -ENOMEM;

	if (r == 0) {
		static const char *const first[] = {
			"download", "--quiet", "--only-binary", ":all:", "--dest"};

		for (size_t i = 0; i < sizeof first / sizeof *first; i++)
			argv[k++] = first[i];
		argv[k++] = work.path;
		for (size_t i = 0; i < n; i++)
			argv[k++] = what[i];
		pip_prepare();
		r = pip_run(py, argv, diag);
	}
	if (r == 0) {
		auto_closedir DIR *d = opendir(work.path);
		struct dirent *e;

		r = d ? 0 : diag_errno(diag, -errno, "%s", work.path);
		while (d && r == 0 && (e = readdir(d))) {
			auto_free char *path = NULL;

			if (!str_ends(e->d_name, ".whl"))
				continue;
			if (asprintf(&path, "%s/%s", work.path, e->d_name) < 0)
				path = NULL, r = -ENOMEM;
			else
				r = add_line(ctx, path, lock, diag);
		}
	}
	for (size_t i = 0; r == 0 && i < lock->n; i++) {
		lock->lines[i].requested = false;
		for (size_t j = 0; j < n; j++)
			if (is_requirement_of(what[j], lock->lines[i].name))
				lock->lines[i].requested = true;
	}
	workdir_free(&work);
	free(argv);
	return r;
}

static int pip_from_index(
	struct cmd_context *ctx, struct interpreter *py, struct lock *lock, struct diag *diag)
{
	char *const pip[] = {(char *)"pip"};
	struct diag why = {{0}};
	int r = download(ctx, py, pip, 1, lock, &why);

	if (r < 0)
		diag_set(diag, r,
			"%s comes without ensurepip (on Debian: apt install python%d.%d-venv), and "
			"pip can not be had from the package index: %s; --without-pip makes an "
			"environment with nothing in it",
			py->executable, py->major, py->minor, diag_text(&why, r));
	return r;
}

int seed_lock(struct cmd_context *ctx, struct interpreter *py, struct digest *ret_id,
	struct lock **ret, struct diag *diag)
{
	auto_str struct str asked = {0};
	struct lock *lock = NULL;
	int r;

	if (!cmd_store(ctx))
		return diag_set(diag, -EIO, "there is no store");
	r = question(py, &asked);
	if (r == 0)
		r = answer_get(ctx->store, asked.p, py, ret_id, ret);
	if (r != -ENOENT)
		return r;
	lock = lock_new();
	r = lock ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < py->n_wheels; i++)
		r = add_line(ctx, py->wheels[i], lock, diag);
	if (r == 0 && py->n_wheels == 0)
		r = pip_from_index(ctx, py, lock, diag);
	if (r == 0)
		r = answer_put(ctx->store, asked.p, py, lock, true, ret_id, diag);
	if (r == 0)
		compile_added(ctx, py, lock->lines, lock->n, COMPILE_LATER);
	if (r < 0) {
		lock_free(lock);
		return r;
	}
	*ret = lock;
	return 0;
}

/* The base's own wheel for a bare name; NULL: it has none. */
static const char *bundled(const struct interpreter *py, const char *name)
{
	for (size_t i = 0; !name[name_length(name, strlen(name))] && i < py->n_wheels; i++) {
		struct wheel_name w = {0};
		bool same = wheel_name_parse(path_base(py->wheels[i]), &w, NULL) == 0 &&
			    is_requirement_of(name, w.name);

		wheel_name_free(&w);
		if (same)
			return py->wheels[i];
	}
	return NULL;
}

/* pip takes what begins with "-" for an option, and a path for what lies there. */
static int check(char *const *names, size_t n, struct diag *diag)
{
	for (size_t i = 0; i < n; i++) {
		const char *rest = names[i] + name_length(names[i], strlen(names[i]));

		if (rest == names[i] || (*rest && !strchr("=<>!~[", *rest)))
			return diag_set(diag, -EINVAL,
				"\"%s\" is no distribution's name (as wheel, or pip==24.0)",
				names[i]);
	}
	return 0;
}

int seed_named(struct cmd_context *ctx, struct interpreter *py, char *const *names, size_t n,
	bool newest, struct digest *ret_id, struct lock **ret, struct diag *diag)
{
	struct lock *lock = lock_new(), *got = lock_new();
	char **rest = calloc(n + 1, sizeof *rest);
	size_t n_rest = 0;
	int r = lock && got && rest ? check(names, n, diag) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *wheel = newest ? NULL : bundled(py, names[i]);

		if (wheel)
			r = add_line(ctx, wheel, lock, diag);
		else
			rest[n_rest++] = names[i];
	}
	if (r == 0 && n_rest)
		r = download(ctx, py, rest, n_rest, got, diag);
	/* what was asked for wins over what something needs */
	for (size_t i = 0; r == 0 && i < got->n; i++)
		if (!lock_find(lock, got->lines[i].name))
			r = lock_set(lock, &got->lines[i]);
	if (r == 0)
		r = store_lock_put(ctx->store, lock, ret_id, diag);
	if (r == 0)
		compile_added(ctx, py, lock->lines, lock->n, COMPILE_LATER);
	free(rest);
	lock_free(got);
	if (r < 0) {
		lock_free(lock);
		return r;
	}
	*ret = lock;
	return 0;
}
