/* SPDX-License-Identifier: MIT
 *
 * The installed form: everything at the root, and .data/purelib and .data/platlib, are
 * site; .data/scripts is bin, .data/data and .data/headers are trees of their own. (A file of
 * .data/data that an interpreter's layout would put into site or bin stays in data: there
 * is no interpreter here.) Left out is what every installer makes anew or keeps for itself.
 */
#include "py/wheel_plan.h"

#include "base/cleanup.h"
#include "py/metadata.h"
#include "py/name.h"
#include "py/refuse.h"
#include "py/text.h"
#include "py/wheel_path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define GIB (1024ull * 1024 * 1024)
#define MEMBER_MAX (16 * GIB)
#define TOTAL_MAX (64 * GIB)
/* Deflate makes at most 1,032 bytes of one; real members reach 250 to 1, whole wheels 10 to 1. */
enum { DEFLATE_RATIO = 1032, DEFLATE_LEAST = 1024, BOMB_RATIO = 200 };
#define BOMB_LEAST GIB

struct making {
	const struct zip_index *z;
	const struct wheel_name *wheel;
	const char *file;
	struct diag *diag;
	struct plan *plan;
	size_t info_len; /* of plan->info */
};

#define REFUSE(k, member, rule, ...) refuse((k)->diag, (k)->file, (member), (rule), __VA_ARGS__)

static int check_mode(struct making *k, const struct zip_member *m)
{
	uint32_t type = m->mode & S_IFMT;

	if (m->mode & (S_ISUID | S_ISGID | S_ISVTX))
		return REFUSE(k, m->name, RULE_MODE, "it has a setuid, setgid or sticky bit");
	/* some tools give a directory's entry the mode of a file; never the other way round */
	if (type != 0 && type != S_IFREG && !(type == S_IFDIR && m->dir))
		return REFUSE(
			k, m->name, RULE_MODE, "it is neither a regular file nor a directory");
	if (m->dir && m->size)
		return REFUSE(k, m->name, RULE_MODE, "it is a directory with content");
	return 0;
}

static int check_size(struct making *k, const struct zip_member *m)
{
	if (m->size > MEMBER_MAX)
		return REFUSE(k, m->name, RULE_SIZE, "it is larger than 16 GiB");
	if (m->method == ZIP_DEFLATED && m->size > DEFLATE_LEAST &&
		m->size / DEFLATE_RATIO > m->packed)
		return REFUSE(k, m->name, RULE_SIZE, "so few bytes can not hold %llu",
			(unsigned long long)m->size);
	k->plan->total += m->size; /* at most 500,000 times 16 GiB */
	if (k->plan->total > TOTAL_MAX)
		return REFUSE(k, m->name, RULE_SIZE, "all together are larger than 64 GiB");
	return 0;
}

static bool ends(const char *p, size_t n, const char *suffix)
{
	size_t len = strlen(suffix);

	return n > len && memcmp(p + n - len, suffix, len) == 0;
}

static bool ends_folded(const char *p, size_t n, const char *suffix)
{
	size_t len = strlen(suffix);

	return n > len && strncasecmp(p + n - len, suffix, len) == 0;
}

static int find_info(struct making *k)
{
	const char *info = NULL;
	size_t len = 0;

	for (size_t i = 0; i < k->z->n; i++) {
		const char *name = k->z->members[i].name;
		size_t n = strcspn(name, "/");

		if (name[n] != '/' || !ends_folded(name, n, ".dist-info"))
			continue;
		if (!ends(name, n, ".dist-info")) /* importlib.metadata would take it for one */
			return REFUSE(k, name, RULE_IDENTITY, "it is a .dist-info in other case");
		if (info && (n != len || memcmp(info, name, n) != 0))
			return REFUSE(
				k, name, RULE_IDENTITY, "there is a second .dist-info directory");
		info = name;
		len = n;
	}
	if (!info)
		return REFUSE(k, NULL, RULE_IDENTITY, "there is no .dist-info directory");
	k->plan->info = strndup(info, len);
	if (!k->plan->info)
		return -ENOMEM;
	k->info_len = len;
	if (!name_is_stem(info, len - strlen(".dist-info"), k->wheel->name, k->wheel->version))
		return REFUSE(k, k->plan->info, RULE_IDENTITY,
			"it is not the directory of %s %s, which the file name tells",
			k->wheel->name, k->wheel->version);
	return 0;
}

/* A name of the .data directory: what is behind "NAME-VERSION.data/". */
static int place_data(struct making *k, struct plan_file *f, size_t top)
{
	static const struct {
		const char *name;
		enum tree tree;
	} schemes[] = {{"purelib", TREE_SITE}, {"platlib", TREE_SITE}, {"scripts", TREE_BIN},
		{"data", TREE_DATA}, {"headers", TREE_HEADERS}};
	const char *scheme = f->name + top + 1;
	size_t n = strcspn(scheme, "/");

	if (!name_is_stem(f->name, top - strlen(".data"), k->wheel->name, k->wheel->version))
		return REFUSE(
			k, f->name, RULE_IDENTITY, "it is a .data directory of something else");
	if (scheme[n] != '/')
		return REFUSE(k, f->name, RULE_SCHEME, "it lies in no scheme");
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		if (strlen(schemes[i].name) == n && memcmp(schemes[i].name, scheme, n) == 0) {
			f->tree = schemes[i].tree;
			f->path = scheme + n + 1;
			f->script = f->tree == TREE_BIN;
			f->exec = f->exec || f->script;
			if (f->tree == TREE_SITE &&
				ends_folded(f->path, strcspn(f->path, "/"), ".dist-info"))
				return REFUSE(k, f->name, RULE_IDENTITY,
					"it would land in a .dist-info directory");
			return 0;
		}
	return REFUSE(
		k, f->name, RULE_SCHEME, "\"%.*s\" is no scheme", (int)(n < 40 ? n : 40), scheme);
}

/* A pyc beside its source, or in __pycache__, is derived. One without a source is the module. */
static bool is_derived(const struct plan *p, const char *name)
{
	auto_free char *source = NULL;
	bool found;

	if (str_starts(name, "__pycache__/") || strstr(name, "/__pycache__/"))
		return true;
	if (!str_ends(name, ".pyc") || !(source = strdup(name)))
		return false;
	source[strlen(source) - 1] = '\0';
	found = plan_find(p, source) != NULL;
	return found;
}

static int place(struct making *k, struct plan_file *f)
{
	const struct zip_member *m = &k->z->members[f->member];
	size_t top = strcspn(f->name, "/");
	int r;

	f->tree = TREE_SITE;
	f->path = f->name;
	f->exec = S_ISREG(m->mode) && (m->mode & 0111);
	if (f->name[top] == '/' && ends(f->name, top, ".data") && (r = place_data(k, f, top)) < 0)
		return r;
	if ((r = wheel_path_check(f->tree, f->path, f->name, k->file, k->diag)) < 0)
		return r;
	if (top == k->info_len && memcmp(f->name, k->plan->info, top) == 0) {
		const char *base = f->name + top + 1;

		f->unrecorded = strcmp(base, "RECORD") == 0 || strcmp(base, "RECORD.jws") == 0 ||
				strcmp(base, "RECORD.p7s") == 0;
		if (info_left_out(base))
			f->tree = PLAN_LEFT_OUT;
	}
	if (is_derived(k->plan, f->name))
		f->tree = PLAN_LEFT_OUT;
	return 0;
}

/* The archive's own names first, so that a name there twice is told as such; then where they land.
 */
static int check_places(struct making *k)
{
	const struct zip_index *z = k->z;
	auto_free struct placed *places = calloc(z->n + 1, sizeof *places);
	auto_str struct str names = {0};
	auto_free size_t *at = calloc(z->n + 1, sizeof *at);
	size_t n = 0;
	int r;

	if (!places || !at)
		return -ENOMEM;
	for (size_t i = 0; i < z->n; i++) {
		at[i] = names.len;
		if (str_add(&names, z->members[i].name) < 0 || str_add_mem(&names, "", 1) < 0)
			return -ENOMEM;
		if (z->members[i].dir)
			names.p[names.len - 2] = '\0';
	}
	for (size_t i = 0; i < z->n; i++)
		places[i] = (struct placed){.path = names.p + at[i],
			.name = z->members[i].name,
			.dir = z->members[i].dir};
	if ((r = wheel_paths_meet(places, z->n, false, k->file, k->diag)) < 0)
		return r;
	for (size_t i = 0; i < k->plan->n; i++) {
		struct plan_file *f = &k->plan->files[i];

		if (f->tree != PLAN_LEFT_OUT)
			places[n++] =
				(struct placed){.path = f->path, .name = f->name, .tree = f->tree};
	}
	if ((r = wheel_paths_meet(places, n, false, k->file, k->diag)) < 0)
		return r;
	return wheel_paths_meet(places, n, true, k->file, k->diag);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct plan_file *)a)->name, ((const struct plan_file *)b)->name);
}

static int make(struct making *k, uint64_t archive_size)
{
	struct plan *p = k->plan;
	int r;

	p->files = calloc(k->z->n + 1, sizeof *p->files);
	if (!p->files)
		return -ENOMEM;
	for (size_t i = 0; i < k->z->n; i++) {
		const struct zip_member *m = &k->z->members[i];

		r = wheel_name_check(m->name, m->flags & ZIP_FLAG_UTF8, k->file, k->diag);
		if (r < 0 || (r = check_mode(k, m)) < 0 || (r = check_size(k, m)) < 0)
			return r;
		if (!m->dir)
			p->files[p->n++] = (struct plan_file){.member = i, .name = m->name};
	}
	if (p->total > BOMB_LEAST && p->total / BOMB_RATIO > archive_size)
		return REFUSE(k, NULL, RULE_SIZE, "it unpacks to more than 200 times its size");
	qsort(p->files, p->n, sizeof *p->files, by_name);
	if ((r = find_info(k)) < 0)
		return r;
	for (size_t i = 0; i < p->n; i++)
		if ((r = place(k, &p->files[i])) < 0)
			return r;
	return check_places(k);
}

int plan_make(const struct zip_index *z, uint64_t archive_size, const struct wheel_name *wheel,
	const char *file, struct plan *ret, struct diag *diag)
{
	struct plan p = {0};
	struct making k = {.z = z, .wheel = wheel, .file = file, .diag = diag, .plan = &p};
	int r = make(&k, archive_size);

	if (r < 0)
		plan_free(&p);
	else
		*ret = p;
	return r;
}

void plan_free(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->files[i].text);
	free(p->files);
	free(p->info);
	*p = (struct plan){0};
}

struct plan_file *plan_find(const struct plan *p, const char *name)
{
	struct plan_file key = {.name = name};

	return bsearch(&key, p->files, p->n, sizeof *p->files, by_name);
}

struct plan_file *plan_find_info(const struct plan *p, const char *base)
{
	auto_str struct str name = {0};

	if (str_addf(&name, "%s/%s", p->info, base) < 0)
		return NULL;
	return plan_find(p, name.p);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int find_text(const void *key, const void *at)
{
	const struct slice *k = key;
	const char *text = *(const char *const *)at;
	int r = strncmp(k->p, text, k->n);

	return r ? r : text[k->n] ? -1 : 0;
}

int plan_drop_wrappers(struct plan *p, const struct manifest *m)
{
	static const char *const suffixes[] = {".exe", "-script.py", ".pya"};
	auto_free const char **points = calloc(m->n_entry_points + 1, sizeof(*points));

	if (!points)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_entry_points; i++)
		points[i] = m->entry_points[i].name;
	qsort(points, m->n_entry_points, sizeof *points, by_text);
	for (size_t i = 0; i < p->n; i++) {
		struct plan_file *f = &p->files[i];
		const char *base = path_base(f->path ? f->path : "");
		size_t n = strlen(base);

		if (!f->script || f->tree == PLAN_LEFT_OUT)
			continue;
		for (size_t s = 0; s < sizeof suffixes / sizeof *suffixes; s++) {
			size_t len = strlen(suffixes[s]);

			if (n >= len && strcasecmp(base + n - len, suffixes[s]) == 0) {
				n -= len;
				break;
			}
		}
		if (bsearch(&(struct slice){base, n}, points, m->n_entry_points, sizeof *points,
			    find_text))
			f->tree = PLAN_LEFT_OUT;
	}
	return 0;
}
