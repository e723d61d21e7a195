/* SPDX-License-Identifier: MIT
 *
 * pyenv's shims are resolved by pyenv's own rule where it is plain, as starting one costs more than
 * all else that makes an environment.
 */
#include "py/interpreter_places.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <string.h>

enum { VERSION_FILE_MAX = 4096 };

char *place_pyenv_root(void)
{
	const char *root = getenv("PYENV_ROOT"), *home = getenv("HOME");

	if (root && *root == '/')
		return strdup(root);
	return place_format("%s/.pyenv", home ? home : "");
}

/* The versions in force, in pyenv's order: $PYENV_VERSION, .python-version here or above, the
 * global file. */
static int pyenv_versions(const char *root, struct str *ret)
{
	const char *set = getenv("PYENV_VERSION");
	auto_free char *dir = NULL, *global = NULL;
	int r;

	if (set && *set)
		return str_add(ret, set);
	dir = getcwd(NULL, 0);
	global = place_format("%s/version", root);
	if (!dir || !global)
		return -ENOMEM;
	for (;;) {
		auto_free char *file = place_format("%s/.python-version", dir);

		if (!file)
			return -ENOMEM;
		r = io_slurp_path(file, VERSION_FILE_MAX, ret);
		if (r != -ENOENT || !*dir)
			break;
		*strrchr(dir, '/') = '\0';
	}
	return r == -ENOENT ? io_slurp_path(global, VERSION_FILE_MAX, ret) : r;
}

int place_of_shim(const char *path, char **ret)
{
	auto_free char *root = place_pyenv_root(), *shims = NULL;
	auto_str struct str versions = {0};
	char *word, *save = NULL;

	if (!root)
		return -ENOMEM;
	shims = place_format("%s/shims/", root);
	if (!shims)
		return -ENOMEM;
	*ret = NULL;
	if (!str_starts(path, shims) || strchr(path + strlen(shims), '/'))
		return 0;
	if (pyenv_versions(root, &versions) < 0 || !versions.p || strchr(versions.p, '#'))
		return 0;
	for (word = strtok_r(versions.p, ": \t\r\n", &save); word;
		word = strtok_r(NULL, ": \t\r\n", &save)) {
		auto_free char *dir = NULL, *program = NULL;

		if (strchr(word, '/') || !strcmp(word, ".."))
			return 0;
		dir = place_format("%s/versions/%s", root, word);
		if (!dir)
			return -ENOMEM;
		program = place_format("%s/bin/%s", dir, path_base(path));
		if (!program)
			return -ENOMEM;
		if (access(dir, F_OK) < 0)
			return 0;
		if (place_is_program(program)) {
			*ret = steal_ptr(program);
			return 0;
		}
	}
	return -ENOENT;
}
