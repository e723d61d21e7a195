/* SPDX-License-Identifier: MIT
 *
 * A lock file that was synced before, for this interpreter, has an answer in the store: the lock it
 * means. Then nothing is read but names.
 */
#include "cmd/sync.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cmd/answer.h"

#include <string.h>

enum { FILE_MAX = 64 * 1024 * 1024 };

static int question(const struct sync *s, const struct lock *kept, struct str *out)
{
	char hex[DIGEST_HEX + 1];
	struct digest id;
	int r = digest_buf(s->text.p ? s->text.p : "", s->text.len, &id);

	if (r < 0)
		return r;
	digest_format(&id, hex);
	r = str_addf(
		out, "sync %s %s\n", str_ends(s->file, ".toml")	? "pylock"
		: str_ends(s->file, ".json") ? "report"
					     : "requirements", hex);
	return r == 0 && kept ? lock_format(kept, out) : r;
}

size_t sync_tell_faults(const struct sync *s)
{
	size_t n = 0;

	for (char *p = s->faults.p; p && *p; p += strcspn(p, "\n"), p += *p == '\n') {
		cmd_fail("%.*s", (int)strcspn(p, "\n"), p);
		n++;
	}
	return n;
}

/* All that fails is told, so that a person need not find it one by one. */
static size_t tell_faults(const struct sync *s)
{
	size_t n = sync_tell_faults(s);

	for (size_t i = 0; i < s->wants.n; i++) {
		const struct want *w = &s->wants.list[i];
		char name[300];

		if (w->found)
			continue;
		sync_name(w, name, sizeof name);
		cmd_fail("%s: %s", name, w->fault.text[0] ? w->fault.text : "it can not be had");
		n++;
	}
	return n;
}

static int make_lock(struct sync *s, const struct lock *kept, struct lock **ret, struct diag *diag)
{
	struct lock *lock = kept ? lock_copy(kept) : lock_new();
	int r = lock ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < s->wants.n; i++) {
		struct want *w = &s->wants.list[i];

		if (w->origin) {
			r = store_blob_put(
				s->ctx->store, w->origin, strlen(w->origin), &w->line.origin);
			w->line.has_origin = r == 0;
		}
		if (r == 0)
			r = lock_set(lock, &w->line);
	}
	if (r < 0) {
		lock_free(lock);
		return diag_errno(diag, r, "can not write the lock into the store");
	}
	*ret = lock;
	return 0;
}

/* 1: faults are told already. */
static int work_out(struct sync *s, const struct lock *kept, const char *asked,
	struct digest *ret_id, struct lock **ret, struct diag *diag)
{
	struct lock *lock = NULL;
	bool missing = false;
	int r = sync_read(s, diag);

	if (r == 0)
		r = sync_find(s, diag);
	if (r == 0)
		r = index_locate(s, diag);
	/* A pin can turn out to be a file that the store has. */
	if (r == 0)
		r = sync_find(s, diag);
	if (r == 0)
		r = sync_get(s, diag);
	for (size_t i = 0; i < s->wants.n; i++)
		missing |= !s->wants.list[i].found;
	if (r == -EINVAL && s->faults.len) {
		/* what was not tried is no fault */
		wants_free(&s->wants);
		missing = true;
		r = 0;
	}
	if (r < 0)
		return r;
	if (missing)
		return tell_faults(s) > 0;
	r = make_lock(s, kept, &lock, diag);
	if (r == 0)
		r = answer_put(s->ctx->store, asked, s->py, lock, s->wants.lasts, ret_id, diag);
	if (r < 0) {
		lock_free(lock);
		return r;
	}
	*ret = lock;
	return 0;
}

void sync_begin(
	struct sync *s, struct cmd_context *ctx, struct interpreter *py, enum index_asker asker)
{
	*s = (struct sync){.ctx = ctx, .py = py, .asker = asker, .work = {.fd = -1}};
	s->chooser = (struct chooser){.store = ctx->store,
		.py = py,
		.work = &s->work,
		.fetch = index_fetch_library,
		.arg = s};
}

void sync_end(struct sync *s)
{
	chooser_free(&s->chooser);
	workdir_free(&s->work);
	wants_free(&s->wants);
	str_free(&s->text);
	str_free(&s->options);
	str_free(&s->faults);
}

int sync_lock(struct cmd_context *ctx, const struct sync_request *request, struct synced *ret,
	struct diag *diag)
{
	auto_str struct str asked = {0};
	struct sync s;
	int r;

	sync_begin(&s, ctx, request->py, request->asker);
	s.file = request->file;
	r = request->text ? str_add(&s.text, request->text)
			  : io_slurp_path(s.file, FILE_MAX, &s.text);
	if (r < 0)
		diag_errno(diag, r, "%s", s.file);
	if (r == 0)
		r = question(&s, request->kept, &asked);
	if (r == 0) {
		r = answer_get(ctx->store, asked.p, s.py, &ret->id, &ret->lock);
		ret->known = r == 0;
		if (r == -ENOENT)
			r = work_out(&s, request->kept, asked.p, &ret->id, &ret->lock, diag);
		ret->lasts = ret->known || s.wants.lasts;
	}
	sync_end(&s);
	return r;
}
