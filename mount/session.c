/* SPDX-License-Identifier: MIT
 *
 * Mounting and serving. The order matters: the root is opened (by the view) before it is mounted
 * over; threads start after the fork into the background.
 */
#include "mount/session.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

enum { IO_SIZE = 1 << 20, MAX_THREADS = 16, IDLE_THREADS = 4 };

static const char *const counter_names[N_COUNTERS] = {
	[COUNT_LOOKUP] = "LOOKUP",
	[COUNT_FORGET] = "FORGET",
	[COUNT_GETATTR] = "GETATTR",
	[COUNT_SETATTR] = "SETATTR",
	[COUNT_READLINK] = "READLINK",
	[COUNT_STATFS] = "STATFS",
	[COUNT_OPEN] = "OPEN",
	[COUNT_READ] = "READ",
	[COUNT_WRITE] = "WRITE",
	[COUNT_FLUSH] = "FLUSH",
	[COUNT_RELEASE] = "RELEASE",
	[COUNT_FSYNC] = "FSYNC",
	[COUNT_FALLOCATE] = "FALLOCATE",
	[COUNT_LSEEK] = "LSEEK",
	[COUNT_CREATE] = "CREATE",
	[COUNT_OPENDIR] = "OPENDIR",
	[COUNT_READDIR] = "READDIR",
	[COUNT_READDIRPLUS] = "READDIRPLUS",
	[COUNT_FSYNCDIR] = "FSYNCDIR",
	[COUNT_MKDIR] = "MKDIR",
	[COUNT_MKNOD] = "MKNOD",
	[COUNT_SYMLINK] = "SYMLINK",
	[COUNT_LINK] = "LINK",
	[COUNT_UNLINK] = "UNLINK",
	[COUNT_RMDIR] = "RMDIR",
	[COUNT_RENAME] = "RENAME",
	[COUNT_GETXATTR] = "GETXATTR",
	[COUNT_LISTXATTR] = "LISTXATTR",
	[COUNT_SETXATTR] = "SETXATTR",
	[COUNT_REMOVEXATTR] = "REMOVEXATTR",
	[COUNT_IOCTL] = "IOCTL",
};

static void op_init(void *userdata, struct fuse_conn_info *c)
{
	struct session *s = userdata;
	unsigned want = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS |
			FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_NO_OPENDIR_SUPPORT |
			FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_EXPIRE_ONLY;

	if (s->read_only)
		want |= FUSE_CAP_NO_OPEN_SUPPORT;
	/* Not ATOMIC_O_TRUNC: it would cut a shared file in the open that ESTALE refuses. Not the
	 * writeback cache: store inodes are shared by all environments. */
	c->want = want & c->capable;
	c->max_read = c->max_write = IO_SIZE;
	c->max_readahead = IO_SIZE;
}

static const struct fuse_lowlevel_ops operations = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.statfs = op_statfs,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.fsyncdir = op_fsyncdir,
	.create = op_create,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
	.fsync = op_fsync,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.ioctl = op_ioctl,
	.mkdir = op_mkdir,
	.mknod = op_mknod,
	.symlink = op_symlink,
	.link = op_link,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.rename = op_rename,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.setxattr = op_setxattr,
	.removexattr = op_removexattr,
};

int session_status(struct session *s, struct str *out)
{
	int r = str_addf(out,
		"{\"pid\": %d, \"uptime\": %lld, \"read_only\": %s, \"root\": ", (int)getpid(),
		(long long)(time(NULL) - s->started), s->read_only ? "true" : "false");

	if (r == 0)
		r = json_add_string(out, view_root(s->view));
	if (r == 0)
		r = str_add(out, ", \"requests\": {");
	for (int k = 0; k < N_COUNTERS && r == 0; k++)
		r = str_addf(out, "%s\"%s\": %llu", k ? ", " : "", counter_names[k],
			(unsigned long long)s->counts[k]);
	if (r == 0)
		r = str_add(out, "}, ");
	if (r == 0)
		r = view_status(s->view, out);
	return r < 0 ? r : str_add(out, "}\n");
}

/* A descriptor each for packs and open private files. */
static void raise_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

static int serve(struct session *s, const struct session_options *o)
{
	struct fuse_loop_config *config = NULL;
	pthread_t notifier;
	int r;

	if (fuse_daemonize(o->foreground) != 0)
		return -EIO;
	if (!o->foreground && o->log_fd >= 0) {
		dup2(o->log_fd, STDERR_FILENO); /* what libraries have to say */
		log_open(o->log_fd);
	}
	umask(0); /* the kernel has applied the caller's */
	s->started = time(NULL);
	r = -pthread_create(&notifier, NULL, notify_thread, s);
	if (r < 0)
		return r;
	r = harvester_start(s);
	if (r < 0)
		log_msg("%s: nothing will be harvested: %s", o->root, strerror(-r));
	config = fuse_loop_cfg_create();
	if (config) {
		fuse_loop_cfg_set_max_threads(config, MAX_THREADS);
		fuse_loop_cfg_set_idle_threads(config, IDLE_THREADS);
		fuse_loop_cfg_set_clone_fd(config, 0);
		r = fuse_session_loop_mt(s->fuse, config);
		fuse_loop_cfg_destroy(config);
	} else {
		r = -ENOMEM;
	}
	events_stop(view_events(s->view));
	harvester_stop(s);
	pthread_join(notifier, NULL);
	return r < 0 ? r : 0; /* positive: the signal that ended it */
}

int session_run(const struct session_options *o, struct store *store, struct diag *diag)
{
	struct session s = {.read_only = o->read_only,
		.harvest_ns = o->harvest_ns,
		.harvested = o->harvested,
		.harvested_arg = o->harvested_arg};
	auto_str struct str options = {0};
	int r;

	raise_limit();
	r = str_addf(&options,
		"-odefault_permissions,fsname=venvfs,subtype=venvfs,nosuid,nodev,max_read=%d%s%s",
		IO_SIZE, o->read_only ? ",ro" : "", o->allow_other ? ",allow_other" : "");
	if (r < 0)
		return r;
	r = view_new(o->root, store, o->read_only, &s.view, diag);
	if (r < 0)
		return r;
	char *argv[] = {(char *)"venvfs", options.p, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(2, argv);

	s.fuse = fuse_session_new(&args, &operations, sizeof operations, &s);
	if (!s.fuse) {
		r = diag_set(diag, -EINVAL, "%s: libfuse refused the mount options", o->root);
	} else if (fuse_set_signal_handlers(s.fuse) != 0) {
		r = -EIO;
	} else {
		if (fuse_session_mount(s.fuse, o->root) != 0) {
			r = diag_set(diag, -EIO, "%s: can not be mounted (see above)", o->root);
		} else {
			r = wire_open(&s);
			if (r == 0)
				r = serve(&s, o);
			if (r < 0)
				log_msg("%s: %s", o->root, strerror(-r));
			fuse_session_unmount(s.fuse);
		}
		fuse_remove_signal_handlers(s.fuse);
	}
	if (s.fuse)
		fuse_session_destroy(s.fuse);
	fuse_opt_free_args(&args);
	view_free(s.view);
	return r;
}
