/* SPDX-License-Identifier: MIT */
#include "cmd/env_cfg.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cmd/cfg_base.h"
#include "cmd/own_view.h"
#include "view/generations.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

void env_cfg_free(struct env_cfg *c)
{
	cleanup_close(&c->dir);
	str_free(&c->text);
	cfg_free(&c->cfg);
	*c = (struct env_cfg){.dir = -1};
}

int env_cfg_open(const struct env_path *p, struct env_cfg *ret, struct diag *diag)
{
	struct env_cfg c = {.dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	int r = c.dir < 0 ? -errno : io_slurp_at(c.dir, "pyvenv.cfg", CFG_MAX, &c.text);

	if (r == -ENOENT)
		diag_set(
			diag, r, "%s: there is no environment; `venvfs create` makes one", p->path);
	else if (r == -ENOTCONN)
		diag_set(diag, r,
			"%s: the daemon of this mount is gone; `venvfs mount` starts it again",
			p->path);
	else if (r < 0)
		diag_errno(diag, r, "%s/pyvenv.cfg", p->path);
	if (r == 0) {
		struct diag why = {0};

		r = cfg_parse(c.text.p ? c.text.p : "", c.text.len, &c.cfg, &why);
		if (r < 0)
			diag_set(diag, r, "%s/pyvenv.cfg: %s", p->path, diag_text(&why, r));
	}
	if (r < 0) {
		env_cfg_free(&c);
		return r;
	}
	*ret = c;
	return 0;
}

/* What the daemon does where there is one. */
static int keep_generation(
	const struct env_cfg *c, const struct env_path *p, const struct digest *lock)
{
	struct generation left, next = {.none = !lock};

	if (lock)
		next.lock = *lock;
	if (!p->root || own_view_is_mounted(p->root))
		return 0;
	return generation_of_cfg(&c->cfg, &left) && !generation_equal(&left, &next)
		       ? generations_leave(c->dir, &left)
		       : 0;
}

/* One command at a time compares and replaces; the lock goes with c->dir. */
static int hold(const struct env_cfg *c)
{
	return flock(c->dir, LOCK_EX) < 0 ? -errno : 0;
}

/* What a command worked out from the one may be wrong for the other: -ESTALE. */
static int compare(const struct env_cfg *c, const struct env_path *p, const struct str *text,
	struct diag *diag)
{
	struct cfg now = {0};
	struct generation was, is;
	const char *what = NULL;
	int r = cfg_parse(text->p ? text->p : "", text->len, &now, NULL);

	if (r == 0 && strcmp(now.home, c->cfg.home) != 0)
		what = "Python";
	else if (r == 0 && (now.lock_kind != c->cfg.lock_kind ||
				   (generation_of_cfg(&now, &is) && generation_of_cfg(&c->cfg, &was) &&
					   !generation_equal(&is, &was))))
		what = "lock";
	cfg_free(&now);
	if (what)
		return diag_set(diag, -ESTALE,
			"%s: its pyvenv.cfg was given another %s meanwhile; run the command again",
			p->path, what);
	return r;
}

int env_cfg_rebase(struct env_cfg *c, const struct env_path *p, const struct interpreter *base,
	const struct digest *lock, struct diag *diag)
{
	auto_str struct str text = {0};
	int r = hold(c);

	if (r == 0)
		r = io_slurp_at(c->dir, "pyvenv.cfg", CFG_MAX, &text);
	if (r == 0)
		r = compare(c, p, &text, diag);
	if (r == -ESTALE)
		return r;
	if (r == 0 && base)
		r = cfg_set_base(&text, base, p->path);
	if (r == 0)
		r = cfg_set_lock(&text, lock);
	if (r == 0 && text.len > CFG_MAX)
		r = -EFBIG;
	if (r == 0)
		r = keep_generation(c, p, lock);
	if (r == 0)
		r = io_publish_at(c->dir, "pyvenv.cfg", text.p, text.len, 0644);
	return r < 0 ? diag_errno(diag, r, "can not write %s/pyvenv.cfg", p->path) : 0;
}

int env_cfg_switch(
	struct env_cfg *c, const struct env_path *p, const struct digest *lock, struct diag *diag)
{
	return env_cfg_rebase(c, p, NULL, lock, diag);
}

int env_cfg_rewrite(struct env_cfg *c, const struct env_path *p, const struct str *text,
	const struct digest *lock, struct diag *diag)
{
	auto_str struct str now = {0};
	int r = hold(c);

	if (r == 0)
		r = io_slurp_at(c->dir, "pyvenv.cfg", CFG_MAX, &now);
	if (r == 0 &&
		(now.len != c->text.len || (now.len && memcmp(now.p, c->text.p, now.len) != 0)))
		return diag_set(diag, -ESTALE,
			"%s: its pyvenv.cfg was changed meanwhile; run the command again", p->path);
	if (r == 0)
		r = keep_generation(c, p, lock);
	if (r == 0)
		r = io_publish_at(c->dir, "pyvenv.cfg", text->p, text->len, 0644);
	return r < 0 ? diag_errno(diag, r, "can not write %s/pyvenv.cfg", p->path) : 0;
}

/* Facts are enough as they are while what they name can be used. */
static bool is_usable(const struct interpreter *py)
{
	for (size_t i = 0; i < py->n_wheels; i++)
		if (access(py->wheels[i], F_OK) < 0)
			return false;
	return py->markers && py->n_tags;
}

int env_cfg_interpreter(
	struct store *s, const struct env_cfg *c, struct interpreter **ret, struct diag *diag)
{
	struct interpreter *py = NULL;
	auto_free char *ask = NULL;
	int r = interpreter_for_cfg(s, &c->cfg, &py, diag);

	if (r == 0 && is_usable(py)) {
		*ret = py;
		return 0;
	}
	if (r == 0 && py->executable)
		r = (ask = strdup(py->executable)) ? 0 : -ENOMEM;
	else if (c->cfg.executable)
		r = (ask = strdup(c->cfg.executable)) ? 0 : -ENOMEM;
	else
		r = asprintf(&ask, "%s/python3", c->cfg.home) < 0 ? -ENOMEM : 0;
	if (py)
		interpreter_unref(py);
	return r < 0 ? r : interpreter_find(s, ask, ret, diag);
}

static int check_name(const char *path, struct diag *diag)
{
	for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
		if (*p == ':')
			return diag_set(diag, -EINVAL,
				"%s: an environment's path can not have a colon (it would split "
				"PATH)",
				path);
		if (*p < 0x20 || *p == 0x7f)
			return diag_set(diag, -EINVAL,
				"an environment's path can not have a tab, newline or other "
				"control byte (scripts could not name their Python)");
	}
	return 0;
}

static bool is_env(const char *path)
{
	auto_str struct str cfg = {0};

	return str_addf(&cfg, "%s/pyvenv.cfg", path) == 0 && access(cfg.p, F_OK) == 0;
}

/* No environment within an environment: their views would cover one another. */
static int check_parents(const struct env_path *p, struct diag *diag)
{
	auto_free char *dir = strdup(p->path);
	size_t root = strlen(p->root);
	char *slash;

	if (!dir)
		return -ENOMEM;
	while ((slash = strrchr(dir, '/')) && (size_t)(slash - dir) > root) {
		*slash = '\0';
		if (is_env(dir))
			return diag_set(diag, -EINVAL,
				"%s would lie within the environment %s; choose another place",
				p->path, dir);
	}
	return 0;
}

static int make_parents(const char *path, struct diag *diag)
{
	auto_free char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int r;

	if (!slash)
		return -ENOMEM;
	*slash = '\0';
	/* Only a path's first missing directory costs more than one call. */
	if (mkdir(*dir ? dir : "/", 0755) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return diag_errno(diag, -errno, "can not make %s", dir);
	r = make_parents(dir, diag);
	if (r == 0 && mkdir(dir, 0755) < 0 && errno != EEXIST)
		r = diag_errno(diag, -errno, "can not make %s", dir);
	return r;
}

static bool is_empty(const char *path)
{
	auto_closedir DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return false;
	return d != NULL;
}

static int make_dir(const char *path, struct diag *diag)
{
	int r = make_parents(path, diag);

	if (r < 0)
		return r;
	if (mkdir(path, 0755) == 0)
		return 0;
	r = -errno;
	if (r == -EEXIST && is_empty(path))
		return 0;
	if (r == -EEXIST)
		return diag_set(diag, r,
			"%s is there already; `venvfs rm` removes an environment, or choose "
			"another name",
			path);
	if (r == -ENOTCONN)
		return diag_set(diag, r,
			"%s: the daemon of this mount is gone; `venvfs mount` starts it again",
			path);
	return diag_errno(diag, r, "can not make %s", path);
}

/* What an environment for `link` is called in the root: its project's directory, and the link's own
 * name where that tells more than "the environment". */
static int project_name(const char *link, struct str *ret)
{
	static const char *const plain[] = {".venv", "venv", ".env", "env", ".virtualenv"};
	const char *base = path_base(link);
	auto_free char *dir = strndup(link, (size_t)(base - link));
	bool says_more = true;
	size_t n;
	int r = 0;

	if (!dir)
		return -ENOMEM;
	for (n = strlen(dir); n > 0 && dir[n - 1] == '/'; n--)
		dir[n - 1] = '\0';
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
		if (strcmp(base, plain[i]) == 0)
			says_more = false;
	if (*path_base(dir))
		r = str_add(ret, path_base(dir));
	if (r == 0 && says_more)
		r = str_addf(ret, "%s%s", ret->len ? "-" : "", base);
	if (r == 0 && ret->len == 0)
		r = str_add(ret, "venv");
	for (size_t i = 0; r == 0 && i < ret->len; i++) {
		unsigned char c = (unsigned char)ret->p[i];

		if (c == ':' || c < 0x20 || c == 0x7f || (i == 0 && (c == '.' || c == '-')))
			ret->p[i] = '_';
	}
	return r;
}

/* Who has the name that this link's environment would have had. Its `command` line tells the path
 * that it was asked for, from Python 3.11 on. */
static void note_taken(const char *taken, const struct env_path *p)
{
	auto_close int dir = open(taken, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_str struct str text = {0}, own = {0};

	if (dir >= 0 && io_slurp_at(dir, "pyvenv.cfg", CFG_MAX, &text) == 0 && text.p &&
		str_addf(&own, " %s\n", p->link) == 0 && strstr(text.p, own.p))
		fprintf(stderr,
			"venvfs: %s was made for %s before, and stays; `venvfs rm %s` removes it, "
			"`ln -sfn %s %s` takes it up again\n",
			taken, p->link, path_base(taken), taken, p->link);
	else
		fprintf(stderr, "venvfs: %s is there already, so this one is called %s\n", taken,
			path_base(p->path));
}

static int make_for_link(struct cmd_context *ctx, struct env_path *p, struct diag *diag)
{
	auto_free char *taken = NULL;
	auto_str struct str name = {0};
	struct stat st;
	int r;

	if (lstat(p->link, &st) == 0 && !S_ISLNK(st.st_mode) &&
		!(S_ISDIR(st.st_mode) && is_empty(p->link)))
		return diag_set(diag, -EEXIST,
			"%s is there already, and is no environment of venvfs; remove it or "
			"choose another name",
			p->link);
	r = cmd_root(ctx, &p->root, diag);
	if (r == 0)
		r = project_name(p->link, &name);
	for (int i = 1; r == 0; i++) {
		auto_free char *path = NULL;

		if (i > 9999)
			return diag_set(diag, -EEXIST, "%s: no free name for %s", p->root, p->link);
		if ((i == 1 ? asprintf(&path, "%s/%s", p->root, name.p)
			    : asprintf(&path, "%s/%s-%d", p->root, name.p, i)) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		r = make_dir(path, diag);
		if (r == 0) {
			free(p->path);
			p->path = steal_ptr(path);
			if (taken)
				note_taken(taken, p);
			return 0;
		}
		if (r == -EEXIST)
			r = 0;
		if (!taken)
			taken = steal_ptr(path);
	}
	return r;
}

int env_new(struct cmd_context *ctx, const char *env, struct env_path *ret, struct diag *diag)
{
	struct env_path p = {0};
	int r = cmd_env_path(ctx, env, &p, diag);

	if (r < 0)
		return r;
	r = check_name(p.path, diag);
	if (r == 0 && p.root && p.link && is_env(p.path))
		r = diag_set(diag, -EEXIST, "%s is there already: it is the environment %s", p.link,
			p.path);
	if (r == 0 && p.root)
		r = check_parents(&p, diag);
	if (r == 0 && p.root)
		r = make_dir(p.path, diag);
	if (r == 0 && !p.root) {
		p.link = strdup(p.path);
		r = p.link ? make_for_link(ctx, &p, diag) : -ENOMEM;
		if (r == 0)
			r = check_name(p.path, diag);
	}
	if (r == 0)
		r = cmd_note_root(ctx, p.root, diag);
	if (r < 0) {
		env_path_free(&p);
		return r;
	}
	*ret = p;
	return 0;
}

static bool is_link_to(const char *link, const char *path)
{
	auto_free char *real = realpath(link, NULL);
	struct stat st;

	return real && lstat(link, &st) == 0 && S_ISLNK(st.st_mode) && strcmp(real, path) == 0;
}

/* Replaces a dangling link or an empty directory; anything else at that place stays and is an
 * error. */
static int make_link(const struct env_path *p, struct diag *diag)
{
	struct stat st;
	int r = make_parents(p->link, diag);

	if (r < 0)
		return r;
	if (is_link_to(p->link, p->path))
		return 0;
	if (stat(p->link, &st) < 0) {
		if (errno == ENOENT && unlink(p->link) < 0 && errno != ENOENT)
			return diag_errno(diag, -errno, "can not replace the link %s", p->link);
	} else if (S_ISDIR(st.st_mode) && rmdir(p->link) < 0) {
		return diag_errno(diag, -errno, "can not make the link %s", p->link);
	}
	if (symlink(p->path, p->link) < 0)
		return diag_errno(diag, -errno, "can not make the link %s", p->link);
	return 0;
}

int env_new_done(const struct env_path *p, const char *text, size_t n, struct diag *diag)
{
	auto_close int dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 ? -errno : io_publish_at(dir, "pyvenv.cfg", text, n, 0644);

	if (r == 0)
		r = io_fsync_dir_at(dir, "..");
	if (r < 0)
		return diag_errno(diag, r, "can not write %s/pyvenv.cfg", p->path);
	return p->link ? make_link(p, diag) : 0;
}

void env_new_undo(const struct env_path *p)
{
	auto_free char *cfg = NULL;

	if (p->link && is_link_to(p->link, p->path))
		unlink(p->link);
	if (asprintf(&cfg, "%s/pyvenv.cfg", p->path) >= 0)
		unlink(cfg);
	else
		cfg = NULL;
	io_remove_tree_at(AT_FDCWD, p->path);
}
