/* SPDX-License-Identifier: MIT
 *
 * The user's side: from what a person calls a Python to its facts. Only an executable whose
 * facts are not recorded, or that was changed since, is started. pyenv's shims are resolved by
 * pyenv's own rule where it is plain, as starting one costs more than all else that makes an
 * environment.
 */
#include "py/interpreter.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "py/process.h"
#include "py/text.h"

#include <ctype.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <string.h>

CLEANUP_DEFINE(interpreter, interpreter_unref)

static const char probe[] =
#include "py/probe.py.inc"
	;

enum { ENVIRONMENTS_MAX = 8, VERSION_FILE_MAX = 4096 };

struct paths {
	char **p;
	size_t n, cap;
};

static void paths_free(struct paths *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->p[i]);
	free(l->p);
}
#define auto_paths __attribute__((cleanup(paths_free)))

/* Takes `path` over; NULL is out of memory. */
static int paths_add(struct paths *l, char *path)
{
	if (!path || array_grow(l->p, l->cap, l->n + 1) < 0) {
		free(path);
		return -ENOMEM;
	}
	l->p[l->n++] = path;
	return 0;
}

static char *format_path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *format_path(const char *fmt, ...)
{
	char *p;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&p, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : p;
}

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static char *absolute(const char *path)
{
	auto_free char *cwd = NULL;

	if (*path == '/')
		return strdup(path);
	while (str_starts(path, "./"))
		path += 2;
	cwd = getcwd(NULL, 0);
	return cwd ? format_path("%s/%s", strcmp(cwd, "/") ? cwd : "", path) : NULL;
}

/* pyenv */

static char *pyenv_root(void)
{
	const char *root = getenv("PYENV_ROOT"), *home = getenv("HOME");

	if (root && *root == '/')
		return strdup(root);
	return format_path("%s/.pyenv", home ? home : "");
}

/* The versions in force, in pyenv's order: $PYENV_VERSION, .python-version here or above, the
 * global file. */
static int pyenv_versions(const char *root, struct str *ret)
{
	const char *set = getenv("PYENV_VERSION");
	auto_free char *dir = NULL, *global = NULL;
	int r;

	if (set && *set)
		return str_add(ret, set);
	dir = getcwd(NULL, 0);
	global = format_path("%s/version", root);
	if (!dir || !global)
		return -ENOMEM;
	for (;;) {
		auto_free char *file = format_path("%s/.python-version", dir);

		if (!file)
			return -ENOMEM;
		r = io_slurp_at(AT_FDCWD, file, VERSION_FILE_MAX, ret);
		if (r != -ENOENT || !*dir)
			break;
		*strrchr(dir, '/') = '\0';
	}
	return r == -ENOENT ? io_slurp_at(AT_FDCWD, global, VERSION_FILE_MAX, ret) : r;
}

/* What a shim would run: *ret stays NULL where it is none, or its rule is not plain (then it is
 * asked itself). */
static int resolve_shim(const char *path, char **ret)
{
	auto_free char *root = pyenv_root(), *shims = NULL;
	auto_str struct str versions = {0};
	char *word, *save = NULL;

	if (!root)
		return -ENOMEM;
	shims = format_path("%s/shims/", root);
	if (!shims)
		return -ENOMEM;
	if (!str_starts(path, shims) || strchr(path + strlen(shims), '/'))
		return 0;
	if (pyenv_versions(root, &versions) < 0 || !versions.p || strchr(versions.p, '#'))
		return 0;
	for (word = strtok_r(versions.p, ": \t\r\n", &save); word;
		word = strtok_r(NULL, ": \t\r\n", &save)) {
		auto_free char *dir = NULL, *program = NULL;

		if (strchr(word, '/') || !strcmp(word, ".."))
			return 0;
		dir = format_path("%s/versions/%s", root, word);
		if (!dir)
			return -ENOMEM;
		program = format_path("%s/bin/%s", dir, path_base(path));
		if (!program)
			return -ENOMEM;
		if (access(dir, F_OK) < 0)
			return 0;
		if (is_program(program)) {
			*ret = steal_ptr(program);
			return 0;
		}
	}
	return 0;
}

/* asking */

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
	ensurepip = format_path("%s/%s/ensurepip/__init__.py", py->base_prefix, py->lib);
	if (!ensurepip)
		return -ENOMEM;
	if (access(ensurepip, F_OK) == 0)
		*ret = false;
	return 0;
}

/* The facts of one executable. What an environment's python names as its base is asked itself,
 * as before 3.11 that may be an environment again. */
static int from_path(struct store *s, const char *path, struct interpreter **ret, struct diag *diag)
{
	auto_free char *at = absolute(path);
	int r;

	for (int i = 0; at && i < ENVIRONMENTS_MAX; i++) {
		auto_of(interpreter) struct interpreter *py = NULL;
		auto_free char *shimmed = NULL;
		bool current = false;

		r = resolve_shim(at, &shimmed);
		if (r < 0)
			return r;
		if (shimmed) {
			free(at);
			at = steal_ptr(shimmed);
		}
		r = interpreter_recorded(s, at, &py);
		if (r == 0)
			r = has_wheels(py, &current);
		if (r == 0 && current) {
			*ret = steal_ptr(py);
			return 0;
		}
		if (r == 0)
			interpreter_unref(steal_ptr(py));
		else if (r != -ENOENT)
			return diag_errno(diag, r, "can not read the facts of %s in the store", at);
		r = ask(at, &py, diag);
		if (r < 0)
			return r;
		if (strcmp(py->executable, at) == 0) {
			r = interpreter_record(s, py);
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

/* candidates */

static int add_from_path_variable(struct paths *l, const char *name)
{
	const char *dirs = getenv("PATH");
	int r = 0;

	if (!dirs)
		dirs = "/usr/local/bin:/usr/bin:/bin";
	while (r == 0) {
		size_t n = strcspn(dirs, ":");
		auto_free char *dir = strndup(n ? dirs : ".", n ? n : 1), *path = NULL;

		path = dir ? format_path("%s/%s", strcmp(dir, "/") ? dir : "", name) : NULL;
		if (!path)
			return -ENOMEM;
		if (is_program(path))
			r = paths_add(l, absolute(path));
		if (!dirs[n])
			break;
		dirs += n + 1;
	}
	return r;
}

/* "3.12" fits "3.12", "3.12.1" and "3.12-dev"; "3.13t" is asked for as such. */
static bool version_fits(const char *have, const char *want)
{
	size_t n = strlen(want);
	bool t = want[n - 1] == 't', free_threaded;

	n -= t;
	free_threaded = have[strcspn(have, "t+")] != '\0';
	return strncmp(have, want, n) == 0 && !isdigit((unsigned char)have[n]) &&
	       t == free_threaded;
}

/* Installations as directories named by version: `prefix` VERSION `suffix`, newest first. */
static int add_installed(struct paths *l, const char *prefix, const char *want, const char *suffix)
{
	auto_free char *pattern = format_path("%s%.1s*%s", prefix, want, suffix);
	size_t first = l->n, skip = strlen(prefix);
	glob_t g;
	int r = 0;

	if (!pattern)
		return -ENOMEM;
	r = glob(pattern, GLOB_NOSORT, NULL, &g);
	if (r != 0)
		return r == GLOB_NOSPACE ? -ENOMEM : 0;
	for (size_t i = 0; i < g.gl_pathc && r == 0; i++) {
		const char *path = g.gl_pathv[i];
		char have[32];

		snprintf(have, sizeof have, "%.*s", (int)strcspn(path + skip, "/"), path + skip);
		have[strcspn(have, "-")] = '\0';
		if (version_fits(have, want) && is_program(path))
			r = paths_add(l, strdup(path));
	}
	globfree(&g);
	for (size_t i = first; i < l->n && r == 0; i++)
		for (size_t k = i + 1; k < l->n; k++)
			if (strverscmp(l->p[i], l->p[k]) < 0) {
				char *swap = l->p[i];

				l->p[i] = l->p[k];
				l->p[k] = swap;
			}
	return r;
}

static int add_for_version(struct paths *l, const char *want)
{
	auto_free char *root = pyenv_root(), *pyenv = NULL, *uv = NULL;
	const char *uv_dir = getenv("UV_PYTHON_INSTALL_DIR"), *data = getenv("XDG_DATA_HOME"),
		   *home = getenv("HOME");
	const char *minor = strchr(want, '.');
	size_t n =
		minor ? (size_t)(minor - want) + 1 + strspn(minor + 1, "0123456789") : strlen(want);
	auto_free char *name =
		format_path("python%.*s%s", (int)n, want, minor && str_ends(want, "t") ? "t" : "");
	int r;

	if (!root || !name)
		return -ENOMEM;
	pyenv = format_path("%s/versions/", root);
	if (uv_dir && *uv_dir)
		uv = format_path("%s/cpython-", uv_dir);
	else if (data && *data)
		uv = format_path("%s/uv/python/cpython-", data);
	else
		uv = format_path("%s/.local/share/uv/python/cpython-", home ? home : "");
	if (!pyenv || !uv)
		return -ENOMEM;
	r = add_from_path_variable(l, name);
	if (r == 0)
		r = add_installed(l, pyenv, want, "/bin/python");
	if (r == 0)
		r = add_installed(l, uv, want, "/bin/python3");
	return r;
}

static bool is_version(const char *s)
{
	size_t n = strspn(s, "0123456789.");

	return isdigit((unsigned char)*s) && (!s[n] || !strcmp(s + n, "t"));
}

static int add_path(struct paths *l, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return paths_add(l, format_path("%s/bin/python", path));
	return paths_add(l, strdup(path));
}

int interpreter_find(
	struct store *s, const char *python, struct interpreter **ret, struct diag *diag)
{
	bool versioned = python && is_version(python);
	struct diag first = {{0}};
	auto_paths struct paths l = {0};
	int r, first_error = -ENOENT;

	if (python && !*python)
		return diag_set(diag, -EINVAL, "no name of a Python was given");
	if (!python)
		python = "python3";
	if (strchr(python, '/'))
		r = add_path(&l, python);
	else
		r = versioned ? add_for_version(&l, python) : add_from_path_variable(&l, python);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l.n; i++) {
		auto_of(interpreter) struct interpreter *py = NULL;
		struct diag why = {{0}};

		r = from_path(s, l.p[i], &py, &why);
		if (r == 0 && versioned) {
			auto_free char *have = format_path("%s%s", py->version, py->abiflags);

			if (!have)
				return -ENOMEM;
			if (!version_fits(have, python))
				r = diag_set(&why, -ENOENT, "%s is Python %s", l.p[i], have);
		}
		if (r == 0) {
			*ret = steal_ptr(py);
			return 0;
		}
		if (r == -ENOMEM)
			return r;
		if (!first.text[0]) {
			first = why;
			first_error = r;
		}
		if (!versioned)
			break;
	}
	if (versioned)
		return diag_set(diag, first_error,
			"no Python %s was found in PATH, by pyenv or by uv%s%.700s%s; install one, "
			"or name another by its path",
			python, *first.text ? " (" : "", first.text, *first.text ? ")" : "");
	if (*first.text)
		return diag_set(diag, first_error, "%s", first.text);
	return diag_set(diag, -ENOENT,
		"there is no %s in PATH; name a Python by its path or version", python);
}
