/* SPDX-License-Identifier: MIT */
#include "cmd/seed.h"

#include "base/cleanup.h"
#include "cmd/answer.h"
#include "cmd/compile.h"
#include "cmd/pip.h"
#include "cmd/want.h"
#include "cmd/workdir.h"
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

static int from_index(
	struct cmd_context *ctx, struct interpreter *py, struct lock *lock, struct diag *diag)
{
	struct workdir work = {.fd = -1};
	struct diag why = {{0}};
	int r = workdir_make(&work, diag);

	if (r < 0)
		return r;
	pip_prepare();
	r = pip_run(py,
		(const char *const[]){"download", "--quiet", "--no-deps", "--only-binary",
			":all:", "--dest", work.path, "pip", NULL},
		&why);
	if (r < 0) {
		diag_set(diag, r,
			"%s comes without ensurepip (on Debian: apt install python%d.%d-venv), and "
			"pip can not be had from the package index: %s; --without-pip makes an "
			"environment with nothing in it",
			py->executable, py->major, py->minor, diag_text(&why, r));
	} else {
		auto_closedir DIR *d = opendir(work.path);
		struct dirent *e;

		r = -ENOENT;
		while (d && r == -ENOENT && (e = readdir(d))) {
			auto_free char *path = NULL;

			if (!str_ends(e->d_name, ".whl"))
				continue;
			r = asprintf(&path, "%s/%s", work.path, e->d_name) < 0
				    ? (path = NULL, -ENOMEM)
				    : add_line(ctx, path, lock, diag);
		}
	}
	workdir_free(&work);
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
		r = from_index(ctx, py, lock, diag);
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
