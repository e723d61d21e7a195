/* SPDX-License-Identifier: MIT */
#include "cmd/env_reset.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "view/whiteout.h"

#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

static int explain(const struct env_path *p, const char *path, int r, struct diag *diag)
{
	switch (r) {
	case -ENOENT:
	case -ENOTDIR:
		return diag_set(diag, r,
			"%s: its directory was deleted or replaced in %s; reset that directory",
			path, p->path);
	case -EBUSY:
		return diag_set(diag, r,
			"%s%s%s holds another environment, or its lock can not be shown; "
			"`venvfs rm` removes one",
			p->path, *path ? "/" : "", path);
	case -EINVAL:
		return diag_set(
			diag, r, "%s is what %s is; `venvfs undo` changes it", path, p->path);
	default:
		return diag_errno(diag, r, "%s: can not be reset", p->path);
	}
}

int env_reset_in(
	const struct own_view *own, const struct env_path *p, const char *path, struct diag *diag)
{
	const char *env = p->path + strlen(p->root);
	auto_str struct str value = {0};
	char yes[8];
	int r = str_addf(&value, "%s%s%s", env + strspn(env, "/"), *path ? "/" : "", path);

	if (r < 0)
		return r;
	if (own->view)
		r = view_reset(own->view, value.p);
	else if (setxattr(p->root, "user.venvfs.reset", value.p, value.len, 0) < 0)
		r = -errno;
	else /* setxattr(2) holds a lock of the kernel's that news may wait for */
		(void)!getxattr(p->root, "user.venvfs.settled", yes, sizeof yes);
	return r < 0 ? explain(p, path, r, diag) : 0;
}

/* Whether something is private there, or (also) was deleted. */
static bool is_changed(int upper, const char *path, bool deleted_alone)
{
	auto_free char *dir = strndup(path, (size_t)(path_base(path) - path));
	char mark[NAME_MAX + 1];
	auto_close int fd = -1;
	struct stat st;

	if (!dir)
		return false;
	fd = io_open_beneath(upper, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (!deleted_alone && fstatat(fd, path_base(path), &st, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	return whiteout_name(path_base(path), mark) == 0 &&
	       fstatat(fd, mark, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int env_reset(struct cmd_context *ctx, const struct env_path *p, const struct env_reset_path *paths,
	size_t n, struct diag *diag)
{
	auto_close int upper = cmd_open_upper(p, diag);
	struct own_view own = {.lock = -1};
	bool opened = false;
	int r = upper < 0 ? upper : 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (*paths[i].path && !is_changed(upper, paths[i].path, paths[i].deleted_alone))
			continue;
		if (!opened && !own_view_is_mounted(p->root))
			r = own_view_open(ctx, p->root, &own, diag);
		opened = true;
		if (r == 0)
			r = env_reset_in(&own, p, paths[i].path, diag);
	}
	if (own.view)
		own_view_close(&own);
	if (opened && io_remove_tree_at(upper, RESET_TRASH) == 0)
		unlinkat(upper, ".venvfs", AT_REMOVEDIR); /* where nothing else is kept there */
	return r;
}
