/* SPDX-License-Identifier: MIT
 *
 * RECORD says what the wheel's maker put in. It must name exactly the files of the archive, each
 * once, each with a size and a hash that vouches for it; the bytes are compared when they
 * are inflated. Only RECORD itself and its signatures can not be vouched for.
 */
#include "py/wheel_plan.h"

#include "py/record.h"
#include "py/refuse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct reading {
	struct plan *plan;
	const struct zip_index *z;
	const char *file;
	struct diag *diag;
};

#define REFUSE(k, member, ...) refuse((k)->diag, (k)->file, (member), RULE_RECORD, __VA_ARGS__)

static bool parse_size(const char *text, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*text || strlen(text) > 15)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		v = v * 10 + (uint64_t)(*text - '0');
	}
	*ret = v;
	return true;
}

static int row(void *arg, const struct record_row *r)
{
	struct reading *k = arg;
	struct plan_file *f;
	uint64_t size;

	f = plan_find(k->plan, r->path);
	if (!f)
		return REFUSE(k, r->path, "RECORD names it, and the archive has no such file");
	if (f->recorded)
		return REFUSE(k, f->name, "RECORD names it twice");
	f->recorded = true;
	if (f->unrecorded)
		return 0;
	if (!*r->hash)
		return REFUSE(k, f->name, "RECORD has no hash for it");
	if (!record_hash_parse(r->hash, &f->kind, f->hash))
		return REFUSE(k, f->name, "RECORD's hash of it is no sha256, sha384 or sha512");
	if (!parse_size(r->size, &size) || size != k->z->members[f->member].size)
		return REFUSE(k, f->name, "RECORD has another size for it, or none");
	return 0;
}

int plan_record(struct plan *p, const struct zip_index *z, const char *text, size_t n,
	const char *file, struct diag *diag)
{
	struct reading k = {.plan = p, .z = z, .file = file, .diag = diag};
	struct diag csv = {0};
	const struct plan_file *record = plan_find_info(p, "RECORD");
	int r;

	r = record_parse(text, n, row, &k, &csv);
	if (r < 0 && csv.text[0])
		return REFUSE(&k, record->name, "%s", csv.text);
	if (r < 0)
		return r;
	for (size_t i = 0; i < p->n; i++)
		if (!p->files[i].recorded && !p->files[i].unrecorded)
			return REFUSE(&k, p->files[i].name, "RECORD does not name it");
	return 0;
}
