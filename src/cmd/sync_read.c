/* SPDX-License-Identifier: MIT */
#include "cmd/sync.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cmd/pins.h"
#include "py/name.h"

#include <string.h>

enum { FILE_MAX = 64 * 1024 * 1024 };

/* The directory that relative paths in the file are relative to: this one for what is no file. */
static int directory_of(const char *file, char **ret)
{
	auto_free char *real = realpath(file, NULL);

	if (!real && errno == ENOENT)
		return (*ret = realpath(".", NULL)) ? 0 : -errno;
	if (!real)
		return -errno;
	*ret = strndup(real, path_base(real) - real > 1 ? (size_t)(path_base(real) - real) - 1 : 1);
	return *ret ? 0 : -ENOMEM;
}

/* Which lines count for this interpreter; lines without a marker do. */
static int evaluate(struct sync *s, const struct pins *pins, bool *holds, struct diag *diag)
{
	auto_free const char **markers = calloc(pins->n + 1, sizeof *markers);
	auto_free bool *answers = calloc(pins->n + 1, sizeof *answers);
	size_t n = 0, k = 0;
	int r = 0;

	if (!markers || !answers)
		return -ENOMEM;
	for (size_t i = 0; i < pins->n; i++)
		if (pins->pins[i].marker)
			markers[n++] = pins->pins[i].marker;
	if (n)
		r = chooser_markers(&s->chooser, markers, n, answers, &s->faults, diag);
	for (size_t i = 0; r == 0 && i < pins->n; i++)
		holds[i] = !pins->pins[i].marker || answers[k++];
	return r;
}

static int add_pin(struct sync *s, struct pin *pin)
{
	struct want w = {.kind = WANT_PIN};
	int r;

	for (size_t i = 0; i < s->wants.n; i++) {
		const struct want *other = &s->wants.list[i];

		if (strcmp(other->name, pin->name) != 0)
			continue;
		if (version_equal(other->version, strlen(other->version), pin->version,
			    strlen(pin->version)) &&
			!other->n_hashes == !pin->n_hashes)
			return 0;
		return str_addf(&s->faults,
			       "%s: line %u pins %s %s, and a line before it pins %s: both count "
			       "for this Python\n",
			       s->file, pin->line, pin->name, pin->version, other->version) < 0
			       ? -ENOMEM
			       : -EINVAL;
	}
	w.name = strdup(pin->name);
	w.version = strdup(pin->version);
	w.hashes = steal_ptr(pin->hashes);
	w.n_hashes = pin->n_hashes;
	pin->n_hashes = 0;
	r = w.name && w.version ? wants_add(&s->wants, &w) : -ENOMEM;
	want_clear(&w);
	return r;
}

static int read_requirements(struct sync *s, struct diag *diag)
{
	auto_free char *dir = NULL;
	auto_free bool *holds = NULL;
	struct pins pins = {0};
	bool conflict = false;
	int r = directory_of(s->file, &dir);

	if (r < 0)
		return diag_errno(diag, r, "%s", s->file);
	r = pins_parse(s->text.p ? s->text.p : "", s->text.len, s->file, dir, &pins, diag);
	if (r < 0)
		return r;
	holds = calloc(pins.n + 1, sizeof *holds);
	r = holds ? evaluate(s, &pins, holds, diag) : -ENOMEM;
	for (size_t i = 0; r == 0 && i < pins.n; i++) {
		if (!holds[i])
			continue;
		r = add_pin(s, &pins.pins[i]);
		if (r == -EINVAL) {
			conflict = true;
			r = 0;
		}
	}
	if (r == 0 && pins.options.len)
		r = str_add(&s->options, pins.options.p);
	s->wants.lasts = true;
	pins_free(&pins);
	return r == 0 && conflict ? -EINVAL : r;
}

/* The helper reads the file again; an answer may be kept only for the bytes that were answered. */
static int check_unchanged(struct sync *s, struct diag *diag)
{
	auto_str struct str now = {0};
	int r = io_slurp_path(s->file, FILE_MAX, &now);

	if (r == 0 &&
		(now.len != s->text.len || (now.len && memcmp(now.p, s->text.p, now.len) != 0)))
		return diag_set(diag, -ESTALE,
			"%s was changed while it was read; run the command again", s->file);
	return r < 0 ? diag_errno(diag, r, "%s", s->file) : 0;
}

static int read_lock(struct sync *s, struct diag *diag)
{
	auto_free char *real = realpath(s->file, NULL);
	int r;

	if (!real)
		return diag_errno(diag, -errno, "%s", s->file);
	s->wants.lasts = true;
	r = chooser_lock(&s->chooser, real, NULL, &s->wants, &s->faults, diag);
	return r == 0 ? check_unchanged(s, diag) : r;
}

int sync_read(struct sync *s, struct diag *diag)
{
	bool pins = !str_ends(s->file, ".toml") && !str_ends(s->file, ".json");

	return pins ? read_requirements(s, diag) : read_lock(s, diag);
}
