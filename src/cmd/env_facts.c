/* SPDX-License-Identifier: MIT */
#include "cmd/env_facts.h"

#include "base/cleanup.h"

#include <string.h>

static int set_fault(struct env_facts *f, const char *text)
{
	free(f->fault);
	f->fault = strdup(text);
	return f->fault ? 0 : -ENOMEM;
}

/* Names what is in no tier; a few are enough. */
static int check_dists(struct store *s, struct env_facts *f)
{
	auto_str struct str text = {0};
	size_t missing = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < f->lock->n; i++) {
		const struct lock_line *l = &f->lock->lines[i];

		if (store_has_dist(s, l->name, l->version, &l->address) == 0)
			continue;
		if (++missing <= 5)
			r = str_addf(&text, "%s%s %s",
				missing > 1 ? ", " : "not in the store: ", l->name, l->version);
	}
	if (r == 0 && missing > 5)
		r = str_addf(&text, " and %zu more", missing - 5);
	return r < 0 || !missing ? r : set_fault(f, text.p);
}

static int check_base(struct store *s, const struct env_path *p, struct env_facts *f)
{
	struct diag why = {{0}};
	int r = interpreter_base(s, &f->cfg.cfg, p->path, &f->base, &why);

	if (r == -ENOMEM)
		return r;
	if (r < 0 || f->base == BASE_GONE || f->base == BASE_OTHER)
		return set_fault(f, diag_text(&why, r));
	if (f->base == BASE_SAME)
		return 0;
	f->note = strdup(why.text);
	return f->note ? 0 : -ENOMEM;
}

int env_facts_read(
	struct store *s, const struct env_path *p, struct env_facts *ret, struct diag *diag)
{
	struct env_facts f = {.cfg = {.dir = -1}};
	struct diag why = {{0}};
	int r = env_cfg_open(p, &f.cfg, &why);

	if (r == -ENOENT || r == -ENOTDIR || r == -ENOTCONN || r == -ENOMEM)
		return diag_set(diag, r == -ENOTDIR ? -ENOENT : r, "%s", diag_text(&why, r));
	if (r < 0) {
		r = set_fault(&f, diag_text(&why, r));
	} else if (f.cfg.cfg.lock_kind == CFG_LOCK_DIGEST) {
		r = store_lock_get(s, &f.cfg.cfg.lock, &f.lock, &why);
		if (r == -ENOENT)
			r = set_fault(&f, "its lock is not in the store");
		else if (r < 0)
			r = set_fault(&f, diag_text(&why, r));
		else
			r = check_dists(s, &f);
	}
	if (r == 0 && !f.fault)
		r = check_base(s, p, &f);
	if (r < 0) {
		env_facts_free(&f);
		return r;
	}
	*ret = f;
	return 0;
}

void env_facts_free(struct env_facts *f)
{
	env_cfg_free(&f->cfg);
	lock_free(f->lock);
	free(f->fault);
	free(f->note);
	*f = (struct env_facts){.cfg = {.dir = -1}};
}

const char *env_facts_state(const struct env_facts *f)
{
	return f->fault ? "broken" : f->cfg.cfg.lock_kind == CFG_LOCK_ABSENT ? "ordinary" : "ok";
}
