/* SPDX-License-Identifier: MIT
 *
 * Only an executable whose facts the store does not have, or that was changed since, is started.
 */
#include "py/interpreter.h"

#include "base/cleanup.h"
#include "py/interpreter_places.h"
#include "py/process.h"

#include <string.h>
#include <sys/stat.h>

CLEANUP_DEFINE(interpreter, interpreter_unref)

static const char probe[] =
#include "py/probe.py.inc"
	;

enum { ENVIRONMENTS_MAX = 8 };

static char *absolute(const char *path)
{
	auto_free char *cwd = NULL;

	if (*path == '/')
		return strdup(path);
	while (str_starts(path, "./"))
		path += 2;
	cwd = getcwd(NULL, 0);
	return cwd ? place_format("%s/%s", strcmp(cwd, "/") ? cwd : "", path) : NULL;
}

static int ask(const char *path, struct interpreter **ret, struct diag *diag)
{
	auto_of(interpreter) struct interpreter *py = NULL;
	auto_str struct str out = {0}, err = {0};
	struct diag why = {{0}};
	struct stat st;
	int r;

	r = process_run((const char *[]){path, "-I", "-B", "-c", probe, NULL}, NULL, 0, &out, &err,
		NULL, &why);
	if (r == -ENOENT || r == -ENOMEM)
		return diag_set(diag, r, "%s", why.text);
	/* whoever complains of the program's text takes it for something else */
	if (r < 0 && err.p && memmem(err.p, err.len, probe, strcspn(probe, "\n")))
		diag_set(&why, r, "it is no Python");
	if (r < 0 && err.p && strstr(err.p, "Unknown option: -I"))
		diag_set(&why, r,
			"it is older than Python 3.4; 3.8 is the oldest that is supported");
	if (r == 0)
		r = interpreter_parse(out.p, out.len, &py, &why);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return diag_set(diag, -ENOEXEC, "%s can not be used: %s", path,
			str_starts(why.text, path) ? why.text + strlen(path) + 2 : why.text);
	if (stat(py->executable, &st) < 0)
		return diag_errno(diag, -errno, "%s says that it is %s", path, py->executable);
	py->binary_size = (uint64_t)st.st_size;
	py->binary_mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
	interpreter_check_templates(py);
	*ret = steal_ptr(py);
	return 0;
}

/* A system's packages bring and upgrade pip without touching the Python: what was recorded of its
 * wheels can be out of date all the same. */
static int has_wheels(const struct interpreter *py, bool *ret)
{
	auto_free char *ensurepip = NULL;

	*ret = py->n_wheels > 0 || py->n_tags > 0;
	for (size_t i = 0; i < py->n_wheels; i++)
		if (access(py->wheels[i], F_OK) < 0)
			*ret = false;
	if (py->n_wheels > 0)
		return 0;
	if (!py->stdlib) {
		*ret = false;
		return 0;
	}
	ensurepip = place_format("%s/ensurepip/__init__.py", py->stdlib);
	if (!ensurepip)
		return -ENOMEM;
	if (access(ensurepip, F_OK) == 0)
		*ret = false;
	return 0;
}

/* Facts that the store has of an executable, registered or not, and that hold still. -ENOENT */
static int from_store(struct store *s, const char *path, bool registers, struct interpreter **ret)
{
	auto_of(interpreter) struct interpreter *py = NULL;
	bool current = false, noted = false;
	int r = interpreter_recorded(s, path, &py);

	if (r == -ENOENT) {
		r = interpreter_noted(s, path, &py);
		noted = r == 0;
	}
	if (r == 0)
		r = has_wheels(py, &current);
	if (r == 0 && !current)
		r = -ENOENT;
	if (r == 0 && noted && registers)
		r = interpreter_record(s, py);
	if (r < 0 && r != -EROFS)
		return r;
	*ret = steal_ptr(py);
	return 0;
}

/* What an environment's python names as its base is asked itself, as before 3.11 that may be an
 * environment again. */
int interpreter_ask(struct store *s, const char *path, bool registers, struct interpreter **ret,
	struct diag *diag)
{
	auto_free char *at = absolute(path);
	int r;

	for (int i = 0; at && i < ENVIRONMENTS_MAX; i++) {
		auto_of(interpreter) struct interpreter *py = NULL;
		auto_free char *shimmed = NULL;

		r = place_of_shim(at, &shimmed);
		if (r == -ENOENT)
			return diag_set(diag, r,
				"%s is pyenv's, which has no such Python in the versions that are "
				"in force here",
				at);
		if (r < 0)
			return r;
		if (shimmed) {
			free(at);
			at = steal_ptr(shimmed);
		}
		r = from_store(s, at, registers, ret);
		if (r == 0)
			return 0;
		if (r != -ENOENT)
			return diag_errno(diag, r, "can not read the facts of %s in the store", at);
		r = ask(at, &py, diag);
		if (r < 0)
			return r;
		if (strcmp(py->executable, at) == 0) {
			r = registers ? interpreter_record(s, py) : interpreter_note(s, py);
			if (r < 0 && r != -EROFS)
				return diag_errno(diag, r, "can not record the facts of %s", at);
			*ret = steal_ptr(py);
			return 0;
		}
		free(at);
		at = strdup(py->executable);
	}
	return at ? diag_set(diag, -ELOOP,
			    "%s: its base is an environment of an environment of ...", path)
		  : -ENOMEM;
}
