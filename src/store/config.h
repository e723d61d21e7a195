/* SPDX-License-Identifier: MIT
 *
 * venvfs.conf: INI text in $XDG_CONFIG_HOME/venvfs/ (~/.config/venvfs/) and /etc/venvfs/, the
 * user's keys over the system's. Neither file need exist. Each key has a command-line option
 * that wins.
 *
 *	[store]
 *	path = DIR		own store; default $XDG_DATA_HOME/venvfs/store
 *	tiers = DIR:DIR		read-only stores below it, top first; empty for none
 *	compile = no		no background compilation after adding
 *	[mount]
 *	root = DIR		default root; $VENVFS_ROOT wins; default ~/envs
 *	harvest = SECONDS	how long an environment is left alone before what was installed into it moves
 *				into the store; default 2; no: only by `venvfs harvest`
 *
 * DIR is absolute or begins with "~/". A relative one is an error: it would mean another
 * directory wherever a command is run. "#" or ";" begins a comment where a line begins, and ";"
 * also behind a blank. Indented lines are lines like any others.
 */
#ifndef STORE_CONFIG_H
#define STORE_CONFIG_H

#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config {
	char *store;   /* absolute */
	char **tiers;
	size_t n_tiers;
	char *root;    /* absolute */
	bool compile;
	int64_t harvest_ns; /* -1: no */
};

/* -EINVAL with file, line and key for anything unknown, given twice in a file, or over inih's
 * limits (a line has up to 198 bytes). What $VENVFS_ROOT says is applied by those who ask for a root. */
int config_load(struct config *ret, struct diag *diag);
/* What `harvest =` and --harvest take: seconds, with a fraction or not, up to a day; or "no". -EINVAL */
int config_parse_harvest(const char *text, int64_t *ret_ns);
int config_add_tier(struct config *c, const char *dir); /* on top of the configured ones */
void config_free(struct config *c);

#endif
