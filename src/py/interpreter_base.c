/* SPDX-License-Identifier: MIT
 *
 * What became of the Python an environment was made with: removed, moved, upgraded in its place.
 * Started is only what the user registered before, and only after its binary changed.
 */
#include "py/interpreter.h"

#include "base/cleanup.h"
#include "py/interpreter_places.h"

#include <errno.h>
#include <string.h>

CLEANUP_DEFINE(interpreter, interpreter_unref)

/* Its facts as it is now; *ret stays NULL where they are not known. -ENOEXEC: it does not run. */
static int facts_now(
	struct store *s, const char *executable, struct interpreter **ret, struct diag *diag)
{
	int r = interpreter_recorded(s, executable, ret);

	if (r == -ENOENT)
		r = interpreter_noted(s, executable, ret);
	if (r == -ENOENT && interpreter_was_recorded(s, executable))
		r = interpreter_ask(s, executable, true, ret, diag);
	else if (r == -ENOENT)
		r = 0;
	return r;
}

/* Without facts: what the name of the binary tells. */
static int spec_now(const char *executable, const struct interpreter *now, struct python_spec *ret)
{
	auto_free char *real = NULL, *name = NULL;

	*ret = (struct python_spec){0};
	if (now) {
		name = place_format(
			"%s%s", strcmp(now->implementation, "pypy") ? "" : "pypy", now->version);
		if (!name)
			return -ENOMEM;
		python_spec_parse(name, ret);
		return 0;
	}
	real = realpath(executable, NULL);
	if (real)
		python_spec_parse(path_base(real), ret);
	return 0;
}

int interpreter_base(struct store *s, const struct cfg *cfg, const char *env, enum base_state *ret,
	struct diag *diag)
{
	auto_of(interpreter) struct interpreter *py = NULL, *now = NULL;
	struct python_spec was = {0}, is;
	struct diag why = {{0}};
	int r = interpreter_for_cfg(s, cfg, &py, diag);

	if (r < 0)
		return r;
	*ret = BASE_GONE;
	if (access(py->executable, X_OK) < 0) {
		diag_set(diag, 0,
			"its base Python is gone: %s (%s); `venvfs upgrade %s` moves it to another "
			"%d.%d, with --python to any Python",
			py->executable, py->version, env, py->major, py->minor);
		return 0;
	}
	r = facts_now(s, py->executable, &now, &why);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		diag_set(diag, 0,
			"its base Python does not run any more: %s; `venvfs upgrade %s --python X` "
			"moves it to another",
			diag_text(&why, r), env);
		return 0;
	}
	r = spec_now(py->executable, now, &is);
	if (r < 0)
		return r;
	*ret = BASE_SAME;
	if (!cfg->version || !python_spec_parse(cfg->version, &was))
		return 0;
	was.pypy = strcmp(py->implementation, "pypy") == 0;
	is.free_threaded = was.free_threaded = false;
	if (is.n > 1 &&
		!python_spec_may_fit(&is, &(struct python_spec){.pypy = was.pypy,
						  .n = 2,
						  .version = {was.version[0], was.version[1]}})) {
		*ret = BASE_OTHER;
		diag_set(diag, 0,
			"its base Python %s is %d.%d now, and sees nothing of what was installed "
			"for %d.%d; `venvfs upgrade %s` brings it along",
			py->executable, is.version[0], is.version[1], was.version[0],
			was.version[1], env);
	} else if (now && !python_spec_may_fit(&is, &was)) {
		*ret = BASE_UPDATED;
		diag_set(diag, 0,
			"its base Python was upgraded from %s to %s; `venvfs upgrade %s` writes "
			"that into pyvenv.cfg",
			cfg->version, now->version, env);
	}
	return 0;
}
