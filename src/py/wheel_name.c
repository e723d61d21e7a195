/* SPDX-License-Identifier: MIT
 *
 * NAME-VERSION(-BUILD)?-PYTHON-ABI-PLATFORM.whl
 */
#include "py/wheel.h"

#include "base/str.h"
#include "py/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS_MAX = 6, FILE_NAME_MAX = 255 };

static bool is_tag_part(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    c == '_' || c == '.'))
			return false;
	}
	return n > 0;
}

int wheel_name_parse(const char *file_name, struct wheel_name *ret, struct diag *diag)
{
	const char *part[PARTS_MAX], *p = file_name, *end;
	size_t len[PARTS_MAX], n = 0;
	struct wheel_name w = {0};
	auto_str struct str name = {0};
	int r;

	if (strlen(file_name) > FILE_NAME_MAX || !str_ends(file_name, ".whl"))
		return diag_set(diag, -EINVAL, "a wheel's file name ends in .whl");
	end = file_name + strlen(file_name) - strlen(".whl");
	for (;;) {
		const char *dash = memchr(p, '-', (size_t)(end - p));

		if (n == PARTS_MAX)
			return diag_set(diag, -EINVAL, "its file name has more than six parts");
		part[n] = p;
		len[n++] = (size_t)((dash ? dash : end) - p);
		if (!dash)
			break;
		p = dash + 1;
	}
	if (n < 5)
		return diag_set(
			diag, -EINVAL, "its file name is not NAME-VERSION-PYTHON-ABI-PLATFORM.whl");
	if (n == 6 && !(len[2] && part[2][0] >= '0' && part[2][0] <= '9'))
		return diag_set(diag, -EINVAL,
			"the build number in its file name does not begin with a digit");
	r = name_normalize(part[0], len[0], &name);
	if (r == -EINVAL)
		return diag_set(diag, r, "its file name begins with no distribution's name");
	if (r < 0)
		return r;
	if (!version_is_plain(part[1], len[1]))
		return diag_set(diag, -EINVAL, "the version in its file name is none");
	for (size_t i = n - 3; i < n; i++)
		if (!is_tag_part(part[i], len[i]))
			return diag_set(diag, -EINVAL, "a tag in its file name is malformed");
	w.name = str_steal(&name);
	w.version = strndup(part[1], len[1]);
	w.tags = strndup(part[n - 3], (size_t)(end - part[n - 3]));
	if (!w.name || !w.version || !w.tags) {
		wheel_name_free(&w);
		return -ENOMEM;
	}
	*ret = w;
	return 0;
}

void wheel_name_free(struct wheel_name *w)
{
	free(w->name);
	free(w->version);
	free(w->tags);
	*w = (struct wheel_name){0};
}
