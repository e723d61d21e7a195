/* SPDX-License-Identifier: MIT
 *
 * The command line: options that every command takes, then the command's own main out of one
 * table. What is common is taken out of argv before the command sees it, so it may stand before
 * or behind the command's name; behind "--" all belongs to the command.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "cmd/cmd.h"
#include "cmd/cmd_store.h"
#include "mount/mount.h"

#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <string.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0.1.0"
#endif

static const struct cmd *const commands[] = {
	&cmd_mount,
	&cmd_umount,
	&cmd_status,
	&cmd_doctor,
	&cmd_create,
	&cmd_add,
	&cmd_remove,
	&cmd_sync,
	&cmd_freeze,
	&cmd_run,
	&cmd_ls,
	&cmd_show,
	&cmd_python,
	&cmd_upgrade,
	&cmd_clone,
	&cmd_harvest,
	&cmd_adopt,
	&cmd_eject,
	&cmd_diff,
	&cmd_du,
	&cmd_undo,
	&cmd_reset,
	&cmd_rm,
	&cmd_materialize,
	&cmd_of_store,
};
static const size_t n_commands = sizeof commands / sizeof *commands;

static void print_help(void)
{
	fputs("usage: venvfs [--store DIR] [--tier DIR]... [--root DIR] COMMAND [ARGUMENT]...\n\n"
	      "Python environments of one small text file, over one store of installed "
	      "distributions.\n\n"
	      "commands:\n",
		stdout);
	for (size_t i = 0; i < n_commands; i++)
		printf("  %-12s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\noptions of every command:\n"
	      "  --store DIR  the own store, where everything new goes\n"
	      "  --tier DIR   a read-only store below it, above those of venvfs.conf; may be "
	      "repeated\n"
	      "  --root DIR   the root that bare names of environments lie in (also "
	      "$VENVFS_ROOT)\n"
	      "  --help       of venvfs, or of a command\n"
	      "  --version\n",
		stdout);
}

static void print_cmd_help(const struct cmd *cmd)
{
	printf("usage: venvfs %s\n\n%s\n", cmd->usage, cmd->summary);
	if (cmd->help && *cmd->help)
		printf("\n%s", cmd->help);
}

static const struct cmd *find_command(const char *name)
{
	for (size_t i = 0; i < n_commands; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

/* What the common options say; they are applied over the configuration, which is read later. */
struct globals {
	char *store, *root;
	char **tiers;
	size_t n_tiers;
	bool help, version;
};

static void globals_free(struct globals *g)
{
	free(g->store);
	free(g->root);
	for (size_t i = 0; i < g->n_tiers; i++)
		free(g->tiers[i]);
	free(g->tiers);
}

static char *absolute(const char *path)
{
	auto_free char *cwd = NULL;
	char *r;

	if (*path == '/')
		return strdup(path);
	cwd = getcwd(NULL, 0);
	if (!cwd || asprintf(&r, "%s/%s", cwd, path) < 0)
		return NULL;
	return r;
}

static int take_value(struct globals *g, const char *option, const char *value)
{
	char *path = absolute(value);

	if (!path)
		return -ENOMEM;
	if (strcmp(option, "--tier") == 0) {
		char **more = realloc(g->tiers, (g->n_tiers + 1) * sizeof *more);

		if (!more) {
			free(path);
			return -ENOMEM;
		}
		g->tiers = more;
		g->tiers[g->n_tiers++] = path;
		return 0;
	}
	char **to = strcmp(option, "--store") == 0 ? &g->store : &g->root;

	free(*to);
	*to = path;
	return 0;
}

static bool is_among(const char *a, const char *const *list)
{
	while (*list && strcmp(a, *list) != 0)
		list++;
	return *list;
}

/* Takes the common options out of argv. Returns the new argc, or -1 after a complaint. */
static int take_globals(struct globals *g, int argc, char **argv)
{
	static const char *const with_value[] = {"--store", "--tier", "--root"};
	const struct cmd *runs = NULL; /* the command that runs another */
	bool behind_command = false, is_value = false;
	int n = 1;

	for (int i = 1; i < argc; i++) {
		const char *a = argv[i], *option = NULL, *value = NULL;

		if (is_value) {
			is_value = false;
			argv[n++] = argv[i];
			continue;
		}
		if (strcmp(a, "--") == 0 || (runs && *a != '-')) {
			while (i < argc)
				argv[n++] = argv[i++];
			break;
		}
		for (size_t k = 0; k < sizeof with_value / sizeof *with_value; k++) {
			size_t len = strlen(with_value[k]);

			if (strncmp(a, with_value[k], len) != 0 || (a[len] && a[len] != '='))
				continue;
			option = with_value[k];
			value = a[len] ? a + len + 1 : argv[++i];
		}
		if (option) {
			if (!value || !*value) {
				fprintf(stderr, "venvfs: %s wants a directory\n", option);
				return -1;
			}
			if (take_value(g, option, value) < 0) {
				fputs("venvfs: out of memory\n", stderr);
				return -1;
			}
			continue;
		}
		if (strcmp(a, "--help") == 0 || (strcmp(a, "-h") == 0)) {
			g->help = true;
			continue;
		}
		if (!behind_command && strcmp(a, "--version") == 0) {
			g->version = true;
			continue;
		}
		if (*a != '-' && !behind_command) {
			const struct cmd *cmd = find_command(a);

			behind_command = true;
			runs = cmd && cmd->valued ? cmd : NULL;
		}
		is_value = runs && is_among(a, runs->valued);
		argv[n++] = argv[i];
	}
	argv[n] = NULL;
	return n;
}

static int configure(struct config *c, struct globals *g, struct diag *diag)
{
	int fault = config_load(c, diag), r;

	/* The last one given would end on top: the first on the command line shall. */
	for (size_t i = g->n_tiers; i-- > 0;) {
		r = config_add_tier(c, g->tiers[i]);
		if (r < 0)
			return diag_errno(diag, r, "--tier %s", g->tiers[i]);
	}
	if (g->store) {
		free(c->store);
		c->store = steal_ptr(g->store);
	}
	if (g->root) {
		free(c->root);
		c->root = steal_ptr(g->root);
		unsetenv("VENVFS_ROOT");
	}
	return fault;
}

static int run_command(const struct cmd *cmd, struct globals *g, int argc, char **argv)
{
	struct cmd_context ctx = {0};
	struct diag diag = {0};
	int r = configure(&ctx.config, g, &diag);

	if (r < 0 && !cmd->any_config) {
		config_free(&ctx.config);
		return cmd_fail("%s", diag_text(&diag, r));
	}
	if (r < 0)
		ctx.config_fault = diag_text(&diag, r);
	r = cmd->run(&ctx, argc, argv);
	store_free(ctx.store);
	config_free(&ctx.config);
	/* of what stdio could not write before now only its flag is left */
	errno = ferror(stdout) ? EIO : 0;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		/* A reader that had enough, as in "venvfs ls | head", is no failure of ours. */
		if (errno != EPIPE && r == 0)
			r = cmd_fail("can not write the output: %s", strerror(errno));
	}
	return r;
}

int main(int argc, char **argv)
{
	struct globals g = {0};
	const struct cmd *cmd;
	int r = 2, n;

	setlocale(LC_CTYPE, "");
	/* A closed reader and a download's closed connection are errors of write(), not our end. */
	signal(SIGPIPE, SIG_IGN);
	n = take_globals(&g, argc, argv);
	if (n < 0) {
		globals_free(&g);
		return 2;
	}
	cmd = n > 1 ? find_command(argv[1]) : NULL;
	if (g.version) {
		puts("venvfs " PACKAGE_VERSION);
		r = 0;
	} else if (g.help && (n == 1 || cmd)) {
		if (cmd)
			print_cmd_help(cmd);
		else
			print_help();
		r = 0;
	} else if (n == 1) {
		fputs("venvfs: no command given; `venvfs --help` lists them\n", stderr);
	} else if (!cmd) {
		fprintf(stderr, "venvfs: no command is called \"%s\"; `venvfs --help` lists them\n",
			argv[1]);
	} else {
		r = run_command(cmd, &g, n - 1, argv + 1);
	}
	globals_free(&g);
	return r;
}
