/* SPDX-License-Identifier: MIT
 *
 * The bytes between libfuse and the kernel, for the one thing that libfuse of this version can not
 * say: FUSE_HANDLE_KILLPRIV_V2. Without it the kernel asks for "security.capability" before every
 * write(2), which makes two requests of each. The answer to INIT is given the flag here if the
 * kernel offered it. What it obliges to: setuid and setgid bits go by our hand when a file is
 * written or cut (upper_strip()), and file capabilities are never kept.
 */
#include "mount/session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/uio.h>
#include <unistd.h>

static ssize_t wire_read(int fd, void *buf, size_t size, void *userdata)
{
	struct session *s = userdata;
	ssize_t n = read(fd, buf, size);
	const struct fuse_in_header *h = buf;
	const struct fuse_init_in *init = (const void *)(h + 1);

	if (n >= (ssize_t)(sizeof *h + offsetof(struct fuse_init_in, flags) + sizeof init->flags) &&
		h->opcode == FUSE_INIT && (init->flags & FUSE_HANDLE_KILLPRIV_V2))
		s->init_unique = h->unique;
	return n;
}

static ssize_t wire_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct session *s = userdata;
	const struct fuse_out_header *h = iov[0].iov_base;
	struct fuse_init_out *init;

	if (s->init_unique && h->unique == s->init_unique && count > 1 && h->error == 0 &&
		iov[1].iov_len >= offsetof(struct fuse_init_out, flags) + sizeof init->flags) {
		init = iov[1].iov_base;
		init->flags |= FUSE_HANDLE_KILLPRIV_V2;
		s->init_unique = 0;
	}
	return writev(fd, iov, count);
}

static ssize_t wire_splice(
	int in, off_t *off_in, int out, off_t *off_out, size_t n, unsigned flags, void *userdata)
{
	(void)userdata;
	return splice(in, off_in, out, off_out, n, flags);
}

int wire_open(struct session *s)
{
	static const struct fuse_custom_io io = {.read = wire_read,
		.writev = wire_writev,
		.splice_receive = wire_splice,
		.splice_send = wire_splice};

	return fuse_session_custom_io(s->fuse, &io, fuse_session_fd(s->fuse));
}
