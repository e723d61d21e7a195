/* SPDX-License-Identifier: MIT */
#include "cmd/answer.h"

#include <errno.h>
#include <string.h>

/* Another number when the rules change by which locks are chosen. */
#define RULES "1"

static int note_key(const char *question, const struct interpreter *py, struct str *out)
{
	return str_addf(out, "%s\n%s\n%s %s %s %s\n%llu %lld\n%s\n", RULES, py->executable,
		py->implementation, py->version, py->abiflags ? py->abiflags : "",
		py->cache_tag ? py->cache_tag : "", (unsigned long long)py->binary_size,
		(long long)py->binary_mtime_ns, question);
}

int answer_get(struct store *s, const char *question, const struct interpreter *py,
	struct digest *ret_id, struct lock **ret)
{
	auto_str struct str key = {0}, note = {0};
	struct lock *lock = NULL;
	struct digest id;
	int r;

	if (!py->executable || !py->version || !py->implementation)
		return -ENOENT;
	r = note_key(question, py, &key);
	if (r == 0)
		r = store_note_get(s, "answers", key.p, &note);
	if (r < 0)
		return r;
	/* "sha256:<64 hex>\n"; anything else is a question not answered yet. */
	if (note.len != 7 + DIGEST_HEX + 1 || !str_starts(note.p, "sha256:") ||
		digest_parse(note.p + 7, DIGEST_HEX, &id) < 0)
		return -ENOENT;
	r = store_lock_get(s, &id, &lock, NULL);
	for (size_t i = 0; r == 0 && i < lock->n; i++)
		r = store_has_dist(
			s, lock->lines[i].name, lock->lines[i].version, &lock->lines[i].address);
	if (r < 0) {
		lock_free(lock);
		return r == -ENOMEM ? r : -ENOENT;
	}
	*ret_id = id;
	*ret = lock;
	return 0;
}

int answer_put(struct store *s, const char *question, const struct interpreter *py,
	const struct lock *lock, bool lasts, struct digest *ret_id, struct diag *diag)
{
	auto_str struct str key = {0}, note = {0};
	char hex[DIGEST_HEX + 1];
	struct digest id;
	int r = store_lock_put(s, lock, &id, diag);

	if (r < 0)
		return r;
	*ret_id = id;
	if (!lasts || !py->executable || !py->version || !py->implementation)
		return 0;
	digest_format(&id, hex);
	r = note_key(question, py, &key);
	if (r == 0)
		r = str_addf(&note, "sha256:%s\n", hex);
	if (r == 0)
		r = store_note_put(s, "answers", key.p, note.p, note.len);
	return r < 0 ? diag_errno(diag, r, "can not write a note into the store") : 0;
}
