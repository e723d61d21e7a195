/* SPDX-License-Identifier: MIT
 *
 * The stores, by opening them as every command does: the complaint is the one that people get to
 * read elsewhere too. A store that is not there yet is not made here.
 */
#include "cmd/doctor.h"

#include "base/cleanup.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { LOW_BYTES = 256 << 20 };

void doctor_config(struct doctor *d)
{
	if (d->ctx->config_fault) {
		doctor_say(d, VERDICT_BAD, "%s", d->ctx->config_fault);
		doctor_mend(d, "correct or remove that line; no other command runs before");
	} else {
		doctor_say(d, VERDICT_OK, "store %s, root %s", d->ctx->config.store,
			d->root ? d->root : d->ctx->config.root);
	}
}

/* The directory itself, or the nearest one above it that is there. */
static char *nearest(const char *path)
{
	char *p = strdup(path), *slash;

	while (p && access(p, F_OK) < 0 && errno == ENOENT && (slash = strrchr(p, '/')) &&
		slash != p)
		*slash = '\0';
	return p;
}

static bool is_writable(struct doctor *d, const char *dir, const char *store)
{
	struct statvfs fs;
	uint64_t left;

	if (statvfs(dir, &fs) < 0) {
		doctor_say(d, VERDICT_BAD, "%s: %s", dir, strerror(errno));
		return false;
	}
	if (fs.f_flag & ST_RDONLY) {
		doctor_say(d, VERDICT_BAD, "%s lies on a file system that is mounted read-only",
			store);
		doctor_mend(d, "choose another place: [store] path in venvfs.conf, and this one as "
			       "a tier");
		return false;
	}
	if (access(dir, W_OK | X_OK) < 0) {
		doctor_say(d, VERDICT_BAD, "%s can not be written: %s", dir, strerror(errno));
		doctor_mend(d, "chmod u+rwx %s", dir);
		return false;
	}
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (left == 0 || (fs.f_files && !fs.f_favail)) {
		doctor_say(d, VERDICT_BAD, "the file system of %s is full (%s)", store,
			left ? "no inode is left" : "no byte is left");
		doctor_mend(
			d, "make room there, or choose another place: [store] path in venvfs.conf");
		return false;
	}
	if (left < LOW_BYTES)
		doctor_say(d, VERDICT_NOTE, "only %llu MiB are left for %s",
			(unsigned long long)(left >> 20), store);
	return true;
}

static bool is_empty(const char *path)
{
	auto_closedir DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return false;
	return dir != NULL;
}

/* Whether it can be used; says why not. */
static bool opens(struct doctor *d, const char *own, char *tier)
{
	const char *path = own ? own : tier;
	struct store *s = NULL;
	struct diag why = {0};
	struct stat st;
	int r = own ? store_open(own, NULL, 0, &s, &why) : store_open(NULL, &tier, 1, &s, &why);

	store_free(s);
	if (r == 0)
		return true;
	doctor_say(d, VERDICT_BAD, "%s", diag_text(&why, r));
	if (r == -EPERM && stat(path, &st) == 0 && st.st_uid != geteuid() && st.st_uid != 0)
		doctor_mend(d, own ? "as root: chown -R %s %s" : "as root: chown -R root %s%s",
			own ? "\"$USER\"" : "", path);
	else if (r == -EPERM)
		doctor_mend(d, "chmod go-w %s", path);
	else if (r == -EPROTO)
		doctor_mend(d, "another venvfs, or another directory: [store] in venvfs.conf");
	else if (r == -ENOENT)
		doctor_mend(d, "mount it, or take it out of [store] tiers in venvfs.conf");
	else if (r == -EACCES)
		doctor_mend(d, "chmod u+rwx %s, if it is yours", path);
	return false;
}

void doctor_own_store(struct doctor *d)
{
	const char *path = d->ctx->config.store;
	auto_free char *there = path ? nearest(path) : NULL;

	if (!path)
		doctor_say(d, VERDICT_NOTE, "not looked at: the configuration is not read");
	else if (!there)
		d->out_of_memory = true;
	else if (strcmp(there, path) != 0 || is_empty(path)) {
		if (is_writable(d, there, path))
			doctor_say(d, VERDICT_OK, "%s: will be made when it is needed", path);
	} else if (opens(d, path, NULL) && is_writable(d, path, path)) {
		doctor_say(d, VERDICT_OK, "%s", path);
	}
}

void doctor_tiers(struct doctor *d)
{
	const struct config *c = &d->ctx->config;

	for (size_t i = 0; i < c->n_tiers; i++)
		if (opens(d, NULL, c->tiers[i]))
			doctor_say(d, VERDICT_OK, "%s", c->tiers[i]);
	if (!c->n_tiers)
		doctor_say(d, VERDICT_OK, "no read-only stores");
}

void doctor_apart(struct doctor *d)
{
	struct diag why = {0};
	int r = d->root ? cmd_root_apart(d->ctx, d->root, &why) : 0;

	if (r < 0) {
		doctor_say(d, VERDICT_BAD, "%s", diag_text(&why, r));
		doctor_mend(d, "set another [mount] root or [store] path in venvfs.conf");
	} else {
		doctor_say(d, VERDICT_OK, "root and stores lie apart");
	}
}
