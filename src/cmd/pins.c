/* SPDX-License-Identifier: MIT
 *
 * A logical line is what is left after joining continuation lines and dropping comments, as pip's
 * req_file.py does it: a comment begins at "#" at the line's start or behind white space, and a
 * comment line ends a continuation.
 */
#include "cmd/pins.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "py/name.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

struct parse {
	const char *file, *dir;
	unsigned line; /* of the logical line's beginning */
	struct pins *pins;
	struct diag *diag;
};

static void pin_free(struct pin *p)
{
	free(p->name);
	free(p->version);
	free(p->marker);
	free(p->hashes);
}

void pins_free(struct pins *p)
{
	for (size_t i = 0; i < p->n; i++)
		pin_free(&p->pins[i]);
	free(p->pins);
	str_free(&p->options);
	*p = (struct pins){0};
}

static int complain(struct parse *p, const char *what, const char *why)
{
	int n = (int)strcspn(what, "\n");

	return diag_set(p->diag, -EINVAL, "%s:%u: \"%.*s\": %s", p->file, p->line,
		n > 200 ? 200 : n, what, why);
}

static char *skip_space(char *s)
{
	while (*s == ' ' || *s == '\t' || *s == '\f' || *s == '\v')
		s++;
	return s;
}

static void trim_end(char *s)
{
	size_t n = strlen(s);

	while (n > 0 && isspace((unsigned char)s[n - 1]))
		s[--n] = '\0';
}

/* Options about where distributions come from are for the installer that is asked. */
static const char *const passed[] = {"--index-url", "-i", "--extra-index-url", "--find-links", "-f",
	"--no-index", "--trusted-host", "--no-binary", "--only-binary", "--prefer-binary", "--pre",
	"--require-hashes"};

static int add_option(struct parse *p, char *s)
{
	size_t n = strcspn(s, " \t=");
	auto_free char *option = strndup(s, n);
	char *value = skip_space(s + n);
	bool links;

	if (!option)
		return -ENOMEM;
	if (strcmp(option, "-r") == 0 || strcmp(option, "--requirement") == 0 ||
		strcmp(option, "-c") == 0 || strcmp(option, "--constraint") == 0)
		return complain(p, s,
			"another file is not followed; give one file that pins everything (`uv pip "
			"compile` or `pip-compile` writes it)");
	if (strcmp(option, "-e") == 0 || strcmp(option, "--editable") == 0)
		return complain(p, s,
			"an editable install is one environment's own; run `pip install -e` in it "
			"after the sync");
	for (size_t i = 0;; i++) {
		if (i == sizeof passed / sizeof *passed)
			return complain(p, s, "an option that venvfs does not know");
		if (strcmp(option, passed[i]) == 0)
			break;
	}
	if (strcmp(option, "--require-hashes") == 0)
		return 0; /* what has hashes is held to them anyway */
	if (*value == '=')
		value = skip_space(value + 1);
	links = strcmp(option, "--find-links") == 0 || strcmp(option, "-f") == 0;
	if (links && *value != '/' && !strstr(value, "://") && !strchr(value, '$'))
		return str_addf(&p->pins->options, "%s %s/%s\n", option, p->dir, value);
	return str_addf(&p->pins->options, *value ? "%s %s\n" : "%s%s\n", option, value);
}

static int add_hash(struct parse *p, struct pin *pin, const char *value)
{
	struct digest *more;

	if (strncmp(value, "sha256:", 7) != 0)
		return complain(p, value,
			"this hash is not a SHA-256; `pip hash` or `uv pip compile "
			"--generate-hashes` writes them");
	more = realloc(pin->hashes, (pin->n_hashes + 1) * sizeof *more);
	if (!more)
		return -ENOMEM;
	pin->hashes = more;
	if (digest_parse(value + 7, strlen(value + 7), &more[pin->n_hashes]) < 0)
		return complain(p, value, "this is not the 64 lower-case hex digits of a SHA-256");
	pin->n_hashes++;
	return 0;
}

/* The part " --hash=..." of a line, taken off its end. */
static int take_hashes(struct parse *p, struct pin *pin, char *s)
{
	char *at = s;

	while ((at = strstr(at, "--"))) {
		if (at > s && isspace((unsigned char)at[-1]))
			break;
		at += 2;
	}
	if (!at)
		return 0;
	for (char *word = at; *word;) {
		char *end, save;
		int r;

		if (strncmp(word, "--hash", 6) != 0 ||
			(word[6] != '=' && !isspace((unsigned char)word[6])))
			return complain(p, word, "an option that a pinned line can not have");
		word = skip_space(word + 6);
		if (*word == '=')
			word = skip_space(word + 1);
		end = word + strcspn(word, " \t");
		save = *end;
		*end = '\0';
		r = add_hash(p, pin, word);
		*end = save;
		if (r < 0)
			return r;
		word = skip_space(end);
	}
	*at = '\0';
	trim_end(s);
	return 0;
}

static int parse_pin(struct parse *p, struct pin *pin, char *s)
{
	auto_str struct str name = {0};
	char *at, *whole = s;
	int r = take_hashes(p, pin, s);

	if (r < 0)
		return r;
	at = s + name_length(s, strlen(s));
	if (at == s || strncmp(at, "://", 3) == 0 || *at == '/' || *at == ':')
		return complain(p, whole,
			"not a pinned requirement NAME==VERSION; paths and URLs are what a "
			"pylock.toml can hold");
	r = name_normalize(s, (size_t)(at - s), &name);
	if (r < 0)
		return r == -EINVAL ? complain(p, whole, "this is no name of a distribution") : r;
	at = skip_space(at);
	if (*at == '[') { /* extras ask for other distributions, which have lines of their own */
		at = strchr(at, ']');
		if (!at)
			return complain(p, whole, "the bracket of the extras is not closed");
		at = skip_space(at + 1);
	}
	if (*at == '@')
		return complain(p, whole,
			"a URL is not a pin; `uv pip compile --format pylock.toml` writes a lock "
			"file that can hold it");
	if (strncmp(at, "==", 2) != 0)
		return complain(p, whole,
			"not pinned: write NAME==VERSION (`uv pip compile`, `pip-compile` or `pip "
			"freeze` do)");
	s = skip_space(at + (at[2] == '=' ? 3 : 2));
	at = s + strcspn(s, " \t;,");
	if (at == s)
		return complain(p, whole, "there is no version behind ==");
	pin->version = strndup(s, (size_t)(at - s));
	pin->name = str_steal(&name);
	if (!pin->version || !pin->name)
		return -ENOMEM;
	if (strchr(pin->version, '*') || strchr(pin->version, '/'))
		return complain(p, whole, "not pinned: one whole version is needed");
	at = skip_space(at);
	if (*at == ';') {
		at = skip_space(at + 1);
		if (!*at)
			return complain(p, whole, "there is no marker behind the semicolon");
		pin->marker = strdup(at);
		return pin->marker ? 0 : -ENOMEM;
	}
	if (*at)
		return complain(p, whole, "something stands behind the pin that is no marker");
	return 0;
}

static int add_line(struct parse *p, char *s)
{
	struct pins *pins = p->pins;
	struct pin pin = {.line = p->line};
	int r;

	s = skip_space(s);
	trim_end(s);
	if (!*s)
		return 0;
	for (const unsigned char *c = (const unsigned char *)s; *c; c++)
		if (*c < 0x20 && *c != '\t')
			return complain(p, s, "a control byte");
	if (*s == '-')
		return add_option(p, s);
	r = parse_pin(p, &pin, s);
	for (size_t i = 0; r == 0 && i < pins->n; i++) {
		const struct pin *other = &pins->pins[i];

		if (strcmp(other->name, pin.name) == 0 && !other->marker && !pin.marker)
			r = complain(p, s, "this name is pinned twice");
	}
	if (r == 0)
		r = array_grow(pins->pins, pins->cap, pins->n + 1);
	if (r < 0) {
		pin_free(&pin);
		return r;
	}
	pins->pins[pins->n++] = pin;
	return 0;
}

/* Cuts a comment off; true if the whole line was one. */
static bool cut_comment(char *s)
{
	char *start = skip_space(s);

	if (*start == '#') {
		*s = '\0';
		return true;
	}
	for (char *c = s; (c = strchr(c, '#')); c++) {
		if (isspace((unsigned char)c[-1])) {
			*c = '\0';
			break;
		}
	}
	return false;
}

int pins_parse(const char *text, size_t n, const char *file, const char *dir, struct pins *ret,
	struct diag *diag)
{
	auto_str struct str joined = {0};
	struct pins pins = {0};
	struct parse p = {.file = file, .dir = dir, .pins = &pins, .diag = diag};
	const char *end = text + n;
	unsigned line = 0;
	int r = 0;

	if (memchr(text, '\0', n))
		return diag_set(diag, -EINVAL, "%s: a NUL byte; this is no text file", file);
	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	while (text < end && r == 0) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((eol ? eol : end) - text);
		auto_free char *s = strndup(text, len);
		bool comment, goes_on;
		size_t k;

		line++;
		text = eol ? eol + 1 : end;
		if (!s) {
			r = -ENOMEM;
			break;
		}
		if (len && s[len - 1] == '\r')
			s[--len] = '\0';
		if (joined.len == 0)
			p.line = line;
		comment = cut_comment(s);
		k = strlen(s);
		goes_on = !comment && k > 0 && s[k - 1] == '\\' && text < end;
		if (k > 0 && s[k - 1] == '\\')
			s[k - 1] = '\0';
		r = str_add(&joined, s);
		/* A space keeps a joined line from looking empty, and separates. */
		if (r == 0 && goes_on)
			r = str_add(&joined, " ");
		if (r == 0 && !goes_on) {
			if (joined.p)
				r = add_line(&p, joined.p);
			str_truncate(&joined, 0);
		}
	}
	if (r < 0) {
		pins_free(&pins);
		return r;
	}
	*ret = pins;
	return 0;
}
