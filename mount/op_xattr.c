/* SPDX-License-Identifier: MIT
 *
 * Extended attributes of private files, and those of the top directory by which
 * the commands talk to the daemon (mount.h).
 */
#include "base/cleanup.h"
#include "mount/session.h"

#include <errno.h>
#include <string.h>

#define CONTROL "user.venvfs."

static bool is_control(fuse_ino_t ino, const char *name)
{
	return ino == FUSE_ROOT_ID && strncmp(name, CONTROL, strlen(CONTROL)) == 0;
}

static int control_get(struct session *s, const char *name, struct str *out)
{
	if (strcmp(name, CONTROL "status") == 0)
		return session_status(s, out);
	if (strncmp(name, CONTROL "harvest.", strlen(CONTROL "harvest.")) == 0)
		return harvester_answer(s, name + strlen(CONTROL "harvest."), out);
	if (strcmp(name, CONTROL "settled") == 0) {
		view_settled(s->view);
		return str_add(out, "yes");
	}
	if (strcmp(name, CONTROL "upper") == 0)
		return str_addf(out, "/proc/%d/fd/%d", (int)getpid(), view_root_fd(s->view));
	return -ENODATA;
}

/* Of the mount's owner and root alone. */
static int reset(struct session *s, const char *value, size_t size, const struct caller *who)
{
	auto_free char *path = strndup(value, size);

	if (!path)
		return -ENOMEM;
	return who->uid != 0 && who->uid != geteuid() ? -EPERM : view_reset(s->view, path);
}

/* "SINCE WITH ENV" (view_replace()) */
static int replace(struct session *s, const char *value, size_t size, const struct caller *who)
{
	auto_free char *text = strndup(value, size);
	long long since;
	char with[256];
	int n = 0;

	if (!text)
		return -ENOMEM;
	if (who->uid != 0 && who->uid != geteuid())
		return -EPERM;
	if (sscanf(text, "%lld %255s %n", &since, with, &n) != 2 || !n)
		return -EINVAL;
	return view_replace(s->view, text + n, with, since);
}

static int control_set(struct session *s, const char *name, const char *value, size_t size,
	const struct caller *who)
{
	if (strcmp(name, CONTROL "refresh") == 0) {
		view_refresh(s->view);
		return 0;
	}
	if (strcmp(name, CONTROL "harvest") == 0)
		return harvester_ask(s, value, size);
	if (strcmp(name, CONTROL "reset") == 0)
		return reset(s, value, size, who);
	if (strcmp(name, CONTROL "replace") == 0)
		return replace(s, value, size, who);
	return -EPERM;
}

/* The two halves of the protocol: how long it is, and the bytes if they fit. */
static void reply_value(fuse_req_t req, int n, const char *value, size_t size)
{
	if (n < 0)
		reply_err(req, n);
	else if (size == 0)
		fuse_reply_xattr(req, (size_t)n);
	else if ((size_t)n > size)
		reply_err(req, -ERANGE);
	else
		fuse_reply_buf(req, value, (size_t)n);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct session *s = session_of(req, COUNT_GETXATTR);
	auto_str struct str text = {0};
	auto_free char *buf = NULL;
	int r;

	if (is_control(ino, name)) {
		r = control_get(s, name, &text);
		return reply_value(req, r < 0 ? r : (int)text.len, text.p, size);
	}
	if (size && !(buf = malloc(size)))
		return reply_err(req, -ENOMEM);
	reply_value(req, view_getxattr(s->view, ino, name, buf, size), buf, size);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct session *s = session_of(req, COUNT_LISTXATTR);
	auto_free char *buf = NULL;

	if (size && !(buf = malloc(size)))
		return reply_err(req, -ENOMEM);
	reply_value(req, view_listxattr(s->view, ino, buf, size), buf, size);
}

void op_setxattr(
	fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	struct session *s = session_of(req, COUNT_SETXATTR);
	struct caller who = caller_of(req);

	if (is_control(ino, name))
		return reply_err(req, control_set(s, name, value, size, &who));
	reply_err(req, view_setxattr(s->view, ino, name, value, size, flags, &who));
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct session *s = session_of(req, COUNT_REMOVEXATTR);
	struct caller who = caller_of(req);

	reply_err(req, view_removexattr(s->view, ino, name, &who));
}
