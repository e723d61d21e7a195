/* SPDX-License-Identifier: MIT */
#include "cmd/own_view.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/xattr.h>

bool own_view_is_mounted(const char *root)
{
	return getxattr(root, "user.venvfs.upper", NULL, 0) > 0;
}

int own_view_open(
	struct cmd_context *ctx, const char *root, struct own_view *ret, struct diag *diag)
{
	auto_close int lock = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct store *s = cmd_store(ctx);
	struct view *v;
	int r;

	if (lock < 0)
		return diag_errno(diag, -errno, "%s", root);
	if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		return diag_set(diag, -EAGAIN,
			"%s is being mounted, or another command is at work there; run it again", root);
	r = s ? view_new(root, s, false, &v, diag) : -EIO;
	if (r < 0)
		return r;
	events_stop(view_events(v)); /* no kernel is to be told */
	*ret = (struct own_view){v, steal_fd(&lock)};
	return 0;
}

void own_view_close(struct own_view *o)
{
	view_free(o->view);
	cleanup_close(&o->lock);
}
