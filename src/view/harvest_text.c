/* SPDX-License-Identifier: MIT
 *
 * What a harvest did, as lines: the daemon's answer to the command that asked for it. A reason
 * comes last on its line and holds no newline.
 *
 *	dropped 812
 *	added requests 2.31.0 <64 hex>
 *	removed idna 3.7 <64 hex>
 *	kept thing-1.0.dist-info why it stays private
 */
#include "view/view.h"

#include "base/array.h"
#include "base/cleanup.h"

#include <string.h>

static const char *const words[] = {
	[HARVEST_ADDED] = "added", [HARVEST_REMOVED] = "removed", [HARVEST_KEPT] = "kept"};
enum { N_WORDS = sizeof words / sizeof *words };

int harvest_format(const struct harvest *h, struct str *out)
{
	char hex[DIGEST_HEX + 1];
	int r = str_addf(out, "dropped %zu\n", h->n_dropped);

	for (size_t i = 0; r == 0 && i < h->n; i++) {
		const struct harvest_item *x = &h->items[i];
		size_t start;

		r = str_addf(out, "%s %s ", words[x->what], x->name);
		digest_format(&x->address, hex);
		start = out->len;
		if (r == 0)
			r = x->what == HARVEST_KEPT ? str_add(out, x->why)
						    : str_addf(out, "%s %s", x->version, hex);
		for (char *p = r == 0 ? out->p + start : NULL; p && (p = strchr(p, '\n'));)
			*p = ' ';
		if (r == 0)
			r = str_add(out, "\n");
	}
	return r;
}

/* The word in front of the next blank; NULL where there is none. */
static char *take_word(char **rest)
{
	char *word = *rest, *blank = strchr(word, ' ');

	if (!blank || blank == word)
		return NULL;
	*blank = '\0';
	*rest = blank + 1;
	return word;
}

static int parse_line(char *line, struct harvest *h)
{
	const char *word = take_word(&line), *name, *version = "";
	struct harvest_item item = {0};
	size_t what = 0;

	if (!word)
		return -EPROTO;
	if (strcmp(word, "dropped") == 0) {
		h->n_dropped = strtoul(line, NULL, 10);
		return 0;
	}
	while (what < N_WORDS && strcmp(word, words[what]) != 0)
		what++;
	name = take_word(&line);
	if (what == N_WORDS || !name)
		return -EPROTO;
	item.what = (enum harvest_what)what;
	if (item.what != HARVEST_KEPT) {
		version = take_word(&line);
		if (!version || digest_parse(line, strlen(line), &item.address) < 0)
			return -EPROTO;
	}
	if (array_grow(h->items, h->cap, h->n + 1) < 0)
		return -ENOMEM;
	item.name = strdup(name);
	item.version = strdup(version);
	item.why = item.what == HARVEST_KEPT ? strdup(line) : NULL;
	h->items[h->n++] = item;
	return item.name && item.version && (item.what != HARVEST_KEPT || item.why) ? 0 : -ENOMEM;
}

int harvest_parse(const char *text, struct harvest *ret)
{
	auto_free char *copy = strdup(text);
	struct harvest h = {0};
	char *save = NULL;
	int r = copy ? 0 : -ENOMEM;

	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; r == 0 && line;
		line = strtok_r(NULL, "\n", &save))
		r = parse_line(line, &h);
	if (r < 0)
		harvest_free(&h);
	else
		*ret = h;
	return r;
}
