/* SPDX-License-Identifier: MIT
 *
 * CPython's venv.EnvBuilder.create_configuration(): 3.8 to 3.10 write three keys and the
 * prompt, 3.11 adds the executable and the command as it would be typed, with every option that
 * this version has.
 */
#include "cmd/cfg_text.h"

#include "base/cleanup.h"
#include "py/scheme.h"
#include "py/text.h"

#include <string.h>

/* One code point of valid UTF-8. */
static uint32_t decode(const unsigned char *s, size_t *len)
{
	*len = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	switch (*len) {
	case 1:
		return s[0];
	case 2:
		return (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
	case 3:
		return (s[0] & 0xfu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
	default:
		return (s[0] & 7u) << 18 | (s[1] & 0x3fu) << 12 | (s[2] & 0x3fu) << 6 |
		       (s[3] & 0x3fu);
	}
}

/* What repr() escapes of what people type: blanks other than the space, and marks that do not show.
 */
static bool is_escaped(uint32_t c)
{
	return (c >= 0x80 && c <= 0xa0) || c == 0xad || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) ||
	       (c >= 0x205f && c <= 0x206f) || c == 0x3000 || (c >= 0xe000 && c <= 0xf8ff) ||
	       c == 0xfeff || c >= 0xf0000;
}

static int add_repr(const char *text, struct str *out)
{
	char quote = strchr(text, '\'') && !strchr(text, '"') ? '"' : '\'';
	const unsigned char *s = (const unsigned char *)text;
	int r = str_add_mem(out, &quote, 1);
	size_t n;

	for (; r == 0 && *s; s += n) {
		uint32_t c = decode(s, &n);

		if (c == (unsigned char)quote || c == '\\')
			r = str_addf(out, "\\%c", (char)c);
		else if (is_escaped(c))
			r = str_addf(out,
				c < 0x100     ? "\\x%02x"
				: c < 0x10000 ? "\\u%04x"
					      : "\\U%08x",
				c);
		else
			r = str_add_mem(out, s, n);
	}
	return r == 0 ? str_add_mem(out, &quote, 1) : r;
}

static int add_prompt(const struct interpreter *py, const char *given, struct str *out)
{
	auto_free char *cwd = NULL;
	int r;

	if (strcmp(given, ".") == 0 && (py->major > 3 || py->minor >= 9)) {
		cwd = getcwd(NULL, 0);
		if (!cwd)
			return -errno;
		given = path_base(cwd);
	}
	if (!text_is_utf8(given, strlen(given)))
		return -EINVAL;
	r = str_add(out, "prompt = ");
	if (r == 0)
		r = add_repr(given, out);
	return r == 0 ? str_add(out, "\n") : r;
}

static int add_command(const struct interpreter *py, const char *env,
	const struct cfg_options *options, struct str *out)
{
	const struct {
		bool given;
		const char *text;
	} flags[] = {
		{options->copies, "--copies "},
		{options->without_pip, "--without-pip "},
		{options->system_site, "--system-site-packages "},
		{options->clear, "--clear "},
		{options->upgrade, "--upgrade "},
		{options->upgrade_deps, "--upgrade-deps "},
	};
	auto_free char *real = realpath(py->executable, NULL);
	int r = str_addf(out, "executable = %s\ncommand = %s -m venv ",
		real ? real : py->executable, py->executable);

	for (size_t i = 0; r == 0 && i < sizeof flags / sizeof *flags; i++)
		if (flags[i].given)
			r = str_add(out, flags[i].text);
	if (r == 0 && options->prompt)
		r = str_addf(out, "--prompt=\"%s\" ", options->prompt);
	if (r == 0 && options->without_ignore && scheme_has_gitignore(py))
		r = str_add(out, "--without-scm-ignore-files ");
	return r == 0 ? str_addf(out, "%s\n", env) : r;
}

int cfg_text(const struct interpreter *py, const char *env, const struct cfg_options *options,
	const struct digest *lock, struct str *out, struct diag *diag)
{
	const char *prompt = options->prompt;
	int r;

	for (const char *p = prompt; p && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return diag_set(diag, -EINVAL, "the prompt can not hold a control byte");
	if (prompt && !text_is_utf8(prompt, strlen(prompt)))
		return diag_set(diag, -EINVAL, "the prompt must be UTF-8");
	if (!text_is_utf8(env, strlen(env)))
		return diag_set(diag, -EINVAL, "%s: an environment's path must be UTF-8", env);
	r = str_addf(out, "home = %s\ninclude-system-site-packages = %s\nversion = %s\n", py->home,
		options->system_site ? "true" : "false", py->version);
	if (r == 0 && prompt)
		r = add_prompt(py, prompt, out);
	if (r == 0 && (py->major > 3 || py->minor >= 11))
		r = add_command(py, env, options, out);
	if (r == 0)
		r = cfg_set_lock(out, lock);
	return r < 0 ? diag_errno(diag, r, "can not make the text of pyvenv.cfg") : 0;
}
