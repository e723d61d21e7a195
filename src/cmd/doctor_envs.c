/* SPDX-License-Identifier: MIT
 *
 * Roots and the environments in them, and what new ones are made with.
 */
#include "cmd/doctor.h"

#include "base/cleanup.h"
#include "base/mounts.h"
#include "cmd/env_facts.h"
#include "cmd/envs.h"
#include "cmd/pip.h"
#include "py/interpreter.h"
#include "py/process.h"

#include <string.h>

struct count {
	struct doctor *d;
	const char *root;
	size_t n, n_bad;
};

static int count_env(void *arg, const char *name)
{
	struct count *c = arg;

	(void)name;
	c->n++;
	return 0;
}

static int is_path(void *arg, const char *path)
{
	return strcmp(arg, path) == 0;
}

static int look_at_root(void *arg, const char *root)
{
	struct doctor *d = arg;
	struct count c = {.d = d};
	struct diag why = {0};
	bool usual = d->root && strcmp(root, d->root) == 0;
	int r;

	if (mounts_is_dead(root)) { /* told of by another row */
		if (usual)
			doctor_say(d, VERDICT_OK,
				"%s is not looked at: nothing in a dead mount can be", root);
		return 0;
	}
	r = envs_each(root, count_env, &c, &why);
	if (r == -ENOENT) {
		if (usual)
			doctor_say(
				d, VERDICT_OK, "%s: not there yet; `venvfs mount` makes it", root);
	} else if (r < 0) {
		doctor_say(d, VERDICT_BAD, "%s", diag_text(&why, r));
	} else if (mounts_each(is_path, (void *)root) > 0) {
		doctor_say(d, VERDICT_OK, "%s: mounted, %zu environment%s", root, c.n, plural(c.n));
	} else if (c.n) {
		doctor_say(d, usual ? VERDICT_BAD : VERDICT_NOTE,
			"%s is not mounted: nothing but private files shows in its %zu "
			"environment%s",
			root, c.n, plural(c.n));
		doctor_mend(d, "venvfs mount %s", root);
	} else if (usual) {
		doctor_say(d, VERDICT_OK, "%s: no environment, not mounted", root);
	}
	return 0;
}

static int look_at_noted(void *arg, const char *root)
{
	struct doctor *d = arg;

	return d->root && strcmp(root, d->root) == 0 ? 0 : look_at_root(d, root);
}

/* The default one, then those that the store has notes of. */
void doctor_roots(struct doctor *d)
{
	char *const store[] = {d->ctx->config.store};
	struct store *s = NULL;

	if (d->root)
		(void)look_at_root(d, d->root);
	else
		doctor_say(
			d, VERDICT_NOTE, "the default one is not looked at: see the other lines");
	if (!store[0] || access(store[0], F_OK) < 0 || store_open(store[0], NULL, 0, &s, NULL) < 0)
		return;
	(void)store_root_each(s, look_at_noted, d);
	store_free(s);
}

static void mend(struct doctor *d, const struct env_facts *f, const char *path)
{
	if (f->base == BASE_GONE)
		doctor_mend(d, "install that Python again, or: venvfs upgrade %s --python VERSION",
			path);
	else if (f->base != BASE_SAME)
		doctor_mend(d, "venvfs upgrade %s", path);
	else if (f->cfg.dir < 0 || !f->cfg.cfg.home)
		doctor_mend(d, "correct %s/pyvenv.cfg, or: venvfs rm %s", path, path);
	else if (!f->lock)
		doctor_mend(d, "venvfs undo %s, or: venvfs sync %s FILE", path, path);
	else
		doctor_mend(d, "venvfs store add WHEEL..., or: venvfs sync %s FILE", path);
}

static int look_at_env(void *arg, const char *name)
{
	struct count *c = arg;
	struct doctor *d = c->d;
	struct env_facts facts = {.cfg = {.dir = -1}};
	auto_free char *path = NULL;
	struct diag why = {0};
	struct env_path p = {0};
	int r;

	if (asprintf(&path, "%s/%s", c->root, name) < 0)
		return path = NULL, -ENOMEM;
	p.path = path;
	c->n++;
	r = env_facts_read(d->store, &p, &facts, &why);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (facts.fault || facts.note) {
		c->n_bad++;
		doctor_say(d, facts.fault ? VERDICT_BAD : VERDICT_NOTE, "%s: %s", path,
			facts.fault ? facts.fault : facts.note);
		mend(d, &facts, path);
	}
	env_facts_free(&facts);
	return 0;
}

void doctor_envs(struct doctor *d)
{
	struct count c = {.d = d, .root = d->root};
	int r;

	if (!d->root || !d->store || mounts_is_dead(d->root)) {
		doctor_say(d, VERDICT_NOTE, "not looked at: see the other lines");
		return;
	}
	r = envs_each(d->root, look_at_env, &c, NULL);
	if (r < 0 && r != -ENOENT)
		doctor_say(d, VERDICT_BAD, "%s: %s", d->root, strerror(-r));
	else if (!c.n_bad)
		doctor_say(d, VERDICT_OK, "%zu in %s, without a fault", c.n, d->root);
}

void doctor_python(struct doctor *d)
{
	struct interpreter *py = NULL;
	struct diag why = {0};
	int r = d->store ? interpreter_find(d->store, NULL, &py, &why) : -EIO;

	if (!d->store) {
		doctor_say(d, VERDICT_NOTE, "not looked at: there is no place to work in");
	} else if (r < 0) {
		doctor_say(d, VERDICT_BAD, "no Python to make environments with: %s",
			diag_text(&why, r));
		doctor_mend(d, "install one (apt-get install python3), or name it: venvfs create "
			       "--python PATH");
	} else {
		doctor_say(d, VERDICT_OK, "%s, %s", py->executable, py->version);
	}
	interpreter_unref(py);
}

/* Its own, or what ensurepip would install: starting that takes seconds. */
static bool has_pip(const struct interpreter *py)
{
	static const char *const version[] = {"--version", NULL};

	for (size_t i = 0; i < py->n_wheels; i++)
		if (str_starts(path_base(py->wheels[i]), "pip-") &&
			access(py->wheels[i], R_OK) == 0)
			return true;
	return pip_run(py, version, NULL) == 0;
}

/* Whoever resolves and builds. */
void doctor_installers(struct doctor *d)
{
	auto_free char *uv = process_in_path("uv");
	struct interpreter *py = NULL;
	bool pip = false;

	if (d->store && interpreter_find(d->store, NULL, &py, NULL) == 0)
		pip = has_pip(py);
	interpreter_unref(py);
	if (uv || pip) {
		doctor_say(d, VERDICT_OK, "%s%s%s", uv ? "uv" : "", uv && pip ? " and " : "",
			pip ? "pip" : "");
		return;
	}
	doctor_say(d, VERDICT_BAD,
		"neither uv nor pip: `add` can not resolve, `sync` can not ask an index or build");
	doctor_mend(d, "install uv, or pip for python3 (apt-get install python3-pip python3-venv)");
}
