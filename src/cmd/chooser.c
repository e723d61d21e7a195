/* SPDX-License-Identifier: MIT
 *
 * Lines come back, so nothing here parses TOML or JSON; every field is checked all the same, since
 * names of files and addresses are what a lock file's author chose.
 */
#include "cmd/chooser.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "py/process.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

static const char program[] =
#include "cmd/select.py.inc"
	;

/* The first with Pylock.select() that runs on every Python from 3.8 on. */
static const struct library {
	const char *name, *version, *file, *sha256;
} libraries[] = {
	{"packaging", "26.2", "packaging-26.2-py3-none-any.whl",
		"5fc45236b9446107ff2415ce77c807cee2862cb6fac22b8a73826d0693b0980e"},
	{"tomli", "2.2.1", "tomli-2.2.1-py3-none-any.whl",
		"cb55c73c5f4408779d0cf3eef9f762b9c9f147a77de7b258bef0a5628adc85cc"},
};

enum { PACKAGING, TOMLI, FIELDS = 12 };

void chooser_free(struct chooser *c)
{
	for (int i = 0; i < 2; i++) {
		free(c->lib[i]);
		c->lib[i] = NULL;
	}
}

static int extract_file(struct dist *d, size_t i, int dir)
{
	const struct entry *e = &d->manifest->entries[i];
	const char *base = path_base(e->path);
	auto_free char *parent = strndup(e->path, (size_t)(base - e->path));
	auto_close int fd = -1;
	struct extent x;
	int r;

	if (!parent)
		return -ENOMEM;
	r = io_mkdirs_at(dir, parent, 0700);
	if (r < 0)
		return r;
	fd = io_open_beneath(dir, e->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fd;
	r = dist_extent(d, i, &x);
	if (r < 0)
		return r;
	r = io_copy(x.fd, x.off, fd, 0, x.size);
	extent_release(&x);
	return r;
}

/* Its site-packages part as plain files: Python can not import from a pack. */
static int extract(struct chooser *c, struct dist *d, char **ret, struct diag *diag)
{
	auto_free char *path = NULL;
	auto_close int dir = -1;
	size_t i, end;
	int r = workdir_make(c->work, diag);

	if (r == 0)
		r = workdir_sub(c->work, d->manifest->name, &path, diag);
	if (r < 0)
		return r;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return diag_errno(diag, -errno, "%s", path);
	manifest_tree(d->manifest, TREE_SITE, &i, &end);
	for (; i < end; i++) {
		r = extract_file(d, i, dir);
		if (r < 0)
			return diag_errno(diag, r, "can not copy %s out of the store",
				d->manifest->entries[i].path);
	}
	*ret = steal_ptr(path);
	return 0;
}

static int from_store(struct chooser *c, const struct library *lib, const struct digest *digest,
	struct dist **ret)
{
	struct found *f = NULL;
	size_t n = 0;
	int r = store_find(c->store, lib->name, lib->version, &f, &n);

	if (r == 0)
		r = -ENOENT;
	for (size_t i = 0; i < n && r < 0; i++)
		if (f[i].wheel_name && digest_equal(&f[i].wheel, digest))
			r = store_dist(c->store, f[i].name, f[i].version, &f[i].address, ret, NULL);
	found_free(f, n);
	return r;
}

static int need(struct chooser *c, int which, struct diag *diag)
{
	const struct library *lib = &libraries[which];
	struct dist *d = NULL;
	struct digest digest;
	struct diag why = {{0}};
	int r;

	if (c->lib[which])
		return 0;
	r = digest_parse(lib->sha256, DIGEST_HEX, &digest);
	if (r == 0)
		r = from_store(c, lib, &digest, &d);
	if (r < 0) {
		r = c->fetch(c->arg, lib->name, lib->version, lib->file, &digest, &why);
		if (r == 0)
			r = from_store(c, lib, &digest, &d);
		if (r < 0)
			return diag_set(diag, r,
				"the library that reads lock files is needed once and can not be "
				"had: %s; get %s (%s %s on the package index) and run `venvfs "
				"store "
				"add %s`",
				diag_text(&why, r), lib->file, lib->name, lib->version, lib->file);
	}
	r = extract(c, d, &c->lib[which], diag);
	dist_unref(d);
	return r;
}

static int input(struct chooser *c, const struct wants *allow, struct str *in)
{
	int r = str_addf(in, "%s\n", c->py->markers);
	char hex[DIGEST_HEX + 1];

	for (size_t i = 0; i < c->py->n_tags && r == 0; i++)
		r = str_addf(in, "%s\n", c->py->tags[i]);
	for (size_t i = 0; allow && i < allow->n && r == 0; i++) {
		const struct want *w = &allow->list[i];

		if (!w->n_hashes)
			continue;
		r = str_addf(in, "allow %s", w->name);
		for (size_t k = 0; k < w->n_hashes && r == 0; k++) {
			digest_format(&w->hashes[k], hex);
			r = str_addf(in, " %s", hex);
		}
		if (r == 0)
			r = str_add(in, "\n");
	}
	return r;
}

static int run(struct chooser *c, const char *mode, const char *file, bool toml,
	const struct wants *allow, struct str *out, struct diag *diag)
{
	auto_str struct str in = {0};
	int r;

	if (!c->py->markers || !c->py->n_tags || strchr(c->py->markers, '\n'))
		return diag_set(diag, -EINVAL, "%s: the facts of this Python are not known",
			c->py->executable ? c->py->executable : "?");
	r = need(c, PACKAGING, diag);
	if (r == 0 && toml && c->py->major == 3 && c->py->minor < 11)
		r = need(c, TOMLI, diag);
	if (r == 0)
		r = input(c, allow, &in);
	if (r == 0) {
		const char *argv[] = {c->py->executable, "-I", "-S", "-B", "-c", program, mode,
			file, c->lib[PACKAGING], c->lib[TOMLI], NULL};

		r = process_run_clean(argv, in.p, in.len, out, NULL, NULL, diag);
	}
	return r;
}

/* The next line of *text, NUL-terminated in place; NULL at the end. */
static char *take_line(char **text)
{
	char *line = *text, *end = line ? strchr(line, '\n') : NULL;

	if (!end)
		return NULL;
	*end = '\0';
	*text = end + 1;
	return line;
}

static size_t split(char *line, char *field[FIELDS])
{
	size_t n = 0;

	for (char *f = line; f && n < FIELDS; n++) {
		field[n] = f;
		f = strchr(f, '\t');
		if (f)
			*f++ = '\0';
	}
	return n;
}

static int set(char **to, const char *value)
{
	if (!*value)
		return 0;
	*to = strdup(value);
	return *to ? 0 : -ENOMEM;
}

/* One component that can be the name of a file we write. */
static bool plain_file(const char *name)
{
	return *name && *name != '.' && *name != '-' && !strchr(name, '/') &&
	       strlen(name) <= NAME_MAX;
}

static int parse_kind(const char *kind, enum want_kind *ret)
{
	static const char *const kinds[] = {
		[WANT_PIN] = "pin",
		[WANT_WHEEL] = "wheel",
		[WANT_SDIST] = "sdist",
		[WANT_TREE] = "tree",
		[WANT_VCS] = "vcs",
	};

	for (size_t i = WANT_WHEEL; i < sizeof kinds / sizeof *kinds; i++) {
		if (strcmp(kind, kinds[i]) == 0) {
			*ret = (enum want_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_row(char *field[FIELDS], struct want *w)
{
	char *end;
	int r = parse_kind(field[0], &w->kind);

	if (r == 0)
		r = set(&w->name, field[1]);
	if (r == 0)
		r = set(&w->version, field[2]);
	if (r == 0)
		r = set(&w->file, field[3]);
	if (r == 0 && *field[4]) {
		r = digest_parse(field[4], strlen(field[4]), &w->digest);
		w->has_digest = r == 0;
	}
	if (r == 0 && *field[5]) {
		errno = 0;
		w->size = strtoull(field[5], &end, 10);
		if (errno || *end || *field[5] == '-')
			r = -EINVAL;
	}
	if (r == 0)
		r = set(&w->url, field[6]);
	if (r == 0)
		r = set(&w->path, field[7]);
	if (r == 0)
		r = set(&w->subdirectory, field[8]);
	if (r == 0)
		r = set(&w->origin, field[9]);
	w->dependency = strcmp(field[10], "0") == 0;
	if (r == 0 && *field[11] == '=') {
		w->installer = strdup(field[11] + 1);
		r = w->installer ? 0 : -ENOMEM;
	}
	if (r < 0)
		return r;
	if (!w->name || (w->path && *w->path != '/') || (!w->path && !w->url))
		return -EINVAL;
	if ((w->kind == WANT_WHEEL || w->kind == WANT_SDIST) && (!w->file || !plain_file(w->file)))
		return -EINVAL;
	if (w->subdirectory && (*w->subdirectory == '/' || strstr(w->subdirectory, "..")))
		return -EINVAL;
	return 0;
}

static int take_rows(char *text, struct wants *ret, struct str *faults, struct diag *diag)
{
	char *line, *field[FIELDS];

	while ((line = take_line(&text))) {
		struct want w = {0};
		size_t n = split(line, field);
		int r;

		if (n == 2 && strcmp(field[0], "error") == 0) {
			if (str_addf(faults, "%s\n", field[1]) < 0)
				return -ENOMEM;
			continue;
		}
		r = n == FIELDS ? parse_row(field, &w) : -EINVAL;
		if (r == 0)
			r = wants_add(ret, &w);
		if (r < 0) {
			diag_set(diag, r, "%s: an entry that can not be right%s%s",
				n > 1 ? field[1] : "?", w.file ? ": " : "", w.file ? w.file : "");
			want_clear(&w);
			return r;
		}
		if (ret->list[ret->n - 1].kind == WANT_TREE)
			ret->lasts = false;
	}
	return faults->len ? -EINVAL : 0;
}

int chooser_lock(struct chooser *c, const char *file, const struct wants *allow, struct wants *ret,
	struct str *faults, struct diag *diag)
{
	auto_str struct str out = {0};
	bool toml = str_ends(file, ".toml");
	int r = run(c, toml ? "pylock" : "report", file, toml, allow, &out, diag);

	return r < 0 ? r : take_rows(out.p, ret, faults, diag);
}

int chooser_freeze(struct chooser *c, const char *file, struct str *ret, struct str *faults,
	struct diag *diag)
{
	int r = run(c, "freeze", file, false, NULL, ret, diag);
	struct wants none = {0};

	if (r == 0 && ret->p && str_starts(ret->p, "error\t"))
		r = take_rows(ret->p, &none, faults, diag);
	return r;
}

int chooser_script(struct chooser *c, const char *file, struct str *ret, struct str *faults,
	struct diag *diag)
{
	auto_str struct str out = {0};
	int r = run(c, "script", file, true, NULL, &out, diag);

	for (char *line, *text = out.p; r == 0 && (line = take_line(&text));) {
		char *value = strchr(line, '\t');

		if (!value)
			r = -EPROTO;
		else
			r = str_addf(*line == 'e' ? faults : ret, "%s\n", value + 1);
	}
	return r == 0 && faults->len ? -EINVAL : r;
}

int chooser_markers(struct chooser *c, const char *const *markers, size_t n, bool *ret,
	struct str *faults, struct diag *diag)
{
	auto_str struct str in = {0}, out = {0};
	auto_free char *file = NULL;
	char *line, *text;
	size_t got = 0;
	int r = workdir_make(c->work, diag);

	for (size_t i = 0; i < n && r == 0; i++)
		r = str_addf(&in, "%s\n", markers[i]);
	if (r == 0 && asprintf(&file, "%s/markers", c->work->path) < 0) {
		file = NULL;
		r = -ENOMEM;
	}
	if (r == 0)
		r = io_publish_at(c->work->fd, "markers", in.p, in.len, 0600);
	if (r == 0)
		r = run(c, "markers", file, false, NULL, &out, diag);
	if (r < 0)
		return r;
	for (text = out.p; (line = take_line(&text));) {
		if (str_starts(line, "error\t")) {
			if (str_addf(faults, "%s\n", line + 6) < 0)
				return -ENOMEM;
			continue;
		}
		if (got < n)
			ret[got++] = strcmp(line, "1") == 0;
	}
	if (faults->len)
		return -EINVAL;
	return got == n ? 0 : diag_set(diag, -EIO, "the markers were not all evaluated");
}
