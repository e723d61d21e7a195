/* SPDX-License-Identifier: MIT
 *
 * Building runs code of the source, as pip does when it installs one; what the lock file pins is
 * checked before.
 */
#include "cmd/sync.h"

#include "base/cleanup.h"
#include "cmd/pip.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int check_source(const struct want *w, struct diag *diag)
{
	auto_close int fd = -1;
	struct digest is;
	struct stat st;
	int r;

	if (w->kind != WANT_SDIST || !w->has_digest)
		return 0;
	fd = open(w->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return diag_errno(diag, -errno, "%s", w->path);
	r = digest_fd(fd, 0, (uint64_t)st.st_size, &is);
	if (r < 0)
		return diag_errno(diag, r, "%s", w->path);
	if (!digest_equal(&is, &w->digest))
		return diag_set(diag, -EBADMSG,
			"%s is another file than the one pinned: its SHA-256 differs", w->path);
	return 0;
}

/* As pip takes it on its command line. */
static int source_of(const struct want *w, char **ret)
{
	const char *sub = w->subdirectory;
	int n;

	if (w->kind == WANT_TREE)
		n = asprintf(ret, "%s%s%s", w->path, sub ? "/" : "", sub ? sub : "");
	else if (w->kind == WANT_VCS)
		n = asprintf(ret, "%s%s%s", w->url, sub ? "#subdirectory=" : "", sub ? sub : "");
	else if (sub)
		n = asprintf(ret, "file://%s#subdirectory=%s", w->path, sub);
	else
		n = asprintf(ret, "%s", w->path);
	return n < 0 ? -ENOMEM : 0;
}

static int find_wheel(const char *dir, char **ret)
{
	auto_closedir DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (str_ends(e->d_name, ".whl"))
			return asprintf(ret, "%s/%s", dir, e->d_name) < 0 ? -ENOMEM : 0;
	return -ENOENT;
}

int build_wheel(
	struct sync *s, const struct want *w, unsigned serial, char **ret_path, struct diag *diag)
{
	auto_free char *source = NULL, *dir = NULL;
	struct diag why = {{0}};
	char name[32];
	int r = check_source(w, diag);

	snprintf(name, sizeof name, "built-%u", serial);
	if (r == 0)
		r = workdir_sub(&s->work, name, &dir, diag);
	if (r == 0)
		r = source_of(w, &source);
	if (r < 0)
		return r;
	pip_prepare();
	r = pip_run(s->py,
		(const char *const[]){"wheel", "--quiet", "--no-deps", "--no-cache-dir",
			"--wheel-dir", dir, source, NULL},
		&why);
	if (r == -ENOENT)
		return diag_set(
			diag, r, "it has to be built, and %s to build it with", diag_text(&why, r));
	if (r < 0)
		return diag_set(diag, r, "it can not be built: %s", diag_text(&why, r));
	r = find_wheel(dir, ret_path);
	return r < 0 ? diag_errno(diag, r, "building %s made no wheel", w->name) : 0;
}
