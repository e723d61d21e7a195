/* SPDX-License-Identifier: MIT
 *
 * pyvenv.cfg is written last, whole or not at all: what a kill leaves behind is no environment.
 */
#include "view/materialize.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "view/export.h"
#include "view/listing.h"

#include <fcntl.h>
#include <string.h>

static const char cfg_name[] = "pyvenv.cfg";

/* pyvenv.cfg of an ordinary environment: without our line. */
static int plain_cfg(const struct str *text, struct str *out)
{
	static const char key[] = "venvfs-lock";
	const char *p = text->p, *end = p + text->len;
	int r = 0;

	while (r == 0 && p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		size_t n = newline ? (size_t)(newline - p) + 1 : (size_t)(end - p);
		const char *equals = memchr(p, '=', n), *k = p, *k_end = equals;

		while (equals && k < k_end && strchr(" \t\r\f\v", *k))
			k++;
		while (equals && k_end > k && strchr(" \t\r\f\v", k_end[-1]))
			k_end--;
		if (!equals || (size_t)(k_end - k) != strlen(key) ||
			strncasecmp(k, key, strlen(key)) != 0)
			r = str_add_mem(out, p, n);
		p += n;
	}
	return r;
}

int materialize_lower(struct store *s, const struct cfg *cfg, struct lower **ret, struct diag *diag)
{
	struct interpreter *py = NULL;
	struct lock *lock = NULL;
	int r;

	if (cfg->lock_kind == CFG_LOCK_DIGEST) {
		r = store_lock_get(s, &cfg->lock, &lock, diag);
	} else {
		lock = lock_new();
		r = lock ? 0 : diag_errno(diag, -ENOMEM, "environment");
	}
	if (r == 0)
		r = interpreter_for_cfg(s, cfg, &py, diag);
	if (r == 0)
		r = lower_new(s, lock, py, true, ret, diag);
	interpreter_unref(py);
	lock_free(lock);
	return r;
}

/* Text made for a path with such a byte would not work (shebangs, PATH). */
static int check_dest(const char *dest, struct diag *diag)
{
	if (*dest != '/' || !dest[1])
		return diag_set(diag, -EINVAL, "%s: not an absolute path of a directory", dest);
	for (const unsigned char *p = (const unsigned char *)dest; *p; p++)
		if (*p < ' ' || *p == 0x7f || *p == ':')
			return diag_set(diag, -EINVAL,
				"%s: an environment's path can hold no \":\" and no control "
				"character",
				dest);
	return 0;
}

/* The directory to write in, and whether it was made for this. */
static int open_dest(const char *dest, bool *ret_made, struct diag *diag)
{
	struct listing there = {0};
	auto_close int fd = -1;
	int r = 0;

	*ret_made = mkdir(dest, 0755) == 0;
	if (!*ret_made && errno != EEXIST)
		return diag_errno(diag, -errno, "%s: can not make the directory", dest);
	fd = open(dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		r = diag_errno(diag, -errno, "%s", dest);
	if (r == 0 && !*ret_made) {
		r = listing_read(fd, &there);
		if (r < 0)
			r = diag_errno(diag, r, "%s", dest);
		else if (there.n)
			r = diag_set(diag, -ENOTEMPTY,
				"%s is not empty: give a missing or an empty directory", dest);
		listing_free(&there);
	}
	if (r < 0 && *ret_made)
		rmdir(dest);
	return r < 0 ? r : steal_fd(&fd);
}

static void undo(const char *dest, int fd, bool made)
{
	struct listing there = {0};

	if (listing_read(fd, &there) == 0)
		for (size_t i = 0; i < there.n; i++)
			io_remove_tree_at(fd, there.p[i]);
	listing_free(&there);
	if (made)
		rmdir(dest);
}

static int write_tree(struct lower *l, const struct generate_env *env, int env_fd, int out,
	const struct str *text, struct diag *diag)
{
	auto_str struct str cfg = {0};
	struct stat from, to;
	int r;

	if (fstat(out, &to) < 0 || fstat(env_fd, &from) < 0)
		return diag_errno(diag, -errno, "%s", env->path);
	if (from.st_dev == to.st_dev && from.st_ino == to.st_ino)
		return diag_set(diag, -EINVAL, "%s is the environment itself", env->path);
	r = export_tree(l, env, env_fd, out, diag);
	if (r < 0)
		return r;
	r = plain_cfg(text, &cfg);
	if (r == 0)
		r = io_publish_at(out, cfg_name, cfg.p, cfg.len, 0644);
	if (r == 0 && fchmod(out, 0755) < 0)
		r = -errno;
	return r < 0 ? diag_errno(diag, r, "%s/%s", env->path, cfg_name) : 0;
}

/* The environment in `env_fd`: its text, and what it lies over. */
static int read_env(struct store *s, int env_fd, struct str *text, struct cfg *cfg,
	struct lower **ret, struct diag *diag)
{
	int r = io_slurp_at(env_fd, cfg_name, CFG_MAX, text);

	if (r < 0)
		return diag_errno(diag, r, "%s of the environment", cfg_name);
	r = cfg_parse(text->p ? text->p : "", text->len, cfg, diag);
	return r < 0 ? r : materialize_lower(s, cfg, ret, diag);
}

int materialize_into(struct store *s, int env_fd, int out, const char *path, struct diag *diag)
{
	auto_str struct str text = {0};
	struct cfg cfg = {0};
	struct lower *l = NULL;
	int r = check_dest(path, diag);

	if (r == 0)
		r = read_env(s, env_fd, &text, &cfg, &l, diag);
	if (r == 0)
		r = write_tree(
			l, &(struct generate_env){path, cfg.prompt}, env_fd, out, &text, diag);
	lower_unref(l);
	cfg_free(&cfg);
	return r;
}

int materialize(struct store *s, int env_fd, const char *dest, struct diag *diag)
{
	auto_str struct str text = {0};
	struct cfg cfg = {0};
	struct lower *l = NULL;
	auto_close int out = -1;
	bool made = false;
	int r = check_dest(dest, diag);

	if (r == 0)
		r = read_env(s, env_fd, &text, &cfg, &l, diag);
	if (r == 0) {
		out = open_dest(dest, &made, diag);
		r = out < 0 ? out
			    : write_tree(l, &(struct generate_env){dest, cfg.prompt}, env_fd, out,
				      &text, diag);
		if (r < 0 && out >= 0)
			undo(dest, out, made);
	}
	lower_unref(l);
	cfg_free(&cfg);
	return r;
}
