/* SPDX-License-Identifier: MIT
 *
 * The manifest's canonical text. A daemon reads tens of thousands of lines when an
 * environment is first used, so there is no allocation per line: a first walk counts the
 * lines of each kind, one block takes the manifest, its arrays and behind them its strings,
 * and a second walk fills it. A line of a file takes at least FILE_FIXED bytes that are no
 * string of the result, which is how the block is known to be large enough.
 *
 * Whatever manifest_format() would not have written is refused, so that a distribution has
 * one text, and one address.
 */
#include "store/manifest.h"

#include "store/field.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "venvfs-manifest 1"
#define FILE_WORD "file "
/* "file bin - 0 ", the digest and a space; the newline's byte becomes the string's end */
enum { FILE_FIXED = sizeof "file bin - 0 " - 1 + DIGEST_HEX + 1 };

struct parser {
	const char *at, *end; /* what is left of the text */
	const char *line;     /* the present line ... */
	size_t n;             /* ... without its newline */
	size_t number;        /* counted from 1 */
	size_t n_tags, n_entry_points, n_files;
	char *strings; /* room left in the block */
	struct diag *diag;
};

static int fail(const struct parser *p, const char *what)
{
	return diag_set(p->diag, -EPROTO, "line %zu of the manifest: %s", p->number, what);
}

/* 1, 0 at the end of the text, or -EPROTO for a last line that has no newline. */
static int next_line(struct parser *p)
{
	const char *newline;

	if (p->at == p->end)
		return 0;
	newline = memchr(p->at, '\n', (size_t)(p->end - p->at));
	p->number++;
	if (!newline)
		return fail(p, "it has no end; the file was cut off");
	p->line = p->at;
	p->n = (size_t)(newline - p->at);
	p->at = newline + 1;
	return 1;
}

/* Takes `word` off the line's beginning, if it is there. */
static bool take(struct parser *p, const char *word)
{
	size_t n = strlen(word);

	if (p->n < n || memcmp(p->line, word, n) != 0)
		return false;
	p->line += n;
	p->n -= n;
	return true;
}

static char *keep(struct parser *p, const char *from, size_t n)
{
	char *s = p->strings;

	memcpy(s, from, n);
	s[n] = '\0';
	p->strings += n + 1;
	return s;
}

static int count_lines(struct parser p, struct parser *ret)
{
	int r;

	while ((r = next_line(&p)) > 0) {
		if (take(&p, FILE_WORD)) {
			if (p.n < FILE_FIXED - strlen(FILE_WORD))
				return fail(&p, "it is too short for a file's");
			p.n_files++;
		} else if (take(&p, "tag ")) {
			p.n_tags++;
		} else if (take(&p, "entry-point ")) {
			p.n_entry_points++;
		}
	}
	if (r < 0)
		return r;
	ret->n_tags = p.n_tags;
	ret->n_entry_points = p.n_entry_points;
	ret->n_files = p.n_files;
	return 0;
}

/* The manifest with its arrays, and p->strings behind them. */
static struct manifest *make_block(struct parser *p, size_t text)
{
	size_t entries = p->n_files * sizeof(struct entry);
	size_t points = p->n_entry_points * sizeof(struct entry_point);
	size_t tags = p->n_tags * sizeof(char *);
	size_t strings = text + 1 - p->n_files * FILE_FIXED; /* 1: info's, where it has no line */
	struct manifest *m = malloc(sizeof *m + entries + points + tags + strings);
	char *at = (char *)(m + 1);

	if (!m)
		return NULL;
	*m = (struct manifest){.one_block = true};
	m->entries = (struct entry *)at;
	m->entry_points = (struct entry_point *)(at + entries);
	m->tags = (char **)(at + entries + points);
	p->strings = at + entries + points + tags;
	return m;
}

static int parse_head(struct parser *p, struct manifest *m)
{
	if (next_line(p) <= 0 || p->n != strlen(MAGIC) || !take(p, MAGIC))
		return fail(p, "it is not \"" MAGIC "\": no manifest, or one of another version");
	if (next_line(p) <= 0 || !take(p, "name ") || !field_is_name(p->line, p->n))
		return fail(p, "\"name\" with a normalized name must be here");
	m->name = keep(p, p->line, p->n);
	if (next_line(p) <= 0 || !take(p, "version ") || !field_is_version(p->line, p->n))
		return fail(p, "\"version\" with a version must be here");
	m->version = keep(p, p->line, p->n);
	m->info = keep(p, "", 0);
	return 0;
}

static int parse_tag(struct parser *p, struct manifest *m)
{
	if (m->n_entry_points || m->n_entries)
		return fail(p, "tags come before entry points and files");
	if (!field_is_word(p->line, p->n))
		return fail(p, "a tag is one word");
	m->tags[m->n_tags] = keep(p, p->line, p->n);
	if (m->n_tags && strcmp(m->tags[m->n_tags - 1], m->tags[m->n_tags]) >= 0)
		return fail(p, "the tags are not in order");
	m->n_tags++;
	return 0;
}

static int parse_entry_point(struct parser *p, struct manifest *m)
{
	struct entry_point *point = &m->entry_points[m->n_entry_points];
	const char *space;
	size_t n;

	if (m->n_entries)
		return fail(p, "entry points come before files");
	point->gui = take(p, "gui ");
	if (!point->gui && !take(p, "console "))
		return fail(p, "an entry point is \"console\" or \"gui\"");
	space = memrchr(p->line, ' ', p->n);
	n = space ? (size_t)(space - p->line) : 0;
	if (!field_is_component(p->line, n) || !field_is_word(space + 1, p->n - n - 1))
		return fail(p, "an entry point has a file's name and one word as target");
	point->name = keep(p, p->line, n);
	point->target = keep(p, space + 1, p->n - n - 1);
	if (m->n_entry_points && (point[-1].gui > point->gui || (point[-1].gui == point->gui &&
			strcmp(point[-1].name, point->name) >= 0)))
		return fail(p, "the entry points are not in order");
	m->n_entry_points++;
	return 0;
}

static bool take_tree(struct parser *p, uint8_t first, uint8_t *ret)
{
	for (uint8_t t = first; t < N_TREES; t++) {
		size_t n = strlen(tree_name((enum tree)t));

		if (n < p->n && p->line[n] == ' ' && take(p, tree_name((enum tree)t))) {
			*ret = t;
			return take(p, " ");
		}
	}
	return false;
}

/* The one way to write a number: no sign, no zeros in front; a space behind it. */
static bool take_size(struct parser *p, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;

	for (; i < p->n && p->line[i] >= '0' && p->line[i] <= '9'; i++) {
		uint64_t digit = (uint64_t)(p->line[i] - '0');

		if ((i && !v) || v > (INT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	p->line += i;
	p->n -= i;
	*ret = v;
	return i && take(p, " ");
}

static int parse_file(struct parser *p, struct manifest *m)
{
	struct entry *e = &m->entries[m->n_entries];
	const struct entry *last = m->n_entries ? e - 1 : NULL;
	int order;

	if (!take_tree(p, last ? last->tree : 0, &e->tree))
		return fail(p, "no such tree, or the trees are not in order");
	e->exec = take(p, "x ");
	if (!e->exec && !take(p, "- "))
		return fail(p, "a file's mode is \"-\" or \"x\"");
	if (!take_size(p, &e->size))
		return fail(p, "a file's size is a decimal number without zeros in front");
	if (p->n <= DIGEST_HEX || digest_parse(p->line, DIGEST_HEX, &e->digest) < 0 ||
		p->line[DIGEST_HEX] != ' ')
		return fail(p, "a file's digest is 64 hex digits in lower case");
	p->line += DIGEST_HEX + 1;
	p->n -= DIGEST_HEX + 1;
	if (!field_is_path(p->line, p->n))
		return fail(p, "the path is not one that a file can have in a distribution");
	e->path = keep(p, p->line, p->n);
	if (last && last->tree == e->tree) {
		size_t n = (size_t)(e->path - last->path) - 1; /* of the last path: it lies before */

		order = path_compare(last->path, e->path);
		if (order >= 0)
			return fail(p, order ? "the files are not in order" : "the path is there twice");
		if (p->n > n && e->path[n] == '/' && memcmp(last->path, e->path, n) == 0)
			return fail(p, "the path has a file as its directory");
	}
	m->n_entries++;
	return 0;
}

static int parse_line(struct parser *p, struct manifest *m)
{
	if (take(p, FILE_WORD))
		return parse_file(p, m);
	if (take(p, "tag "))
		return parse_tag(p, m);
	if (take(p, "entry-point "))
		return parse_entry_point(p, m);
	if (!take(p, "info "))
		return fail(p, "no such word in this version of the format");
	if (*m->info || m->n_tags || m->n_entry_points || m->n_entries)
		return fail(p, "\"info\" comes once, behind the version");
	if (!field_is_component(p->line, p->n))
		return fail(p, "\"info\" is the name of a directory");
	m->info = keep(p, p->line, p->n);
	return 0;
}

int manifest_parse(const char *text, size_t n, struct manifest **ret, struct diag *diag)
{
	struct parser p = {.at = text, .end = text + n, .diag = diag};
	struct manifest *m;
	int r = count_lines(p, &p);

	if (r < 0)
		return r;
	m = make_block(&p, n);
	if (!m)
		return -ENOMEM;
	r = parse_head(&p, m);
	while (r == 0 && (r = next_line(&p)) > 0)
		r = parse_line(&p, m);
	if (r < 0) {
		free(m);
		return r;
	}
	*ret = m;
	return 0;
}

static bool head_ok(const struct manifest *m)
{
	if (!m->name || !m->version || !field_is_name(m->name, strlen(m->name)) ||
		!field_is_version(m->version, strlen(m->version)))
		return false;
	return !m->info || !*m->info || field_is_component(m->info, strlen(m->info));
}

static bool lists_ok(const struct manifest *m)
{
	for (size_t i = 0; i < m->n_tags; i++)
		if (!field_is_word(m->tags[i], strlen(m->tags[i])) ||
			(i && strcmp(m->tags[i - 1], m->tags[i]) >= 0))
			return false;
	for (size_t i = 0; i < m->n_entry_points; i++) {
		const struct entry_point *p = &m->entry_points[i];

		if (!field_is_component(p->name, strlen(p->name)) ||
			!field_is_word(p->target, strlen(p->target)))
			return false;
		if (i && (p[-1].gui > p->gui ||
				(p[-1].gui == p->gui && strcmp(p[-1].name, p->name) >= 0)))
			return false;
	}
	return true;
}

static bool entry_ok(const struct manifest *m, size_t i)
{
	const struct entry *e = &m->entries[i], *last = e - 1;
	size_t n;

	if (e->tree >= N_TREES || e->size > INT64_MAX || !field_is_path(e->path, strlen(e->path)))
		return false;
	if (i == 0 || last->tree < e->tree)
		return true;
	n = strlen(last->path);
	return last->tree == e->tree && path_compare(last->path, e->path) < 0 &&
	       !(strncmp(last->path, e->path, n) == 0 && e->path[n] == '/');
}

static int add_head(const struct manifest *m, struct str *out)
{
	int r = str_addf(out, MAGIC "\nname %s\nversion %s\n", m->name, m->version);

	if (r == 0 && m->info && *m->info)
		r = str_addf(out, "info %s\n", m->info);
	for (size_t i = 0; r == 0 && i < m->n_tags; i++)
		r = str_addf(out, "tag %s\n", m->tags[i]);
	for (size_t i = 0; r == 0 && i < m->n_entry_points; i++)
		r = str_addf(out, "entry-point %s %s %s\n",
			m->entry_points[i].gui ? "gui" : "console", m->entry_points[i].name,
			m->entry_points[i].target);
	return r;
}

int manifest_format(const struct manifest *m, struct str *out)
{
	const size_t before = out->len;
	int r;

	if (!head_ok(m) || !lists_ok(m))
		return -EINVAL;
	r = add_head(m, out);
	for (size_t i = 0; r == 0 && i < m->n_entries; i++) {
		const struct entry *e = &m->entries[i];
		char hex[DIGEST_HEX + 1];

		digest_format(&e->digest, hex);
		r = !entry_ok(m, i) ? -EINVAL
				    : str_addf(out, FILE_WORD "%s %c %llu %s %s\n",
					      tree_name((enum tree)e->tree), e->exec ? 'x' : '-',
					      (unsigned long long)e->size, hex, e->path);
	}
	if (r < 0)
		str_truncate(out, before);
	return r;
}
