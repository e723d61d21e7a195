/* SPDX-License-Identifier: MIT
 *
 * The templates come in two kinds. Those of releases before CVE-2024-9287 was fixed have their
 * placeholders within double quotes and venv pastes raw text there; in later ones they stand free
 * and venv quotes each value. Here the quotes around a placeholder are read from the template, so
 * both come out right: a value that is plain where it stands is pasted, as venv does; any other is
 * put in single quotes of its own, outside of the template's.
 */
#include "view/activate.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "view/whiteout.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

enum { TEMPLATE_MAX = 1 << 20, N_VALUES = 5 };
enum shell { SHELL_SH, SHELL_CSH, SHELL_FISH };

/* venv writes common/ first and posix/ over it */
static const char *const places[] = {"posix", "common"};

struct value {
	const char *placeholder;
	struct str text;
};

/* Files that nobody but root and this user can have put there. */
static bool is_trusted(const struct stat *st)
{
	return (st->st_uid == 0 || st->st_uid == geteuid()) && !(st->st_mode & S_IWOTH);
}

/* -ENOENT where it can not be trusted. */
static int open_place(const struct interpreter *py, const char *place)
{
	auto_str struct str path = {0};
	auto_close int fd = -1;
	struct stat st;

	if (!py->templates)
		return -ENOENT;
	if (str_addf(&path, "%s/%s", py->templates, place) < 0)
		return -ENOMEM;
	fd = open(path.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return is_trusted(&st) ? steal_fd(&fd) : -ENOENT;
}

static bool is_template(int dirfd, const char *name)
{
	struct stat st;

	return !name_reserved(name) && fstatat(dirfd, name, &st, 0) == 0 && S_ISREG(st.st_mode) &&
	       is_trusted(&st);
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static int list_place(int fd, char ***names, size_t *n, size_t *cap)
{
	auto_closedir DIR *d = fdopendir(fd);
	struct dirent *e;

	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	while ((e = readdir(d))) {
		if (!is_template(dirfd(d), e->d_name))
			continue;
		if (array_grow(*names, *cap, *n + 1) < 0)
			return -ENOMEM;
		(*names)[*n] = strdup(e->d_name);
		if (!(*names)[*n])
			return -ENOMEM;
		(*n)++;
	}
	return 0;
}

int generate_templates(const struct interpreter *py, char ***ret, size_t *ret_n)
{
	char **names = NULL;
	size_t n = 0, cap = 0, k = 0;

	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		int fd = open_place(py, places[i]);
		int r = fd == -ENOMEM ? -ENOMEM : 0;

		if (fd >= 0)
			r = list_place(fd, &names, &n, &cap);
		if (r < 0) {
			free_names(names, n);
			return r;
		}
	}
	if (n)
		qsort(names, n, sizeof *names, name_compare);
	for (size_t i = 0; i < n; i++) {
		if (k && strcmp(names[i], names[k - 1]) == 0)
			free(names[i]);
		else
			names[k++] = names[i];
	}
	*ret = names;
	*ret_n = k;
	return 0;
}

static int read_template(const struct interpreter *py, const char *name, struct str *ret)
{
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		auto_close int dir = open_place(py, places[i]), fd = -1;
		struct stat st;

		if (dir < 0)
			continue;
		fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			continue;
		if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !is_trusted(&st))
			return -EIO;
		return io_slurp(fd, TEMPLATE_MAX, ret) < 0 ? -EIO : 0;
	}
	return -EIO;
}

static enum shell shell_of(const char *name)
{
	return str_ends(name, ".csh") ? SHELL_CSH : str_ends(name, ".fish") ? SHELL_FISH : SHELL_SH;
}

/* Characters that shlex.quote() leaves alone: they mean themselves, unquoted, in every shell. */
static bool is_plain(const struct str *s)
{
	static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				   "0123456789_@%+=:,./-";

	return s->len && strspn(s->p, safe) == s->len;
}

/* In single quotes, in the form of shlex.quote(), with what the shell at hand sees within them. */
static int add_single(enum shell shell, const struct str *s, struct str *out)
{
	int r = str_add(out, "'");

	for (size_t i = 0; r == 0 && i < s->len; i++) {
		char c = s->p[i];

		if (c == '\'') {
			r = str_add(out, "'\"'\"'");
			continue;
		}
		if ((shell == SHELL_CSH && (c == '!' || c == '\n')) ||
			(shell == SHELL_FISH && c == '\\'))
			r = str_add(out, "\\");
		if (r == 0)
			r = str_add_mem(out, &c, 1);
	}
	return r < 0 ? r : str_add(out, "'");
}

static int add_value(enum shell shell, char quote, const struct str *s, struct str *out)
{
	const char mark[2] = {quote, '\0'};
	int r;

	switch (quote) {
	case '#':
		r = 0;
		for (size_t i = 0; r == 0 && i < s->len; i++)
			r = str_add_mem(out, (unsigned char)s->p[i] < ' ' ? "?" : s->p + i, 1);
		return r;
	case '"':
		if (!strpbrk(s->p, "\"$`\\!\n"))
			return str_add_mem(out, s->p, s->len);
		break;
	case '\'':
		if (!strpbrk(s->p, "'\\!\n"))
			return str_add_mem(out, s->p, s->len);
		break;
	default:
		return is_plain(s) ? str_add_mem(out, s->p, s->len) : add_single(shell, s, out);
	}
	r = str_add(out, mark);
	if (r == 0)
		r = add_single(shell, s, out);
	return r < 0 ? r : str_add(out, mark);
}

/* The quote that the text is in behind `p`'s character, within its line; '#' in a comment. */
static char quote_behind(char quote, const char *line, const char *p)
{
	switch (*p) {
	case '\n':
		return 0;
	case '#':
		return !quote && strspn(line, " \t") == (size_t)(p - line) ? '#' : quote;
	case '"':
	case '\'':
		if (quote == *p)
			return 0;
		return quote ? quote : *p;
	default:
		return quote;
	}
}

static int substitute(enum shell shell, const struct value *values, const char *p, struct str *out)
{
	const char *line = p;
	char quote = 0;
	int r = 0;

	while (r == 0 && *p) {
		const struct value *v = NULL;

		for (size_t i = 0; !v && *p == '_' && i < N_VALUES; i++)
			if (str_starts(p, values[i].placeholder))
				v = &values[i];
		if (v) {
			r = add_value(shell, quote, &v->text, out);
			p += strlen(v->placeholder);
			continue;
		}
		if (*p == '\\' && quote != '\'' && quote != '#' && p[1] && p[1] != '\n') {
			r = str_add_mem(out, p, 2);
			p += 2;
			continue;
		}
		quote = quote_behind(quote, line, p);
		r = str_add_mem(out, p, 1);
		if (*p++ == '\n')
			line = p;
	}
	return r;
}

static int fill(const struct interpreter *py, const struct generate_env *env, struct value *v)
{
	const char *name = path_base(env->path), *prompt = env->prompt ? env->prompt : name;
	bool bare = py->major > 3 || (py->major == 3 && py->minor >= 13);

	v[0].placeholder = "__VENV_DIR__";
	v[1].placeholder = "__VENV_NAME__";
	v[2].placeholder = "__VENV_PROMPT__";
	v[3].placeholder = "__VENV_BIN_NAME__";
	v[4].placeholder = "__VENV_PYTHON__";
	if (str_add(&v[0].text, env->path) < 0 || str_add(&v[1].text, name) < 0 ||
		str_addf(&v[2].text, bare ? "%s" : "(%s) ", prompt) < 0 ||
		str_add(&v[3].text, "bin") < 0 ||
		str_addf(&v[4].text, "%s/bin/python", env->path) < 0)
		return -ENOMEM;
	return 0;
}

int activate_render(const struct interpreter *py, const char *name, const struct generate_env *env,
	struct str *out)
{
	auto_str struct str text = {0};
	struct value values[N_VALUES] = {0};
	int r = read_template(py, name, &text);

	if (r < 0)
		return r;
	/* Activate.ps1 has no placeholders: it finds the environment from its own place */
	if (str_ends(name, ".ps1") || strlen(text.p) != text.len)
		return str_add_mem(out, text.p, text.len);
	r = fill(py, env, values);
	if (r == 0)
		r = substitute(shell_of(name), values, text.p, out);
	for (size_t i = 0; i < N_VALUES; i++)
		str_free(&values[i].text);
	return r;
}
