/* SPDX-License-Identifier: MIT
 *
 * Python reads this file twice, by two rules that differ in corners: getpath splits at "\n", takes
 * the first `home` and, before 3.11, only in the form "home = PATH"; site splits at "\r" too and
 * takes the last of each key. Both are followed here, and what makes some Python die (bytes that
 * are not UTF-8, NUL, 32 KiB) or lose its home without a word is refused, so that no file published
 * as an environment breaks the interpreters in it.
 */
#include "py/cfg.h"

#include "base/cleanup.h"
#include "py/text.h"

#include <ctype.h>
#include <string.h>

static const char lock_key[] = "venvfs-lock";

/* getpath of 3.8-3.10 reads lines through a buffer of this many bytes and gives up at a longer one
 */
enum { OLD_LINE_MAX = 8190 };

static int take(char **to, struct slice s)
{
	char *p = strndup(s.p, s.n);

	if (!p)
		return -ENOMEM;
	free(*to);
	*to = p;
	return 0;
}

static bool key_is(struct slice line, const char *key, struct slice *ret_value)
{
	struct slice k, v;

	if (!text_partition(line, '=', &k, &v) || !text_is(text_strip(k), key))
		return false;
	*ret_value = text_strip(v);
	return true;
}

/* getpath's view: lines end at "\n" alone, the first `home` counts. `strict`: the form that
 * 3.8-3.10 recognise ("home", blanks, "=" as a word of its own) in a line they can read. */
static bool find_home(const char *text, size_t n, struct slice *ret, bool *strict)
{
	struct slice rest = {text, n}, line, value;

	*strict = true;
	while (rest.n > 0) {
		const char *end = memchr(rest.p, '\n', rest.n);
		size_t len = end ? (size_t)(end - rest.p) : rest.n;

		line = (struct slice){rest.p, len};
		if (len > OLD_LINE_MAX)
			*strict = false;
		if (key_is(line, "home", &value)) {
			size_t i = strspn(line.p, " \t");

			*strict = *strict && end && !strncmp(line.p + i, "home", 4) &&
				  (line.p[i + 4] == ' ' || line.p[i + 4] == '\t');
			i += 4 + strspn(line.p + i + 4, " \t");
			*strict = *strict && line.p[i] == '=' &&
				  (line.p[i + 1] == ' ' || line.p[i + 1] == '\t') &&
				  line.p + i + 2 == value.p;
			*ret = value;
			return true;
		}
		rest.p += end ? len + 1 : len;
		rest.n -= end ? len + 1 : len;
	}
	return false;
}

/* The numbers at the front of "3.11.2.final.0": two or three, of at most four digits; else nothing.
 */
static struct slice numbers(struct slice s)
{
	size_t i = 0, parts = 0, good = 0;

	while (parts < 3) {
		size_t start = i;

		while (i < s.n && isdigit((unsigned char)s.p[i]))
			i++;
		if (i == start || i - start > 4)
			break;
		good = i;
		parts++;
		if (i >= s.n || s.p[i] != '.')
			break;
		i++;
	}
	return (struct slice){s.p, parts >= 2 ? good : 0};
}

static bool before_3_11(const char *version)
{
	char *end;
	long major = version ? strtol(version, &end, 10) : 0;

	if (!version || *end != '.')
		return false;
	return major < 3 || (major == 3 && strtol(end + 1, NULL, 10) < 11);
}

static int hex_value(struct slice s, size_t at, size_t digits, uint32_t *ret)
{
	uint32_t v = 0;

	if (at + digits > s.n)
		return -EINVAL;
	for (size_t i = at; i < at + digits; i++) {
		if (!isxdigit((unsigned char)s.p[i]))
			return -EINVAL;
		v = v << 4 |
		    (uint32_t)(isdigit((unsigned char)s.p[i]) ? s.p[i] - '0'
							      : (s.p[i] | 0x20) - 'a' + 10);
	}
	*ret = v;
	return 0;
}

static int add_code_point(struct str *out, uint32_t c)
{
	char b[4];
	size_t n = 0;

	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return -EINVAL;
	if (c < 0x80) {
		b[n++] = (char)c;
	} else if (c < 0x800) {
		b[n++] = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		b[n++] = (char)(0xe0 | c >> 12);
		b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		b[n++] = (char)(0xf0 | c >> 18);
		b[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	}
	if (c >= 0x80)
		b[n++] = (char)(0x80 | (c & 0x3f));
	return str_add_mem(out, b, n);
}

/* The inverse of repr(), as far as repr() goes; -EINVAL for text that is no such literal. */
static int unquote(struct slice s, struct str *out)
{
	static const char simple[] = "\\\\''\"\"n\nr\rt\t";
	char quote;

	if (s.n < 2 || (s.p[0] != '\'' && s.p[0] != '"') || s.p[s.n - 1] != s.p[0])
		return -EINVAL;
	quote = s.p[0];
	s = (struct slice){s.p + 1, s.n - 2};
	for (size_t i = 0; i < s.n; i++) {
		const char *known;
		uint32_t c;
		size_t digits;
		int r;

		if (s.p[i] == quote)
			return -EINVAL;
		if (s.p[i] != '\\') {
			r = str_add_mem(out, s.p + i, 1);
			if (r < 0)
				return r;
			continue;
		}
		if (++i == s.n)
			return -EINVAL;
		for (known = simple; *known && *known != s.p[i]; known += 2)
			;
		if (*known) {
			r = str_add_mem(out, known + 1, 1);
		} else {
			digits = s.p[i] == 'x' ? 2 : s.p[i] == 'u' ? 4 : s.p[i] == 'U' ? 8 : 0;
			if (digits == 0 || hex_value(s, i + 1, digits, &c) < 0)
				return -EINVAL;
			i += digits;
			r = add_code_point(out, c);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int take_prompt(char **to, struct slice value)
{
	auto_str struct str text = {0};
	int r = unquote(value, &text);
	char *p;

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return take(to, value);
	p = str_steal(&text);
	if (!p)
		return -ENOMEM;
	free(*to);
	*to = p;
	return 0;
}

static int take_lock(struct cfg *c, struct slice value, struct diag *diag)
{
	static const char sha256[] = "sha256:";
	size_t n = sizeof sha256 - 1;

	if (value.n == 4 && !memcmp(value.p, "none", 4)) {
		c->lock_kind = CFG_LOCK_NONE;
		return 0;
	}
	if (value.n < n || memcmp(value.p, sha256, n) != 0 ||
		digest_parse(value.p + n, value.n - n, &c->lock) < 0)
		return diag_set(diag, -EINVAL,
			"pyvenv.cfg: \"%s = %.*s\" is neither \"none\" nor \"sha256:\" and 64 "
			"lower-case hex digits",
			lock_key, (int)(value.n > 100 ? 100 : value.n), value.p);
	c->lock_kind = CFG_LOCK_DIGEST;
	return 0;
}

/* "EXECUTABLE -m venv --OPTION... PATH": as it was started, which `home` and `executable` do not tell. */
static int take_command(struct cfg *c, struct slice value)
{
	static const char without[] = "--without-scm-ignore-files ";
	const char *at = memmem(value.p, value.n, " -m venv ", 9), *end = value.p + value.n;
	struct slice exe = {value.p, at ? (size_t)(at - value.p) : 0};

	c->without_ignore = false;
	for (const char *o = at ? at + 9 : end; end - o > 2 && o[0] == '-' && o[1] == '-';) {
		const char *space = memchr(o, ' ', (size_t)(end - o));

		if ((size_t)(end - o) >= sizeof without - 1 && !memcmp(o, without, sizeof without - 1))
			c->without_ignore = true;
		o = space ? space + 1 : end;
	}
	if (!at || exe.p[0] != '/' || text_has_control(exe))
		return 0;
	return take(&c->invoked, exe);
}

/* site's view: universal newlines, the last one of each key. */
static int take_keys(struct cfg *c, struct slice rest, struct diag *diag)
{
	struct slice line, value, version = {0}, version_info = {0}, lock = {0};
	bool has_lock = false;
	int r = 0;

	while (r == 0 && text_line(&rest, &line)) {
		if (key_is(line, "include-system-site-packages", &value))
			c->system_site = text_is(value, "true");
		else if (key_is(line, "version", &value))
			version = numbers(value);
		else if (key_is(line, "version_info", &value))
			version_info = numbers(value);
		else if (key_is(line, "prompt", &value) && value.n > 0)
			r = take_prompt(&c->prompt, value);
		else if (key_is(line, "executable", &value) && value.n > 0 && value.p[0] == '/' &&
			 !text_has_control(value))
			r = take(&c->executable, value);
		else if (key_is(line, "command", &value) && value.n > 0)
			r = take_command(c, value);
		else if (key_is(line, lock_key, &value)) {
			lock = value;
			has_lock = true;
		}
	}
	if (r == 0 && version.n == 0)
		version = version_info;
	if (r == 0 && version.n > 0)
		r = take(&c->version, version);
	if (r == 0 && has_lock)
		r = take_lock(c, lock, diag);
	return r;
}

int cfg_parse(const char *text, size_t n, struct cfg *ret, struct diag *diag)
{
	struct cfg c = {.system_site = true, .lock_kind = CFG_LOCK_ABSENT};
	struct slice home;
	bool strict;
	int r;

	if (n > CFG_MAX)
		return diag_set(diag, -EFBIG,
			"pyvenv.cfg has %zu bytes; Python 3.11-3.13 do not start with more than %d",
			n, CFG_MAX);
	if (n && memchr(text, '\0', n))
		return diag_set(diag, -EINVAL, "pyvenv.cfg has a NUL byte");
	if (!text_is_utf8(text, n))
		return diag_set(diag, -EINVAL,
			"pyvenv.cfg is not UTF-8; Python would not start: save it as UTF-8");
	if (!find_home(text, n, &home, &strict) || home.n == 0)
		return diag_set(diag, -EINVAL,
			"pyvenv.cfg has no \"home = DIRECTORY OF THE BASE PYTHON\" line");
	if (text_has_control(home))
		return diag_set(diag, -EINVAL,
			"pyvenv.cfg: home holds a control byte; end lines with a newline");
	if (home.p[0] != '/')
		return diag_set(diag, -EINVAL,
			"pyvenv.cfg: home is \"%.*s\", but must be an absolute directory",
			(int)(home.n > 200 ? 200 : home.n), home.p);
	r = take_keys(&c, (struct slice){text, n}, diag);
	if (r == 0 && !strict && before_3_11(c.version))
		r = diag_set(diag, -EINVAL,
			"pyvenv.cfg: Python %s reads home only from a line \"home = %.*s\" (lower "
			"case, one "
			"blank on each side of \"=\", a newline at the end) behind no line over 8 "
			"KiB",
			c.version, (int)(home.n > 200 ? 200 : home.n), home.p);
	while (home.n > 1 && home.p[home.n - 1] == '/')
		home.n--;
	if (r == 0)
		r = take(&c.home, home);
	if (r < 0) {
		cfg_free(&c);
		return r;
	}
	*ret = c;
	return 0;
}

void cfg_free(struct cfg *c)
{
	free(c->home);
	free(c->version);
	free(c->prompt);
	free(c->executable);
	free(c->invoked);
	*c = (struct cfg){0};
}

int cfg_set_lock(struct str *text, const struct digest *id)
{
	struct slice rest = {text->p, text->len}, line, value, old = {0};
	auto_str struct str out = {0};
	const char *end = "\n";
	char hex[DIGEST_HEX + 1];
	size_t before = text->len, behind = text->len;
	int r;

	while (text_line(&rest, &line)) {
		const char *tail = line.p + line.n;

		if (tail < rest.p)
			end = rest.p - tail == 2 ? "\r\n" : "\n";
		if (key_is(line, lock_key, &value))
			old = line;
	}
	if (old.p) {
		before = (size_t)(old.p - text->p);
		behind = before + old.n;
	}
	r = str_add_mem(&out, text->p, before);
	/* getpath ends no line at a CR alone: ours would be part of the one before */
	if (r == 0 && !old.p && before > 0 && text->p[before - 1] != '\n')
		r = str_add(&out, text->p[before - 1] == '\r' ? "\n" : end);
	if (id)
		digest_format(id, hex);
	if (r == 0)
		r = str_addf(&out, "%s = %s%s", lock_key, id ? "sha256:" : "none", id ? hex : "");
	if (r == 0)
		r = old.p && behind < text->len
			    ? str_add_mem(&out, text->p + behind, text->len - behind)
			    : str_add(&out, end);
	if (r == 0 && out.len > CFG_MAX)
		r = -EFBIG;
	if (r < 0)
		return r;
	str_free(text);
	*text = out;
	out = (struct str){0};
	return 0;
}
