/* SPDX-License-Identifier: MIT
 *
 * Wheels with other file names, or packed otherwise, may have the same in them: each is told, so
 * that it need not be read again to be known. The file is written anew under a lock of its
 * directory.
 */
#include "store/wheels.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "store/field.h"

#include <string.h>
#include <sys/file.h>

enum { WHEELS_MAX = 1 << 20 };

int wheels_next(const char **text, const char *end, struct wheel_line *ret)
{
	static const char mark[] = " sha256:";
	const size_t tail = sizeof mark - 1 + DIGEST_HEX;
	const char *line = *text, *nl;
	size_t n;

	if (line == end)
		return -ENOENT;
	nl = memchr(line, '\n', (size_t)(end - line));
	if (!nl)
		return -EPROTO;
	n = (size_t)(nl - line);
	*text = nl + 1;
	if (n <= tail || memcmp(nl - tail, mark, sizeof mark - 1) != 0 ||
		digest_parse(nl - DIGEST_HEX, DIGEST_HEX, &ret->digest) < 0 ||
		!field_is_component(line, n - tail) || memchr(line, ' ', n - tail))
		return -EPROTO;
	ret->file = line;
	ret->len = n - tail;
	return 0;
}

int wheels_read(const struct tier *t, const char *dir, struct str *ret)
{
	auto_str struct str path = {0};
	int r = str_addf(&path, "%s/wheels", dir);

	return r < 0 ? r : tier_read(t, path.p, WHEELS_MAX, ret, NULL);
}

bool wheels_has(const struct tier *t, const char *dir, const char *file, const struct digest *wheel)
{
	auto_str struct str text = {0};
	struct wheel_line line;
	const char *p;

	if (wheels_read(t, dir, &text) < 0)
		return false;
	p = text.p;
	while (p && wheels_next(&p, text.p + text.len, &line) == 0)
		if (digest_equal(&line.digest, wheel) && line.len == strlen(file) &&
			memcmp(line.file, file, line.len) == 0)
			return true;
	return false;
}

int wheels_format(const char *file, const struct digest *wheel, struct str *out)
{
	char hex[DIGEST_HEX + 1];

	if (!field_is_component(file, strlen(file)) || strchr(file, ' '))
		return -EINVAL;
	digest_format(wheel, hex);
	return str_addf(out, "%s sha256:%s\n", file, hex);
}

int wheels_add(const struct tier *t, const char *dir, const char *file, const struct digest *wheel)
{
	auto_close int fd = -1;
	auto_str struct str text = {0};
	int r;

	if (wheels_has(t, dir, file, wheel))
		return 0;
	r = tier_make_dir(t, dir, &fd);
	if (r == 0 && flock(fd, LOCK_EX) < 0)
		r = -errno;
	if (r < 0 || wheels_has(t, dir, file, wheel)) /* another process was first */
		return r;
	r = wheels_read(t, dir, &text);
	if (r == 0 || r == -ENOENT)
		r = wheels_format(file, wheel, &text);
	return r < 0 ? r : io_publish_at(fd, "wheels", text.p, text.len, 0444);
}
