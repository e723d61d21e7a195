/* SPDX-License-Identifier: MIT
 *
 * Every source is a list of directories with executables in them: those of PATH, and the bin/ of
 * each installation that pyenv, uv and conda keep, or that Debian's packages fill. Only names with
 * a major version count ("python3.12", not "python", which may be Python 2); the name, or that of
 * the installation, tells what it is. An environment's bin/ in PATH stands for that of its base.
 */
#include "py/interpreter_places.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/io.h"

#include <glob.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX = 1 << 20, BASES_MAX = 8 };

char *place_format(const char *fmt, ...)
{
	char *p;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&p, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : p;
}

bool place_is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* The name of an executable that is a Python 3 by its name. */
static bool is_python_name(const char *name, struct python_spec *ret)
{
	return (str_starts(name, "python3") || str_starts(name, "pypy3")) &&
	       python_spec_parse(name, ret) == strlen(name);
}

/* directories */

void places_free(struct places *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->list[i].path);
		free(l->list[i].real);
	}
	free(l->list);
	*l = (struct places){0};
}

static int add_place(struct places *to, const char *path, enum interpreter_source source,
	const struct python_spec *told)
{
	auto_free char *real = NULL;
	struct place *p;

	if (!place_is_program(path) || !(real = realpath(path, NULL)))
		return 0;
	for (size_t i = 0; i < to->n; i++) {
		p = &to->list[i];
		if (strcmp(p->real, real) != 0)
			continue;
		if (p->source == PYTHON_FROM_PATH)
			p->source = source;
		return 0;
	}
	if (array_grow(to->list, to->cap, to->n + 1) < 0)
		return -ENOMEM;
	p = &to->list[to->n];
	*p = (struct place){.source = source, .in_path = source == PYTHON_FROM_PATH, .told = *told};
	p->path = strdup(path);
	if (!p->path)
		return -ENOMEM;
	p->real = steal_ptr(real);
	to->n++;
	return 0;
}

/* Replaces an environment's bin directory by its base's. */
static int leave_environments(char **dir)
{
	for (int i = 0; i < BASES_MAX; i++) {
		auto_free char *file = place_format("%s/../pyvenv.cfg", *dir);
		auto_str struct str text = {0};
		struct cfg cfg = {0};
		int r;

		if (!file)
			return -ENOMEM;
		r = io_slurp_path(file, CFG_MAX, &text);
		if (r == 0)
			r = cfg_parse(text.p ? text.p : "", text.len, &cfg, NULL);
		if (r == 0) {
			free(*dir);
			*dir = steal_ptr(cfg.home);
		}
		cfg_free(&cfg);
		if (r < 0)
			return r == -ENOMEM ? r : 0;
	}
	return 0;
}

struct names {
	char **list;
	size_t n, cap;
};

static int newest_first(const void *a, const void *b)
{
	return strverscmp(*(char *const *)b, *(char *const *)a);
}

static int read_names(const char *dir, struct names *ret)
{
	auto_closedir DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		struct python_spec spec;

		if (!is_python_name(e->d_name, &spec))
			continue;
		if (array_grow(ret->list, ret->cap, ret->n + 1) < 0)
			return -ENOMEM;
		ret->list[ret->n] = strdup(e->d_name);
		if (!ret->list[ret->n])
			return -ENOMEM;
		ret->n++;
	}
	if (ret->n)
		qsort(ret->list, ret->n, sizeof *ret->list, newest_first);
	return 0;
}

static int add_named(struct places *to, const char *dir, const char *name,
	enum interpreter_source source, const struct python_spec *installed)
{
	auto_free char *path = place_format("%s/%s", strcmp(dir, "/") ? dir : "", name);
	auto_free char *shimmed = NULL;
	struct python_spec told = {0};
	int r;

	if (!path)
		return -ENOMEM;
	is_python_name(name, &told);
	if (installed && installed->n > told.n)
		told = *installed;
	r = place_of_shim(path, &shimmed);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : add_place(to, shimmed ? shimmed : path, source, &told);
}

/* `installed`: what the installation's own name tells, or NULL. */
static int add_dir(struct places *to, const char *path, enum interpreter_source source,
	const struct python_spec *installed)
{
	auto_free char *dir = strdup(path);
	struct names names = {0};
	int r;

	if (!dir)
		return -ENOMEM;
	r = leave_environments(&dir);
	if (r == 0)
		r = read_names(dir, &names);
	for (size_t i = 0; i < names.n; i++) {
		if (r == 0)
			r = add_named(to, dir, names.list[i], source, installed);
		free(names.list[i]);
	}
	free(names.list);
	return r;
}

static int add_path_variable(struct places *to)
{
	const char *dirs = getenv("PATH");
	int r = 0;

	for (dirs = dirs ? dirs : "/usr/local/bin:/usr/bin:/bin"; r == 0; dirs++) {
		size_t n = strcspn(dirs, ":");
		auto_free char *dir = strndup(n ? dirs : ".", n ? n : 1);
		auto_free char *real = NULL;

		if (!dir)
			return -ENOMEM;
		if (*dir != '/' && !(real = realpath(dir, NULL)))
			r = errno == ENOMEM ? -ENOMEM : 0;
		else
			r = add_dir(to, real ? real : dir, PYTHON_FROM_PATH, NULL);
		dirs += n;
		if (!*dirs)
			break;
	}
	return r;
}

/* Directories named by what is installed in each: DIR/VERSION.../bin, newest first. */
static int add_installed(struct places *to, const char *dir, enum interpreter_source source)
{
	auto_free char *pattern = place_format("%s/*", dir);
	size_t skip = strlen(dir) + 1;
	glob_t g;
	int r;

	if (!pattern)
		return -ENOMEM;
	r = glob(pattern, GLOB_NOSORT, NULL, &g);
	if (r != 0)
		return r == GLOB_NOSPACE ? -ENOMEM : 0;
	qsort(g.gl_pathv, g.gl_pathc, sizeof *g.gl_pathv, newest_first);
	for (size_t i = 0; i < g.gl_pathc && r == 0; i++) {
		auto_free char *bin = place_format("%s/bin", g.gl_pathv[i]);
		struct python_spec told = {0};
		bool tells = python_spec_parse(g.gl_pathv[i] + skip, &told);

		r = bin ? add_dir(to, bin, source, tells ? &told : NULL) : -ENOMEM;
	}
	globfree(&g);
	return r;
}

static int add_pyenv(struct places *to)
{
	auto_free char *root = place_pyenv_root(), *versions = NULL;

	versions = root ? place_format("%s/versions", root) : NULL;
	return versions ? add_installed(to, versions, PYTHON_FROM_PYENV) : -ENOMEM;
}

static int add_uv(struct places *to)
{
	const char *own = getenv("UV_PYTHON_INSTALL_DIR"), *data = getenv("XDG_DATA_HOME"),
		   *home = getenv("HOME");
	auto_free char *dir = own && *own ? strdup(own)
			      : data && *data
				      ? place_format("%s/uv/python", data)
				      : place_format("%s/.local/share/uv/python", home ? home : "");

	return dir ? add_installed(to, dir, PYTHON_FROM_UV) : -ENOMEM;
}

/* conda: a prefix has conda-meta, and further environments in envs/ */

static int add_prefix(struct places *to, const char *prefix)
{
	auto_free char *meta = place_format("%s/conda-meta", prefix), *bin = NULL;

	bin = place_format("%s/bin", prefix);
	if (!meta || !bin)
		return -ENOMEM;
	return access(meta, F_OK) == 0 ? add_dir(to, bin, PYTHON_FROM_CONDA, NULL) : 0;
}

static int add_prefixes(struct places *to, const char *base)
{
	auto_free char *pattern = place_format("%s/envs/*", base);
	int r = pattern ? add_prefix(to, base) : -ENOMEM;
	glob_t g;

	if (r < 0)
		return r;
	r = glob(pattern, 0, NULL, &g);
	if (r != 0)
		return r == GLOB_NOSPACE ? -ENOMEM : 0;
	for (size_t i = 0; i < g.gl_pathc && r == 0; i++)
		r = add_prefix(to, g.gl_pathv[i]);
	globfree(&g);
	return r;
}

/* What conda and its kin noted of each environment they made, a path a line. */
static int add_noted(struct places *to, const char *home)
{
	auto_free char *file = place_format("%s/.conda/environments.txt", home);
	auto_str struct str text = {0};
	char *save = NULL;
	int r;

	if (!file)
		return -ENOMEM;
	r = io_slurp_path(file, FILE_MAX, &text);
	if (r < 0 || !text.p)
		return r == -ENOMEM ? r : 0;
	for (char *line = strtok_r(text.p, "\r\n", &save); line && r == 0;
		line = strtok_r(NULL, "\r\n", &save))
		if (*line == '/')
			r = add_prefix(to, line);
	return r;
}

static int add_conda(struct places *to)
{
	static const char *const set[] = {"CONDA_PREFIX", "CONDA_ROOT", "MAMBA_ROOT_PREFIX"};
	static const char *const names[] = {"miniconda3", "anaconda3", "miniforge3", "mambaforge",
		"micromamba", ".conda", "/opt/conda", "/opt/miniconda3", "/opt/anaconda3",
		"/opt/miniforge3"};
	const char *home = getenv("HOME");
	int r = 0;

	home = home ? home : "";
	for (size_t i = 0; i < sizeof set / sizeof *set && r == 0; i++) {
		const char *prefix = getenv(set[i]);

		if (prefix && *prefix == '/')
			r = add_prefixes(to, prefix);
	}
	for (size_t i = 0; i < sizeof names / sizeof *names && r == 0; i++) {
		auto_free char *base =
			*names[i] == '/' ? strdup(names[i]) : place_format("%s/%s", home, names[i]);

		r = base ? add_prefixes(to, base) : -ENOMEM;
	}
	return r == 0 ? add_noted(to, home) : r;
}

int places_add(struct places *to, enum interpreter_source source)
{
	int r;

	switch (source) {
	case PYTHON_FROM_PATH:
		return add_path_variable(to);
	case PYTHON_FROM_PYENV:
		return add_pyenv(to);
	case PYTHON_FROM_UV:
		return add_uv(to);
	case PYTHON_FROM_SYSTEM:
		r = add_dir(to, "/usr/bin", source, NULL);
		return r == 0 ? add_dir(to, "/usr/local/bin", source, NULL) : r;
	case PYTHON_FROM_CONDA:
		return add_conda(to);
	default:
		return 0;
	}
}

int place_in_path(const char *name, char **ret)
{
	const char *dirs = getenv("PATH");

	for (dirs = dirs ? dirs : "/usr/local/bin:/usr/bin:/bin";; dirs++) {
		size_t n = strcspn(dirs, ":");
		auto_free char *dir = strndup(n ? dirs : ".", n ? n : 1), *full = NULL,
			       *path = NULL;

		if (!dir)
			return -ENOMEM;
		full = *dir == '/' ? strdup(strcmp(dir, "/") ? dir : "") : realpath(dir, NULL);
		path = full ? place_format("%s/%s", full, name) : NULL;
		if (!path && errno == ENOMEM)
			return -ENOMEM;
		if (path && place_is_program(path)) {
			*ret = steal_ptr(path);
			return 0;
		}
		dirs += n;
		if (!*dirs)
			return -ENOENT;
	}
}
