/* SPDX-License-Identifier: MIT
 *
 * RECORD is what decides: it is an installer's last word, and everything it names with a hash must
 * be there. What installers make anew for each environment or keep for themselves is left out here
 * as it is when a wheel is read (wheel_plan.c): entry-point scripts, RECORD, INSTALLER and their
 * like, and bytecode.
 */
#include "view/crop.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "py/entrypoint.h"
#include "py/metadata.h"
#include "py/name.h"
#include "py/record.h"
#include "py/scheme.h"
#include "py/script.h"
#include "py/wheel_path.h"
#include "view/scripts.h"

#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

#define MIB ((size_t)1024 * 1024)
enum { FILES_MAX = 500000 };

struct reading {
	const struct field_of *f;
	struct crop *c;
	struct diag *diag;
	char *site, *headers; /* with a slash at the end */
	struct script_names script_names;
	bool metadata; /* RECORD names it */
};

static int refuse(struct reading *k, const char *path, const char *why)
{
	return diag_set(k->diag, -EINVAL, "%s: %s", path, why);
}

const struct lower_entry *crop_shown(const struct field_of *f, const char *path)
{
	const char *base = path_base(path);
	auto_free char *dir = strndup(path, (size_t)(base - path));
	const struct lower_entry *e = NULL;
	struct lower_dir *d = NULL;

	if (!dir || !held_lower_shows(f->held, path) || lower_walk(f->lower, dir, &d) < 0 || !d ||
		lower_lookup(f->lower, d, base, &e) < 0)
		return NULL;
	return e;
}

const struct lower_entry *crop_lower(const struct field_of *f, const char *path)
{
	const struct lower_entry *e = crop_shown(f, path);

	return e && e->type == LOWER_FILE ? e : NULL;
}

/* A small regular file that shows, private or not. -ENOENT */
static int slurp(const struct field_of *f, const char *path, size_t max, struct str *ret)
{
	const struct lower_entry *e;
	auto_close int fd = -1;

	if (!held_find(f->held, path, HELD_FILE)) {
		e = crop_lower(f, path);
		return e ? dist_slurp(e->file_dist, e->index, max, ret) : -ENOENT;
	}
	fd = io_open_beneath(f->upper, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	return fd < 0 ? fd : io_slurp(fd, max, ret);
}

static int slurp_info(const struct field_of *f, const struct crop *c, const char *base, size_t max,
	struct str *ret)
{
	auto_str struct str path = {0};
	int r = str_addf(&path, "%s/%s", c->info, base);

	return r < 0 ? r : slurp(f, path.p, max, ret);
}

static int parse_info(struct reading *k, const char *base,
	int (*parse)(const char *text, size_t n, struct manifest *m, struct diag *diag))
{
	auto_str struct str text = {0};
	struct diag reason = {0};
	int r = slurp_info(k->f, k->c, base, 16 * MIB, &text);

	if (r < 0)
		return r;
	r = parse(text.p ? text.p : "", text.len, k->c->manifest, &reason);
	return r < 0 && r != -ENOMEM ? refuse(k, base, diag_text(&reason, r)) : r;
}

static int read_facts(struct reading *k)
{
	const char *base = path_base(k->c->info);
	struct manifest *m = k->c->manifest;
	int r = parse_info(k, "METADATA", metadata_parse);

	if (r == 0 && !name_is_stem(base, strlen(base) - strlen(".dist-info"), m->name, m->version))
		return refuse(k, base, "its METADATA is of something else");
	if (r == 0)
		r = parse_info(k, "WHEEL", wheel_file_parse);
	if (r == 0) {
		r = parse_info(k, "entry_points.txt", entry_points_parse);
		r = r == -ENOENT ? 0 : r;
	}
	if (r == -ENOENT)
		return refuse(k, base, "it has no METADATA or no WHEEL");
	m->info = r == 0 ? strdup(base) : NULL;
	return r == 0 && !m->info ? -ENOMEM : r;
}

/* `row`, as seen from site-packages, from the environment's directory. */
static int place_row(const struct reading *k, const char *row, struct str *out)
{
	const char *parts[2] = {row[0] == '/' ? "" : k->site, row}, *name;
	size_t len;

	if (row[0] == '/') { /* pip's form of what lies outside of its prefix */
		size_t n = strlen(k->f->path);

		if (strncmp(row, k->f->path, n) != 0 || row[n] != '/')
			return -EINVAL;
		parts[1] = row + n + 1;
	}
	for (int i = 0; i < 2; i++)
		while ((name = path_next(&parts[i], &len))) {
			char *slash;
			int r;

			if (len == 1 && name[0] == '.')
				continue;
			if (len == 2 && name[0] == '.' && name[1] == '.') {
				if (!out->len)
					return -EINVAL;
				slash = strrchr(out->p, '/');
				str_truncate(out, slash ? (size_t)(slash - out->p) : 0);
				continue;
			}
			r = out->len ? str_add(out, "/") : 0;
			if (r == 0)
				r = str_add_mem(out, name, len);
			if (r < 0)
				return r;
		}
	return out->len ? 0 : -EINVAL;
}

static int note_recorded(struct crop *c, const char *path)
{
	int r = array_grow(c->recorded, c->cap_recorded, c->n_recorded + 1);

	if (r < 0)
		return r;
	c->recorded[c->n_recorded] = strdup(path);
	return c->recorded[c->n_recorded] ? (c->n_recorded++, 0) : -ENOMEM;
}

/* A pyc beside its source, or in __pycache__, is derived (its source may come later in RECORD). */
static bool is_bytecode(const char *path)
{
	return str_starts(path, "__pycache__/") || strstr(path, "/__pycache__/");
}

static bool is_entry_point(const struct reading *k, const char *name)
{
	const struct manifest *m = k->c->manifest;
	const char *names[SCRIPT_NAMES_MAX];

	for (size_t i = 0; i < m->n_entry_points; i++) {
		size_t n = script_names_of(&k->script_names, m, i, names);

		if (strcmp(m->entry_points[i].name, name) == 0)
			return true;
		while (n)
			if (strcmp(names[--n], name) == 0)
				return true;
	}
	return false;
}

/* In which tree a path lies, and whether it is left out. */
static bool classify(const struct reading *k, const char *path, uint8_t *tree, const char **in_tree)
{
	const char *info = k->c->manifest->info;

	*tree = TREE_DATA;
	*in_tree = path;
	if (str_starts(path, k->site)) {
		*tree = TREE_SITE;
		*in_tree = path + strlen(k->site);
		if (str_starts(*in_tree, info) && (*in_tree)[strlen(info)] == '/' &&
			info_left_out(*in_tree + strlen(info) + 1))
			return false;
	} else if (str_starts(path, "bin/")) {
		*tree = TREE_BIN;
		*in_tree = path + strlen("bin/");
		if (is_entry_point(k, *in_tree))
			return false;
	} else if (str_starts(path, k->headers)) {
		*tree = TREE_HEADERS;
		*in_tree = path + strlen(k->headers);
	}
	return !is_bytecode(path);
}

/* Labels that the system gives (security.*, trusted.*) are not its own. */
static bool has_own_attributes(int fd)
{
	char names[1024];
	ssize_t n = flistxattr(fd, names, sizeof names);

	if (n < 0)
		return errno == ERANGE;
	for (char *p = names; p < names + n; p += strlen(p) + 1)
		if (str_starts(p, "user.") || str_starts(p, "system.posix_acl_"))
			return true;
	return false;
}

/* What is there under the path can become a file of the store. */
static int check_held(struct reading *k, const char *path, const struct held *h)
{
	auto_close int fd = -1;

	if (h->st.st_nlink != 1)
		return refuse(k, path, "it has another name as well (a hard link)");
	if (h->st.st_uid != k->f->uid || (h->st.st_mode & (S_ISUID | S_ISGID | S_ISVTX)))
		return refuse(k, path, "its owner or mode is one that no file of a store has");
	fd = io_open_beneath(k->f->upper, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	if (fd < 0)
		return diag_errno(k->diag, fd, "%s", path);
	return has_own_attributes(fd) ? refuse(k, path, "it has extended attributes of its own")
				      : 0;
}

static int add_file(struct reading *k, const struct record_row *row, const char *path, uint8_t tree,
	const char *in_tree)
{
	struct crop *c = k->c;
	struct crop_file file = {.tree = tree, .held = held_find(k->f->held, path, HELD_FILE)};
	int r;

	if (!*row->hash)
		return refuse(k, path, "RECORD has no hash of it");
	if (!record_hash_parse(row->hash, &file.kind, file.hash))
		return refuse(k, path, "RECORD's hash of it is no sha256, sha384 or sha512");
	if (file.held)
		r = check_held(k, path, file.held);
	else
		r = crop_lower(k->f, path)
			    ? 0
			    : refuse(k, path, "RECORD names it, and it is not there");
	if (r == 0)
		r = wheel_name_check(in_tree, true, c->info, k->diag);
	if (r == 0)
		r = wheel_path_check(tree, in_tree, path, c->info, k->diag);
	if (r == 0)
		r = c->n_files < FILES_MAX ? array_grow(c->files, c->cap_files, c->n_files + 1)
					   : -E2BIG;
	if (r < 0)
		return r;
	file.path = strdup(path);
	if (!file.path)
		return -ENOMEM;
	file.in_tree = file.path + (in_tree - path);
	c->files[c->n_files++] = file;
	if (tree == TREE_SITE && str_starts(in_tree, c->manifest->info) &&
		strcmp(in_tree + strlen(c->manifest->info), "/METADATA") == 0)
		k->metadata = true;
	return 0;
}

static int row(void *arg, const struct record_row *r)
{
	struct reading *k = arg;
	auto_str struct str path = {0};
	const char *in_tree;
	uint8_t tree;
	int err = place_row(k, r->path, &path);

	if (err == -EINVAL)
		return refuse(k, r->path, "it lies outside of the environment");
	if (err == 0)
		err = note_recorded(k->c, path.p);
	if (err < 0 || !classify(k, path.p, &tree, &in_tree))
		return err;
	return add_file(k, r, path.p, tree, in_tree);
}

static int by_place(const void *a, const void *b)
{
	const struct crop_file *x = a, *y = b;

	return x->tree != y->tree ? x->tree - y->tree : path_compare(x->in_tree, y->in_tree);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "mod.pyc" beside "mod.py" is bytecode too. */
static void drop_pycs(struct crop *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->n_files; i++) {
		struct crop_file *f = &c->files[i];
		size_t n = strlen(f->path);

		if (str_ends(f->path, ".pyc")) {
			bool derived;

			f->path[n - 1] = '\0';
			derived = crop_names(c, f->path);
			f->path[n - 1] = 'c';
			if (derived) {
				free(f->path);
				continue;
			}
		}
		c->files[kept++] = *f;
	}
	c->n_files = kept;
}

static int read_record(struct reading *k)
{
	auto_str struct str text = {0};
	struct diag csv = {0};
	struct crop *c = k->c;
	int r = slurp_info(k->f, c, "RECORD", 64 * MIB, &text);

	if (r < 0)
		return diag_errno(k->diag, r, "%s/RECORD", c->info);
	k->diag->text[0] = '\0';
	r = record_parse(text.p ? text.p : "", text.len, row, k, &csv);
	if (r < 0)
		return k->diag->text[0] || r == -ENOMEM ? r
							: refuse(k, c->info, diag_text(&csv, r));
	if (!k->metadata)
		return refuse(k, c->info, "RECORD does not name METADATA");
	if (c->n_recorded)
		qsort(c->recorded, c->n_recorded, sizeof *c->recorded, by_text);
	drop_pycs(c);
	if (c->n_files)
		qsort(c->files, c->n_files, sizeof *c->files, by_place);
	return 0;
}

/* The directory in a shebang: the environment's, or a symlink to it (a project's .venv). */
static bool is_env(void *arg, const char *dir)
{
	const struct field_of *f = arg;
	char target[PATH_MAX];
	ssize_t n;

	if (strcmp(dir, f->path) == 0)
		return true;
	n = readlink(dir, target, sizeof target - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return strcmp(target, f->path) == 0;
}

/* Scripts that the installer gave this environment's interpreter get back the plain first line. */
static int read_script(struct reading *k, struct crop_file *file)
{
	auto_str struct str text = {0}, plain = {0};
	int r;

	if (!file->held || (size_t)file->held->st.st_size > 16 * MIB)
		return 0;
	r = slurp(k->f, file->path, 16 * MIB, &text);
	if (r == 0 && script_wants_python(text.p ? text.p : "", text.len)) {
		/* Of a wheel's scripts an installer makes another first line: this came as data,
		 * and stays so. */
		file->tree = TREE_DATA;
		file->in_tree = file->path;
		return 0;
	}
	if (r == 0)
		r = script_unrender(text.p ? text.p : "", text.len, is_env, (void *)k->f, &plain);
	if (r == -EINVAL)
		return 0;
	if (r < 0)
		return r;
	file->text_size = plain.len;
	file->text = str_steal(&plain);
	return file->text ? 0 : -ENOMEM;
}

/* Paths that differ by case alone would be one on another file system. */
static int check_meetings(struct reading *k)
{
	const struct crop *c = k->c;
	auto_free struct placed *places = calloc(c->n_files + 1, sizeof *places);

	if (!places)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_files; i++)
		places[i] = (struct placed){.path = c->files[i].in_tree,
			.name = c->files[i].path,
			.tree = c->files[i].tree};
	return wheel_paths_meet(places, c->n_files, true, c->info, k->diag);
}

/* Somebody has changed the mode of single files: they stay as they are, over what the store shows.
 */
static void compare_modes(struct crop *c)
{
	mode_t plain = 0644;

	for (size_t i = 0; i < c->n_files; i++)
		if (c->files[i].held && strcmp(path_base(c->files[i].path), "METADATA") == 0)
			plain = c->files[i].held->st.st_mode & 0666;
	for (size_t i = 0; i < c->n_files; i++) {
		struct crop_file *f = &c->files[i];
		mode_t mode = f->held ? f->held->st.st_mode & 07777 : plain;

		/* pip gives everybody the x bit, whatever the umask */
		f->mode_changed = mode != plain && mode != (plain | (plain & 0444) >> 2) &&
				  mode != (plain | 0111);
	}
}

static int make_entries(struct reading *k)
{
	struct crop *c = k->c;
	struct manifest *m = c->manifest;
	struct diag reason = {0};
	int r = 0;

	m->entries = calloc(c->n_files + 1, sizeof *m->entries);
	if (!m->entries)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < c->n_files; i++) {
		struct crop_file *f = &c->files[i];
		const struct lower_entry *below = f->held ? NULL : crop_lower(k->f, f->path);
		const struct entry *low =
			below ? &below->file_dist->manifest->entries[below->index] : NULL;
		struct entry *e = &m->entries[i];

		if (f->tree == TREE_BIN)
			r = read_script(k, f);
		if (r == 0 && !f->held && !low)
			r = -ESTALE;
		if (r < 0)
			break;
		e->tree = f->tree;
		/* a script is executable, whatever its wheel or an installer made of it */
		e->exec = f->tree == TREE_BIN || (low ? low->exec : f->held->st.st_mode & S_IXUSR);
		e->size = f->text ? f->text_size : low ? low->size : (uint64_t)f->held->st.st_size;
		e->path = strdup(f->in_tree);
		if (!e->path)
			return -ENOMEM;
		m->n_entries++;
	}
	compare_modes(c);
	if (r == 0)
		r = check_meetings(k);
	if (r == 0)
		r = manifest_sort(m, &reason);
	return r == -EEXIST ? refuse(k, c->info, diag_text(&reason, r)) : r;
}

/* What belongs to this installation alone. Editable ones stay private: their files are elsewhere.
 */
static int read_origin(struct reading *k)
{
	auto_str struct str origin = {0}, installer = {0}, requested = {0};
	struct crop *c = k->c;
	const char *p;
	int r = slurp_info(k->f, c, "direct_url.json", MIB, &origin);

	if (r == 0) {
		p = memmem(origin.p ? origin.p : "", origin.len, "\"editable\"", 10);
		p = p ? p + 10 + strspn(p + 10, " \t\r\n:") : NULL;
		if (p && str_starts(p, "true"))
			return refuse(k, c->info, "it is an editable installation");
		r = store_blob_put(
			k->f->store, origin.p ? origin.p : "", origin.len, &c->line.origin);
		c->line.has_origin = r == 0;
	}
	if (r < 0 && r != -ENOENT)
		return diag_errno(k->diag, r, "%s/direct_url.json", c->info);
	r = slurp_info(k->f, c, "INSTALLER", 4096, &installer);
	if (r == 0 && installer.len) {
		size_t n = strcspn(installer.p, "\r\n");

		for (size_t i = 0; i < n; i++)
			if ((unsigned char)installer.p[i] <= ' ' || installer.p[i] == 0x7f)
				return refuse(k, c->info, "its INSTALLER is no name");
		c->line.installer = strndup(installer.p, n);
		if (!c->line.installer)
			return -ENOMEM;
	}
	if (r < 0 && r != -ENOENT)
		return diag_errno(k->diag, r, "%s/INSTALLER", c->info);
	r = slurp_info(k->f, c, "REQUESTED", 4096, &requested);
	c->line.requested = r == 0;
	return r == 0 || r == -ENOENT ? 0 : diag_errno(k->diag, r, "%s/REQUESTED", c->info);
}

static int read_all(struct reading *k)
{
	struct interpreter *py = lower_interpreter(k->f->lower);
	auto_str struct str site = {0}, headers = {0};
	int r = read_facts(k);

	if (r == 0)
		r = scheme_dir(py, TREE_SITE, k->c->manifest->name, &site);
	if (r == 0)
		r = str_add(&site, "/");
	if (r == 0)
		r = scheme_dir(py, TREE_HEADERS, k->c->manifest->name, &headers);
	if (r == 0)
		r = str_add(&headers, "/");
	if (r < 0)
		return r;
	k->c->line.name = strdup(k->c->manifest->name);
	k->c->line.version = strdup(k->c->manifest->version);
	if (!k->c->line.name || !k->c->line.version)
		return -ENOMEM;
	script_names_init(py, &k->script_names);
	k->site = site.p;
	k->headers = headers.p;
	r = read_record(k);
	if (r == 0)
		r = make_entries(k);
	return r == 0 ? read_origin(k) : r;
}

int crop_read(const struct field_of *f, const char *info, struct crop *ret, struct diag *diag)
{
	struct crop c = {.info = strdup(info), .manifest = calloc(1, sizeof *c.manifest)};
	struct reading k = {.f = f, .c = &c, .diag = diag};
	int r = c.info && c.manifest ? read_all(&k) : -ENOMEM;

	if (r < 0)
		crop_free(&c);
	else
		*ret = c;
	return r;
}

void crop_free(struct crop *c)
{
	for (size_t i = 0; i < c->n_files; i++) {
		free(c->files[i].path);
		free(c->files[i].text);
	}
	for (size_t i = 0; i < c->n_recorded; i++)
		free(c->recorded[i]);
	free(c->files);
	free(c->recorded);
	free(c->line.name);
	free(c->line.version);
	free(c->line.installer);
	free(c->line.wheel_name);
	free(c->info);
	manifest_free(c->manifest);
	*c = (struct crop){0};
}

bool crop_names(const struct crop *c, const char *path)
{
	return c->n_recorded &&
	       bsearch(&path, c->recorded, c->n_recorded, sizeof *c->recorded, by_text);
}
