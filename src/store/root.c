/* SPDX-License-Identifier: MIT
 *
 * roots/<SHA-256 of the path>: the path and a newline. An environment's pyvenv.cfg alone does not
 * tell a store that something in it is wanted, so whoever makes environments in a directory, or
 * mounts it, says so here first. A directory that was moved is noted anew when it is mounted; what
 * it was called before stays until somebody finds nothing there.
 */
#include "store/root.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "store/store.h"

#include <limits.h>
#include <string.h>

static int root_name(const char *path, size_t n, char name[DIGEST_HEX + 1])
{
	struct digest d;
	int r = digest_buf(path, n, &d);

	if (r == 0)
		digest_format(&d, name);
	return r;
}

int root_read(const struct tier *t, const char *name, struct str *ret)
{
	char path[sizeof "roots/" + NAME_MAX], is[DIGEST_HEX + 1];
	auto_str struct str text = {0};
	int r;

	if (snprintf(path, sizeof path, "roots/%s", name) >= (int)sizeof path)
		return -EBADMSG;
	r = tier_read(t, path, PATH_MAX, &text, NULL);
	if (r < 0)
		return r;
	if (text.len < 2 || text.p[0] != '/' || text.p[text.len - 1] != '\n' ||
		strlen(text.p) != text.len)
		return -EBADMSG;
	str_truncate(&text, text.len - 1);
	r = root_name(text.p, text.len, is);
	if (r == 0 && strcmp(is, name) != 0)
		r = -EBADMSG;
	return r < 0 ? r : str_add(ret, text.p);
}

int store_root_put(struct store *s, const char *root)
{
	auto_str struct str text = {0}, there = {0};
	char name[DIGEST_HEX + 1];
	auto_close int dir = -1;
	int r;

	if (!tier_exists(&s->tiers[0]))
		return 0;
	if (*root != '/' || strlen(root) >= PATH_MAX)
		return -EINVAL;
	r = root_name(root, strlen(root), name);
	if (r == 0 && root_read(&s->tiers[0], name, &there) == 0)
		return 0;
	if (r == 0)
		r = str_addf(&text, "%s\n", root);
	if (r == 0)
		r = tier_make_dir(&s->tiers[0], "roots", &dir);
	return r < 0 ? r : io_publish_at(dir, name, text.p, text.len, 0644);
}

int store_root_each(struct store *s, int (*each)(void *arg, const char *root), void *arg)
{
	auto_names struct names names = {0};
	int r = tier_list(&s->tiers[0], "roots", &names);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		auto_str struct str path = {0};

		r = root_read(&s->tiers[0], names.v[i], &path);
		if (r == 0)
			r = each(arg, path.p);
		else if (r != -ENOMEM)
			r = 0; /* `verify` tells of it */
	}
	return r;
}
