/* SPDX-License-Identifier: MIT
 *
 * What ENV names. A path lies in a root when it is below the default root or below a mounted one,
 * compared after links are resolved; so a symlink in a project's directory and the path of the
 * environment itself mean the same. What does not exist yet is resolved as far as it does.
 */
#include "cmd/cmd.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/mounts.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

void env_path_free(struct env_path *p)
{
	free(p->root);
	free(p->path);
	free(p->link);
	free(p->alias);
	*p = (struct env_path){0};
}

/* The part of `path` below `root`, without a slash in front; NULL if it is not below. */
static const char *below(const char *root, const char *path)
{
	size_t n = strlen(root);

	while (n > 0 && root[n - 1] == '/')
		n--;
	if (strncmp(path, root, n) != 0 || path[n] != '/' || !path[n + 1])
		return NULL;
	return path + n + 1;
}

/* Removes ".", ".." and repeated slashes by name alone: for the part of a path that is not there.
 */
static int add_clean(struct str *to, const char *rest)
{
	const char *part;
	size_t n;

	while ((part = path_next(&rest, &n))) {
		if (n == 1 && part[0] == '.')
			continue;
		if (n == 2 && memcmp(part, "..", 2) == 0) {
			char *slash = to->len ? strrchr(to->p, '/') : NULL;

			if (slash)
				str_truncate(to, (size_t)(slash - to->p));
			continue;
		}
		if (str_add(to, "/") < 0 || str_add_mem(to, part, n) < 0)
			return -ENOMEM;
	}
	if (to->len == 0)
		return str_add(to, "/");
	return 0;
}

/* Absolute, links resolved as far as the path exists. */
static int resolve(const char *path, char **ret)
{
	auto_str struct str out = {0};
	auto_free char *copy = strdup(path), *real = NULL;
	size_t end;

	if (!copy)
		return -ENOMEM;
	for (end = strlen(copy); end > 1 && copy[end - 1] == '/'; end--)
		copy[end - 1] = '\0';
	for (;;) {
		real = realpath(end ? copy : ".", NULL);
		if (real)
			break;
		if (errno != ENOENT || end == 0)
			return -errno;
		/* One component less; the root directory always resolves. */
		while (end > 0 && copy[end - 1] != '/')
			end--;
		while (end > 1 && copy[end - 1] == '/')
			end--;
		copy[end] = '\0';
	}
	if (strcmp(real, "/") != 0 && str_add(&out, real) < 0)
		return -ENOMEM;
	if (add_clean(&out, path + end) < 0)
		return -ENOMEM;
	*ret = str_steal(&out);
	return *ret ? 0 : -ENOMEM;
}

static int default_root(struct cmd_context *ctx, char **ret)
{
	const char *env = getenv("VENVFS_ROOT");
	int r = resolve(env && *env ? env : ctx->config.root, ret);

	return r;
}

struct root_search {
	const char *path;
	char *found;
};

static int search_mount(void *arg, const char *mount)
{
	struct root_search *s = arg;

	if (!below(mount, s->path) && strcmp(mount, s->path) != 0)
		return 0;
	if (s->found && strlen(s->found) > strlen(mount))
		return 0;
	free(s->found);
	s->found = strdup(mount);
	return s->found ? 0 : -ENOMEM;
}

/* The root that `path` (resolved) lies in, or is; *ret NULL: none. */
static int find_root(struct cmd_context *ctx, const char *path, char **ret)
{
	auto_free char *root = NULL;
	struct root_search s = {.path = path};
	int r = default_root(ctx, &root);

	if (r < 0)
		return r;
	if (below(root, path) || strcmp(root, path) == 0) {
		*ret = steal_ptr(root);
		return 0;
	}
	r = mounts_each(search_mount, &s);
	if (r < 0) {
		free(s.found);
		return r;
	}
	*ret = s.found;
	return 0;
}

/* The root for bare names. */
int cmd_root(struct cmd_context *ctx, char **ret, struct diag *diag)
{
	auto_free char *cwd = getcwd(NULL, 0);
	char *root = NULL;
	int r = 0;

	if (cwd)
		r = find_root(ctx, cwd, &root);
	if (r == 0 && !root)
		r = default_root(ctx, &root);
	if (r < 0)
		return diag_errno(diag, r, "can not find the root of the environments");
	*ret = root;
	return 0;
}

static bool is_in(const char *path, const char *dir)
{
	return strcmp(path, dir) == 0 || below(dir, path);
}

int cmd_root_apart(struct cmd_context *ctx, const char *root, struct diag *diag)
{
	for (size_t i = 0; i <= ctx->config.n_tiers; i++) {
		const char *path = i ? ctx->config.tiers[i - 1] : ctx->config.store;
		auto_free char *real = path ? realpath(path, NULL) : NULL;

		if (real && (is_in(real, root) || is_in(root, real)))
			return diag_set(diag, -EINVAL,
				"%s: a root and a store (%s) may not lie in one another; choose "
				"another directory",
				root, real);
	}
	return 0;
}

/* Absolute, but a link at its end kept: the name a symlink has or will get. */
static int link_path(const char *path, char **ret)
{
	auto_free char *copy = strdup(path), *dir = NULL;
	size_t end, start;

	if (!copy)
		return -ENOMEM;
	for (end = strlen(copy); end > 1 && copy[end - 1] == '/'; end--)
		copy[end - 1] = '\0';
	for (start = end; start > 0 && copy[start - 1] != '/'; start--)
		;
	if (strcmp(copy + start, ".") == 0 || strcmp(copy + start, "..") == 0 || start == end)
		return resolve(path, ret);
	if (start == 0) {
		dir = realpath(".", NULL);
	} else {
		auto_free char *parent = strndup(copy, start);
		int r = parent ? resolve(parent, &dir) : -ENOMEM;

		if (r < 0)
			return r;
	}
	if (!dir)
		return -errno;
	return asprintf(ret, "%s/%s", strcmp(dir, "/") ? dir : "", copy + start) < 0 ? -ENOMEM : 0;
}

static int find_path(struct cmd_context *ctx, const char *env, struct env_path *p)
{
	auto_free char *resolved = NULL, *as_link = NULL, *link_root = NULL;
	int r = resolve(env, &resolved);

	if (r == 0)
		r = link_path(env, &as_link);
	if (r == 0)
		r = find_root(ctx, resolved, &p->root);
	if (r < 0)
		return r;
	if (p->root && strcmp(p->root, resolved) == 0)
		return -EISDIR;
	p->path = steal_ptr(resolved);
	if (strcmp(as_link, p->path) == 0)
		return 0;
	r = find_root(ctx, as_link, &link_root);
	if (r == 0 && link_root)
		p->alias = steal_ptr(as_link);
	else if (r == 0 && p->root)
		p->link = steal_ptr(as_link);
	return r;
}

/* p->root is the root for bare names. */
static int find_name(struct cmd_context *ctx, const char *env, struct env_path *p)
{
	auto_free char *path = NULL;
	struct stat st;
	int r;

	if (asprintf(&path, "%s/%s", p->root, env) < 0)
		return path = NULL, -ENOMEM;
	if (lstat(path, &st) < 0 || !S_ISLNK(st.st_mode)) {
		p->path = steal_ptr(path);
		return 0;
	}
	free(steal_ptr(p->root));
	r = find_path(ctx, path, p);
	if (r == 0 && !p->alias) /* it leads nowhere */
		p->alias = steal_ptr(path);
	return r;
}

int cmd_env_path(struct cmd_context *ctx, const char *env, struct env_path *ret, struct diag *diag)
{
	struct env_path p = {0};
	int r;

	if (!*env)
		return diag_set(diag, -EINVAL, "an environment's name can not be empty");
	if (strchr(env, '/') || env[0] == '.') {
		r = find_path(ctx, env, &p);
	} else {
		r = cmd_root(ctx, &p.root, diag);
		if (r < 0)
			return r;
		r = find_name(ctx, env, &p);
	}
	if (r == -EISDIR)
		diag_set(diag, r, "%s is the root of environments, not one of them", env);
	else if (r == -ENOTCONN)
		diag_set(diag, r, "%s: the daemon of this mount is gone; `venvfs mount` starts it again", env);
	else if (r < 0)
		diag_errno(diag, r, "%s", env);
	if (r < 0) {
		env_path_free(&p);
		return r;
	}
	*ret = p;
	return 0;
}

static int open_failed(const char *path, int err, struct diag *diag)
{
	if (err == -ENOTCONN)
		return diag_set(diag, err,
			"%s: the daemon of this mount is gone; `venvfs mount` starts it again",
			path);
	if (err == -ENOENT)
		return diag_set(diag, err, "%s: there is no such environment", path);
	return diag_errno(diag, err, "%s", path);
}

int cmd_open_upper(const struct env_path *p, struct diag *diag)
{
	char behind[PATH_MAX];
	auto_close int root = -1;
	const char *rest;
	ssize_t n = -1;
	int fd;

	if (p->root) {
		n = getxattr(p->root, "user.venvfs.upper", behind, sizeof behind - 1);
		if (n < 0 && errno == ENOTCONN)
			return open_failed(p->root, -ENOTCONN, diag);
	}
	rest = p->root ? below(p->root, p->path) : NULL;
	if (p->root && strcmp(p->root, p->path) == 0)
		rest = ""; /* the root itself */
	if (n <= 0 || !rest) {
		fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return fd < 0 ? open_failed(p->path, -errno, diag) : fd;
	}
	behind[n] = '\0';
	root = open(behind, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return diag_errno(
			diag, -errno, "%s: can not reach the directory behind the mount", p->root);
	fd = io_open_beneath(root, rest, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	return fd < 0 ? open_failed(p->path, fd, diag) : fd;
}
