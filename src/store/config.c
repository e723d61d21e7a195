/* SPDX-License-Identifier: MIT
 *
 * inih takes a line apart, but neither tells which line it is at nor complains of one that does
 * not fit its buffer. So it gets its lines from a reader that does both; and that hands them over
 * without what they are indented by, as inih would take an indented key for the rest of the value
 * above it.
 */
#include "store/config.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define SYSTEM_FILE "/etc/venvfs/venvfs.conf"
enum { FILE_MAX = 1 << 20 };

struct reader;

/* A key, and what takes its value; a reason if it does not. */
struct key {
	const char *section, *name;
	int (*set)(struct reader *r, const char *value, const char **ret_reason);
};

struct reader {
	struct config *config;
	const char *file, *home;
	const char *at, *end;
	int line;	/* counted from 1 */
	int fault;	/* the line that `err` is about */
	int err;	/* the first error of a key; its text is in diag */
	unsigned given; /* one bit for each key of this file */
	struct diag *diag;
};

/* values */

/* From `p` up to `end` as an absolute path without slashes at its end. */
static int set_dir(struct reader *r, char **to, const char *p, const char *end, const char **reason)
{
	size_t n = (size_t)(end - p);
	char *dir;

	if (n && *p == '~' && (n == 1 || p[1] == '/')) {
		if (!r->home) {
			*reason = "begins with ~, and there is no home directory; write it out";
			return -EINVAL;
		}
		if (asprintf(&dir, "%s%.*s", r->home, (int)(n - 1), p + 1) < 0)
			return -ENOMEM;
	} else if (!n || *p != '/') {
		*reason = n ? "is not an absolute path; write one, or one that begins with ~/"
			    : "names no directory";
		return -EINVAL;
	} else if (!(dir = strndup(p, n))) {
		return -ENOMEM;
	}
	for (n = strlen(dir); n > 1 && dir[n - 1] == '/'; n--)
		dir[n - 1] = '\0';
	free(*to);
	*to = dir;
	return 0;
}

static int set_store(struct reader *r, const char *value, const char **reason)
{
	return set_dir(r, &r->config->store, value, value + strlen(value), reason);
}

static int set_root(struct reader *r, const char *value, const char **reason)
{
	return set_dir(r, &r->config->root, value, value + strlen(value), reason);
}

static void tiers_clear(struct config *c)
{
	for (size_t i = 0; i < c->n_tiers; i++)
		free(c->tiers[i]);
	free(c->tiers);
	c->tiers = NULL;
	c->n_tiers = 0;
}

/* A new last one, which is taken over. */
static int tiers_append(struct config *c, char *dir)
{
	char **more = realloc(c->tiers, (c->n_tiers + 1) * sizeof *more);

	if (!more)
		return -ENOMEM;
	c->tiers = more;
	c->tiers[c->n_tiers++] = dir;
	return 0;
}

static int set_tiers(struct reader *r, const char *value, const char **reason)
{
	tiers_clear(r->config);
	for (const char *end; *value; value = end + (*end == ':')) {
		auto_free char *dir = NULL;
		int err;

		end = strchrnul(value, ':');
		if (end == value)
			continue;
		err = set_dir(r, &dir, value, end, reason);
		if (err == 0)
			err = tiers_append(r->config, dir);
		if (err < 0)
			return err;
		dir = NULL;
	}
	return 0;
}

static int set_compile(struct reader *r, const char *value, const char **reason)
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcasecmp(value, words[i]) == 0) {
			r->config->compile = i % 2;
			return 0;
		}
	*reason = "is neither yes nor no";
	return -EINVAL;
}

int config_parse_harvest(const char *text, int64_t *ret_ns)
{
	enum { DAY = 24 * 60 * 60 };
	static const char *const no[] = {"no", "off", "false", "never"};
	double seconds;
	char *end;

	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		if (strcasecmp(text, no[i]) == 0) {
			*ret_ns = -1;
			return 0;
		}
	if (!*text || strspn(text, "0123456789.") != strlen(text))
		return -EINVAL;
	seconds = strtod(text, &end);
	if (*end || !(seconds >= 0 && seconds <= DAY))
		return -EINVAL;
	*ret_ns = (int64_t)(seconds * 1e9);
	return 0;
}

static int set_harvest(struct reader *r, const char *value, const char **reason)
{
	*reason = "is neither a number of seconds, up to a day, nor no";
	return config_parse_harvest(value, &r->config->harvest_ns);
}

static const struct key keys[] = {
	{"store", "path", set_store},
	{"store", "tiers", set_tiers},
	{"store", "compile", set_compile},
	{"mount", "root", set_root},
	{"mount", "harvest", set_harvest},
};
enum { N_KEYS = sizeof keys / sizeof *keys };

/* reading a file */

static char *next_line(char *buf, int size, void *arg)
{
	struct reader *r = arg;
	const char *newline, *p = r->at;
	size_t n;

	if (r->at == r->end || r->err)
		return NULL;
	newline = memchr(p, '\n', (size_t)(r->end - p));
	r->at = newline ? newline + 1 : r->end;
	r->line++;
	if (r->line > 1) /* in front of the first may be a byte order mark, which is inih's */
		while (p < r->at && (*p == ' ' || *p == '\t'))
			p++;
	n = (size_t)(r->at - p);
	if (n >= (size_t)size) {
		r->fault = r->line;
		r->err = diag_set(r->diag, -EINVAL,
			"%s:%d: the line is longer than %d bytes; shorten it, with a symlink if a "
			"directory's path is so long",
			r->file, r->line, size - 2);
		return NULL;
	}
	memcpy(buf, p, n);
	buf[n] = '\0';
	return buf;
}

static int refuse(struct reader *r, int err, const char *section, const char *name,
	const char *value, const char *reason)
{
	r->fault = r->line;
	if (value)
		r->err = diag_set(r->diag, err, "%s:%d: [%s] %s: \"%s\" %s", r->file, r->line,
			section, name, value, reason);
	else
		r->err = diag_set(r->diag, err, "%s:%d: [%s] %s: %s", r->file, r->line, section,
			name, reason);
	return 0;
}

/* inih's answer: nonzero for success */
static int take_key(void *arg, const char *section, const char *name, const char *value)
{
	struct reader *r = arg;
	bool known = false;
	const char *reason = NULL;
	int err;

	if (r->err)
		return 0;
	for (size_t i = 0; i < N_KEYS; i++) {
		if (strcmp(section, keys[i].section) != 0)
			continue;
		known = true;
		if (strcmp(name, keys[i].name) != 0)
			continue;
		if (r->given & 1u << i)
			return refuse(r, -EINVAL, section, name, NULL, "it is given twice");
		r->given |= 1u << i;
		err = keys[i].set(r, value, &reason);
		if (err < 0)
			return refuse(
				r, err, section, name, value, reason ? reason : strerror(-err));
		return 1;
	}
	return refuse(r, -EINVAL, section, name, NULL,
		known ? "there is no such key; the section has others"
		      : "there is no such section; there are [store] and [mount]");
}

static int read_text(struct reader *r)
{
	int line;

	if (memchr(r->at, '\0', (size_t)(r->end - r->at)))
		return diag_set(r->diag, -EINVAL, "%s: it holds a NUL byte", r->file);
	line = ini_parse_stream(next_line, r, take_key, r);
	if (line > 0 && (!r->err || line < r->fault))
		return diag_set(r->diag, -EINVAL,
			"%s:%d: it is neither [SECTION] nor KEY = VALUE nor a comment", r->file,
			line);
	if (line < 0)
		return -ENOMEM;
	return r->err;
}

static int read_file(struct config *c, const char *file, const char *home, struct diag *diag)
{
	auto_str struct str text = {0};
	struct reader r = {.config = c, .file = file, .home = home, .diag = diag};
	auto_close int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int err;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	err = fd < 0 ? -errno : io_slurp(fd, FILE_MAX, &text);
	if (err < 0)
		return diag_errno(diag, err, "%s can not be read", file);
	r.at = text.p;
	r.end = text.p + text.len;
	return read_text(&r);
}

/* defaults */

static int home_dir(char **ret)
{
	const char *home = getenv("HOME");
	struct passwd *pw;

	if (!home || *home != '/') {
		pw = getpwuid(geteuid());
		home = pw ? pw->pw_dir : NULL;
	}
	if (!home || *home != '/')
		return 0;
	*ret = strdup(home);
	return *ret ? 0 : -ENOMEM;
}

/* "BASE/rest", BASE from the variable if it is absolute (a relative one is to be ignored), else
 * from the home directory. Nothing without one. */
static int xdg_path(
	const char *variable, const char *home, const char *in_home, const char *rest, char **ret)
{
	const char *base = getenv(variable);
	int n;

	if (base && *base == '/')
		n = asprintf(ret, "%s/%s", base, rest);
	else if (home)
		n = asprintf(ret, "%s/%s/%s", home, in_home, rest);
	else
		return 0;
	if (n < 0)
		*ret = NULL;
	return n < 0 ? -ENOMEM : 0;
}

static int fill_defaults(struct config *c, const char *home, struct diag *diag)
{
	int r = 0;

	if (!c->store)
		r = xdg_path("XDG_DATA_HOME", home, ".local/share", "venvfs/store", &c->store);
	if (r == 0 && !c->root && home && asprintf(&c->root, "%s/envs", home) < 0) {
		c->root = NULL;
		r = -ENOMEM;
	}
	if (r == 0 && (!c->store || !c->root))
		return diag_set(diag, -ENOENT,
			"there is no home directory for the default %s; set HOME, or %s "
			"in " SYSTEM_FILE,
			c->store ? "root" : "store", c->store ? "[mount] root" : "[store] path");
	return r;
}

int config_load(struct config *ret, struct diag *diag)
{
	__attribute__((cleanup(config_free))) struct config c = {.compile = true, .harvest_ns = 2 * 1000000000ll};
	auto_free char *home = NULL, *file = NULL;
	int r = home_dir(&home);

	if (r == 0)
		r = xdg_path("XDG_CONFIG_HOME", home, ".config", "venvfs/venvfs.conf", &file);
	if (r == 0)
		r = read_file(&c, SYSTEM_FILE, home, diag);
	if (r == 0 && file)
		r = read_file(&c, file, home, diag);
	if (r == 0)
		r = fill_defaults(&c, home, diag);
	if (r < 0)
		return r;
	*ret = c;
	c = (struct config){0};
	return 0;
}

int config_add_tier(struct config *c, const char *dir)
{
	char *copy = strdup(dir);

	if (!copy || tiers_append(c, copy) < 0) {
		free(copy);
		return -ENOMEM;
	}
	memmove(&c->tiers[1], c->tiers, (c->n_tiers - 1) * sizeof *c->tiers);
	c->tiers[0] = copy;
	return 0;
}

void config_free(struct config *c)
{
	free(c->store);
	free(c->root);
	tiers_clear(c);
	*c = (struct config){0};
}
