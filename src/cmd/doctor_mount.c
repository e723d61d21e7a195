/* SPDX-License-Identifier: MIT
 *
 * Devices, capabilities, AppArmor, user namespaces, seccomp: whether they let one mount is best
 * asked by mounting, with the very program, and its own words tell why not.
 */
#include "cmd/doctor.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/mounts.h"
#include "py/process.h"

#include <fcntl.h>
#include <pwd.h>
#include <string.h>

/* Of this place: what fusermount3 and the kernel may not do there. */
static void mend_trial(struct doctor *d, const char *said)
{
	auto_str struct str flags = {0};
	char yes = 'N';
	auto_close int fd = open("/sys/module/apparmor/parameters/enabled", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, &yes, 1) < 0)
		yes = 'N';
	if (doctor_docker_flags(&flags) == 0 && doctor_in_container() && flags.len)
		doctor_mend(d, "docker run%s ...", flags.p);
	else if (yes == 'Y' &&
		 strstr(said, "ermi")) /* Permission denied, Operation not permitted */
		doctor_mend(d,
			"AppArmor lets fusermount3 mount in few places: choose a root below your "
			"home directory, or allow %s in /etc/apparmor.d/local/fusermount3",
			d->root ? d->root : "it");
	else
		doctor_mend(d, "see the other lines; `venvfs materialize ENV DIR` needs no mount");
}

static const char *first_line(struct str *s)
{
	if (!s->len)
		return "";
	s->p[strcspn(s->p, "\n")] = '\0';
	return str_starts(s->p, "venvfs: ") ? s->p + strlen("venvfs: ") : s->p;
}

void doctor_trial(struct doctor *d)
{
	auto_free char *store = NULL, *root = NULL, *fusermount = NULL;
	const char *missing = NULL;
	auto_str struct str said = {0};
	struct diag why = {0};
	int status = 0, r;

	/* libfuse knows where it is, so mounting would work; but not what ends it. */
	if (geteuid() != 0 && !(fusermount = process_in_path("fusermount3")))
		missing = "fusermount3 is not in PATH";
	if (!d->place)
		missing = "no directory could be made for it";
	if (d->ctx->config_fault)
		missing = "the configuration is not read";
	if (missing) {
		doctor_say(d, VERDICT_NOTE, "not tried: %s", missing);
		return;
	}
	if (asprintf(&store, "%s/store", d->place) < 0 ||
		asprintf(&root, "%s/root", d->place) < 0) {
		d->out_of_memory = true;
		return;
	}
	const char *const mount[] = {
		"/proc/self/exe", "--store", store, "mount", "--harvest", "no", root, NULL};
	const char *const umount[] = {"/proc/self/exe", "--store", store, "umount", root, NULL};

	r = process_run(mount, NULL, 0, NULL, &said, &status, &why);
	if (r < 0 || status != 0) {
		const char *text = r < 0 ? diag_text(&why, r) : first_line(&said);

		doctor_say(d, VERDICT_BAD, "mounting does not work: %s", text);
		mend_trial(d, text);
		return;
	}
	str_truncate(&said, 0);
	r = process_run(umount, NULL, 0, NULL, &said, &status, &why);
	if (r < 0 || status != 0) {
		doctor_say(d, VERDICT_BAD, "unmounting does not work: %s",
			r < 0 ? diag_text(&why, r) : first_line(&said));
		doctor_mend(d, "fusermount3 -uz %s", root);
		return;
	}
	doctor_say(d, VERDICT_OK, "mounting works in %.*s",
		(int)(path_base(d->place) - d->place - 1), d->place);
}

struct seen {
	struct doctor *d;
	size_t n, n_bad;
};

static int look_at_own(void *arg, const char *path)
{
	struct seen *s = arg;

	s->n++;
	if (!mounts_is_dead(path))
		return 0;
	s->n_bad++;
	doctor_say(s->d, VERDICT_BAD,
		"%s: the daemon of this mount is gone, and nothing in it can be reached", path);
	doctor_mend(s->d, "venvfs mount %s", path);
	return 0;
}

void doctor_mounts(struct doctor *d)
{
	struct seen s = {.d = d};
	int r = mounts_each(look_at_own, &s);

	if (r < 0)
		doctor_say(d, VERDICT_BAD, "the list of mounts can not be read: %s", strerror(-r));
	else if (!s.n)
		doctor_say(d, VERDICT_OK, "nothing is mounted");
	else if (!s.n_bad)
		doctor_say(d, VERDICT_OK, "%zu mounted root%s, alive", s.n, plural(s.n));
}

static bool lies_in(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return path && strncmp(path, dir, n) == 0 && (path[n] == '/' || !path[n]);
}

static int look_at_others(void *arg, const struct mount_info *m)
{
	struct seen *s = arg;
	const struct passwd *pw;
	const char *asked = getenv("VENVFS_ROOT");
	bool wanted;

	if (m->uid == geteuid() || m->allow_other)
		return 0;
	s->n++;
	/* d->root is resolved, which a directory that may not be looked into is not */
	wanted = lies_in(s->d->root, m->path) || lies_in(asked, m->path) ||
		 lies_in(s->d->ctx->config.root, m->path);
	pw = getpwuid(m->uid);
	doctor_say(s->d, wanted ? VERDICT_BAD : VERDICT_NOTE,
		"%s is mounted by %s (user %u) for itself alone: no other user can reach it, %s",
		m->path, pw ? pw->pw_name : "another user", m->uid,
		geteuid() == 0 ? "not even root" : "so not this one");
	doctor_mend(s->d,
		"as that user: venvfs umount %s && venvfs mount --allow-other %s (with "
		"user_allow_other in "
		"/etc/fuse.conf)",
		m->path, m->path);
	return 0;
}

void doctor_other_users(struct doctor *d)
{
	struct seen s = {.d = d};

	if (mounts_each_user(look_at_others, &s) == 0 && !s.n)
		doctor_say(d, VERDICT_OK, "no mount of another user is in the way");
}

/* One word by itself on a line. */
static bool fuse_conf_allows(void)
{
	auto_str struct str text = {0};
	auto_close int fd = open("/etc/fuse.conf", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || io_slurp(fd, 1 << 20, &text) < 0 || !text.p)
		return false;
	for (const char *p = text.p; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		const char *end = p + strspn(p, " \t");

		if (str_starts(end, "user_allow_other")) {
			end += strlen("user_allow_other");
			end += strspn(end, " \t\r");
			if (*end == '\n' || !*end)
				return true;
		}
	}
	return false;
}

void doctor_allow_other(struct doctor *d)
{
	if (geteuid() == 0) {
		doctor_say(d, VERDICT_OK, "root may mount with --allow-other");
	} else if (fuse_conf_allows()) {
		doctor_say(d, VERDICT_OK, "/etc/fuse.conf lets users mount with --allow-other");
	} else {
		doctor_say(d, VERDICT_NOTE,
			"`venvfs mount --allow-other` would be refused: root, services and other "
			"users can not "
			"reach into a mount of yours");
		doctor_mend(d, "as root: echo user_allow_other >>/etc/fuse.conf");
	}
}
