/* SPDX-License-Identifier: MIT
 *
 * What of the machine can be told by looking. Whether all of it together allows a mount only a
 * trial tells (doctor_mount.c); these say why it failed.
 */
#include "cmd/doctor.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "py/process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

enum { KERNEL_MAJOR = 5, KERNEL_MINOR = 10 };

void doctor_kernel(struct doctor *d)
{
	int major = 0, minor = 0;
	struct utsname u;

	if (uname(&u) < 0 || sscanf(u.release, "%d.%d", &major, &minor) < 1) {
		doctor_say(d, VERDICT_NOTE, "the kernel's version can not be told");
		return;
	}
	if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR)) {
		doctor_say(d, VERDICT_OK, "Linux %s", u.release);
		return;
	}
	doctor_say(d, VERDICT_BAD, "Linux %s is too old", u.release);
	doctor_mend(d, "boot Linux %d.%d or newer", KERNEL_MAJOR, KERNEL_MINOR);
}

bool doctor_in_container(void)
{
	return access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0;
}

/* Root has it itself, others by way of fusermount3: then it must not be out of reach. */
static bool may_mount(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (geteuid() != 0)
		return prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 1;
	return syscall(SYS_capget, &head, data) == 0 &&
	       data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN);
}

/* What confines this process: "docker-default (enforce)"; empty without AppArmor. */
static int read_profile(struct str *out)
{
	char text[256];
	auto_close int fd = open("/proc/self/attr/current", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return str_add(out, text);
}

int doctor_docker_flags(struct str *out)
{
	auto_str struct str profile = {0};
	int r = read_profile(&profile);

	if (r == 0 && access("/dev/fuse", F_OK) < 0)
		r = str_add(out, " --device /dev/fuse");
	if (r == 0 && !may_mount())
		r = str_add(out, " --cap-add SYS_ADMIN");
	if (r == 0 && profile.p && strstr(profile.p, "(enforce)"))
		r = str_add(out, " --security-opt apparmor=unconfined");
	return r;
}

void doctor_container(struct doctor *d)
{
	auto_str struct str flags = {0};
	bool in_container = doctor_in_container();

	if (doctor_docker_flags(&flags) < 0)
		d->out_of_memory = true;
	else if (in_container && flags.len) {
		doctor_say(d, VERDICT_BAD, "this container may not mount");
		doctor_mend(d,
			"docker run%s ...; without, `venvfs materialize ENV DIR` needs no mount",
			flags.p);
	} else {
		doctor_say(d, VERDICT_OK,
			in_container ? "a container that may mount" : "no container");
	}
}

void doctor_fuse_device(struct doctor *d)
{
	auto_close int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	int err = errno;

	if (fd >= 0) {
		doctor_say(d, VERDICT_OK, "/dev/fuse can be opened");
		return;
	}
	doctor_say(d, VERDICT_BAD, "/dev/fuse: %s", strerror(err));
	if (err == EACCES)
		doctor_mend(d, "as root: chmod 666 /dev/fuse");
	else if (doctor_in_container())
		doctor_mend(d, "docker run --device /dev/fuse --cap-add SYS_ADMIN ...");
	else
		doctor_mend(d, "as root: modprobe fuse");
}

void doctor_fusermount(struct doctor *d)
{
	auto_free char *path = process_in_path("fusermount3");
	struct statvfs fs;
	struct stat st;

	if (geteuid() == 0) {
		doctor_say(d, VERDICT_OK, "root mounts without fusermount3");
	} else if (!path) {
		doctor_say(d, VERDICT_BAD,
			"fusermount3 is not in PATH: an ordinary user can not mount");
		doctor_mend(d, "as root: apt-get install fuse3");
	} else if (stat(path, &st) < 0 || statvfs(path, &fs) < 0) {
		doctor_say(d, VERDICT_BAD, "%s: %s", path, strerror(errno));
	} else if (st.st_uid != 0 || !(st.st_mode & S_ISUID)) {
		doctor_say(d, VERDICT_BAD, "%s is not setuid root", path);
		doctor_mend(d, "as root: chown root %s && chmod u+s %s", path, path);
	} else if (fs.f_flag & ST_NOSUID) {
		doctor_say(d, VERDICT_BAD, "%s lies on a file system that is mounted nosuid", path);
		doctor_mend(
			d, "as root: apt-get install fuse3, and have its directory first in PATH");
	} else if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
		doctor_say(d, VERDICT_BAD,
			"this process may gain no privileges (no_new_privs), so fusermount3 can do "
			"nothing");
		doctor_mend(d,
			"run it outside of that sandbox: without NoNewPrivileges= of systemd, "
			"--security-opt no-new-privileges of docker");
	} else {
		doctor_say(d, VERDICT_OK, "%s", path);
	}
}

void doctor_variables(struct doctor *d)
{
	const char *home = getenv("PYTHONHOME"), *path = getenv("PYTHONPATH");

	if (home && *home) {
		doctor_say(d, VERDICT_BAD,
			"PYTHONHOME is set (%s): every environment's Python looks there for its "
			"library",
			home);
		doctor_mend(d, "unset PYTHONHOME");
	}
	if (path && *path) {
		doctor_say(d, VERDICT_NOTE,
			"PYTHONPATH is set (%s): what lies there hides what environments have",
			path);
		doctor_mend(d, "unset PYTHONPATH");
	}
	if (!(home && *home) && !(path && *path))
		doctor_say(d, VERDICT_OK, "neither PYTHONHOME nor PYTHONPATH is set");
}
