/* SPDX-License-Identifier: MIT
 *
 * getopt_long(3) behind a table: what is told of a wrong one is told here, for every command alike.
 */
#include "cmd/cmd.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

enum { OPTIONS_MAX = 16, FIRST_ROW = 256 };

/* What getopt_long() gives back for a row: no character. */
static int code_of(size_t row)
{
	return FIRST_ROW + (int)row;
}

static bool has_value(const struct cmd_option *o)
{
	return o->text || o->take;
}

static const struct cmd_option *find(const struct cmd_option *options, int c)
{
	for (size_t i = 0; options && options[i].name; i++)
		if (c == code_of(i) || (options[i].letter && c == options[i].letter))
			return &options[i];
	return NULL;
}

static int give(const struct cmd *cmd, const struct cmd_option *o, const char *value)
{
	struct diag diag = {{0}};
	int r = 0;

	if (o->flag)
		*o->flag = true;
	else if (o->text)
		*o->text = value;
	else
		r = o->take(o->arg, value, &diag);
	if (r == -EINVAL)
		return -cmd_usage(cmd, "--%s: %s", o->name, diag_text(&diag, r));
	return r < 0 ? -cmd_fail("--%s: %s", o->name, diag_text(&diag, r)) : 0;
}

static int read_options(const struct cmd *cmd, const struct cmd_option *options, const char *how,
	int argc, char **argv)
{
	struct option longs[OPTIONS_MAX + 1] = {{0}};
	char letters[2 * OPTIONS_MAX + 4];
	size_t n = (size_t)(stpcpy(letters, how) - letters);
	int c, r = 0;

	for (size_t i = 0; options && options[i].name && i < OPTIONS_MAX; i++) {
		const struct cmd_option *o = &options[i];

		longs[i] = (struct option){
			o->name, has_value(o) ? required_argument : no_argument, NULL, code_of(i)};
		if (!o->letter)
			continue;
		letters[n++] = o->letter;
		if (has_value(o))
			letters[n++] = ':';
	}
	letters[n] = '\0';
	optind = 0; /* glibc begins anew */
	opterr = 0;
	while (r == 0 && (c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const char short_one[] = {'-', (char)optopt, '\0'};
		/* getopt is behind the word, but within one of several letters */
		const char *word =
			c == '?' && optopt > 0 && optopt < FIRST_ROW ? short_one : argv[optind - 1];

		if (c == ':')
			r = -cmd_usage(cmd, "%s wants a value", word);
		else if (c == '?')
			r = -cmd_usage(cmd, "%s is no option", word);
		else
			r = give(cmd, find(options, c), optarg);
	}
	return r < 0 ? r : optind;
}

int cmd_options(const struct cmd *cmd, const struct cmd_option *options, int argc, char **argv)
{
	return read_options(cmd, options, ":", argc, argv);
}

int cmd_options_before(
	const struct cmd *cmd, const struct cmd_option *options, int argc, char **argv)
{
	return read_options(cmd, options, "+:", argc, argv);
}
