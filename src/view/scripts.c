/* SPDX-License-Identifier: MIT
 *
 * The special case is pip's get_console_script_specs(): a console script "pip" becomes pip, pipX
 * and pipX.Y, "easy_install" becomes easy_install and easy_install-X.Y, and other versioned names
 * of theirs are dropped.
 */
#include "view/scripts.h"

#include "base/io.h"
#include "py/script.h"

#include <stdio.h>
#include <string.h>

enum { SCRIPT_MAX = 16 * 1024 * 1024 }; /* what would have to be in memory to be shown */

void script_names_init(const struct interpreter *py, struct script_names *ret)
{
	snprintf(ret->pip_major, sizeof ret->pip_major, "pip%d", py->major);
	snprintf(ret->pip_minor, sizeof ret->pip_minor, "pip%d.%d", py->major, py->minor);
	snprintf(ret->easy_install, sizeof ret->easy_install, "easy_install-%d.%d", py->major,
		py->minor);
}

static const char *skip_digits(const char *s)
{
	return s + strspn(s, "0123456789");
}

/* pip(\d+(\.\d+)?)?$ */
static bool is_pip(const char *name)
{
	const char *end;

	if (!str_starts(name, "pip"))
		return false;
	name += strlen("pip");
	end = skip_digits(name);
	if (end > name && *end == '.' && skip_digits(end + 1) > end + 1)
		end = skip_digits(end + 1);
	return !*end;
}

/* easy_install(-\d+\.\d+)?$ */
static bool is_easy_install(const char *name)
{
	const char *end;

	if (!str_starts(name, "easy_install"))
		return false;
	name += strlen("easy_install");
	if (!*name)
		return true;
	end = skip_digits(name + 1);
	return *name == '-' && end > name + 1 && *end == '.' && skip_digits(end + 1) > end + 1 &&
	       !*skip_digits(end + 1);
}

static bool has_console(const struct manifest *m, const char *name)
{
	for (size_t i = 0; i < m->n_entry_points; i++)
		if (!m->entry_points[i].gui && strcmp(m->entry_points[i].name, name) == 0)
			return true;
	return false;
}

size_t script_names_of(const struct script_names *v, const struct manifest *m, size_t i,
	const char *ret[SCRIPT_NAMES_MAX])
{
	const struct entry_point *e = &m->entry_points[i];
	size_t n = 0;

	if (!e->gui && is_pip(e->name) && has_console(m, "pip")) {
		if (strcmp(e->name, "pip") != 0)
			return 0;
		ret[n++] = e->name;
		ret[n++] = v->pip_major;
		ret[n++] = v->pip_minor;
	} else if (!e->gui && is_easy_install(e->name) && has_console(m, "easy_install")) {
		if (strcmp(e->name, "easy_install") != 0)
			return 0;
		ret[n++] = e->name;
		ret[n++] = v->easy_install;
	} else {
		ret[n++] = e->name;
	}
	return n;
}

bool script_is_python(struct dist *d, size_t entry)
{
	uint64_t size = d->manifest->entries[entry].size;
	struct extent e;
	char head[16];
	ssize_t n;

	if (size < strlen("#!python") || size > SCRIPT_MAX || dist_extent(d, entry, &e) < 0)
		return false;
	n = io_pread_full(e.fd, head, size < sizeof head ? (size_t)size : sizeof head, e.off);
	extent_release(&e);
	return n > 0 && script_wants_python(head, (size_t)n);
}
