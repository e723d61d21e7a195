/* SPDX-License-Identifier: MIT
 *
 * Whose configuration tells about the index? uv answers a hundred questions in the time in which
 * pip answers one, but a user who told only pip of a private index must not be sent to the public
 * one.
 */
#include "cmd/index.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "py/process.h"

#include <errno.h>
#include <string.h>

enum { CONFIG_MAX = 1 << 20 };

static bool any_set(const char *const *names)
{
	for (; *names; names++) {
		const char *value = getenv(*names);

		if (value && *value)
			return true;
	}
	return false;
}

/* Whether a line of the file begins with one of the words; what can not be read may say anything.
 */
static bool file_says(const char *path, const char *const *words)
{
	auto_str struct str text = {0};
	int r = path && *path ? io_slurp_path(path, CONFIG_MAX, &text) : -ENOENT;

	if (r < 0 || !text.p)
		return r < 0 && r != -ENOENT && r != -ENOTDIR;
	for (const char *p = text.p; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		p += strspn(p, " \t[");
		for (size_t i = 0; words[i]; i++)
			if (str_starts(p, words[i]))
				return true;
	}
	return false;
}

static bool home_file_says(
	const char *variable, const char *in_home, const char *file, const char *const *words)
{
	const char *base = variable ? getenv(variable) : NULL, *home = getenv("HOME");
	auto_free char *path = NULL;
	int n;

	if (base && *base)
		n = asprintf(&path, "%s/%s", base, file);
	else
		n = asprintf(
			&path, "%s/%s%s%s", home ? home : "", in_home, *in_home ? "/" : "", file);
	if (n < 0)
		path = NULL;
	return file_says(path, words);
}

/* The same in each of the system's directories (XDG Base Directory Specification). */
static bool system_file_says(const char *file, const char *const *words)
{
	const char *set = getenv("XDG_CONFIG_DIRS");
	auto_free char *dirs = strdup(set && *set ? set : "/etc/xdg");
	char *save = NULL;
	bool says = false;

	for (char *dir = dirs ? strtok_r(dirs, ":", &save) : NULL; dir && !says;
		dir = strtok_r(NULL, ":", &save)) {
		auto_free char *path = NULL;

		if (asprintf(&path, "%s/%s", dir, file) < 0)
			path = NULL;
		says = file_says(path, words);
	}
	return says;
}

static bool pip_is_told(void)
{
	static const char *const variables[] = {
		"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", NULL};
	static const char *const words[] = {"index-url", "index_url", "extra-index-url",
		"extra_index_url", "find-links", "find_links", "no-index", "no_index", NULL};

	return any_set(variables) || file_says(getenv("PIP_CONFIG_FILE"), words) ||
	       file_says("/etc/pip.conf", words) || system_file_says("pip/pip.conf", words) ||
	       home_file_says(NULL, "", ".pip/pip.conf", words) ||
	       home_file_says("XDG_CONFIG_HOME", ".config", "pip/pip.conf", words);
}

static bool uv_is_told(void)
{
	static const char *const variables[] = {"UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL",
		"UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX", NULL};
	static const char *const words[] = {
		"index", "extra-index-url", "find-links", "no-index", "pip.index", NULL};

	return any_set(variables) || file_says(getenv("UV_CONFIG_FILE"), words) ||
	       file_says("/etc/uv/uv.toml", words) || system_file_says("uv/uv.toml", words) ||
	       home_file_says("XDG_CONFIG_HOME", ".config", "uv/uv.toml", words);
}

int index_asker_parse(void *arg, const char *name, struct diag *diag)
{
	enum index_asker *asker = arg;

	if (strcmp(name, "pip") == 0)
		*asker = ASK_PIP;
	else if (strcmp(name, "uv") == 0)
		*asker = ASK_UV;
	else
		return diag_set(diag, -EINVAL, "\"%s\" is neither pip nor uv", name);
	return 0;
}

bool index_by_uv(enum index_asker asker)
{
	auto_free char *uv = asker == ASK_BEST ? process_in_path("uv") : NULL;

	if (asker != ASK_BEST)
		return asker == ASK_UV;
	return uv && (uv_is_told() || !pip_is_told());
}
