/* SPDX-License-Identifier: MIT */
#include "cmd/cmd.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "py/interpreter.h"

#include <string.h>

static const char *const sources[PYTHON_N_SOURCES] = {
	[PYTHON_FROM_PATH] = "PATH",
	[PYTHON_FROM_PYENV] = "pyenv",
	[PYTHON_FROM_UV] = "uv",
	[PYTHON_FROM_SYSTEM] = "system",
	[PYTHON_FROM_CONDA] = "conda",
};

static int add_member(struct str *out, const char *name, const char *value)
{
	int r = str_addf(out, ", \"%s\": ", name);

	return r == 0 ? json_add_string(out, value) : r;
}

static int print_json(const struct interpreter_list *l)
{
	auto_str struct str out = {0};
	int r = str_add(&out, "{\"pythons\": [");

	for (size_t i = 0; r == 0 && i < l->n; i++) {
		const struct interpreter_listed *one = &l->list[i];
		const struct interpreter *py = one->py;

		r = str_add(&out, i ? ",\n {\"path\": " : "\n {\"path\": ");
		if (r == 0)
			r = json_add_string(&out, one->path);
		if (r == 0)
			r = add_member(&out, "version", py ? py->version : NULL);
		if (r == 0)
			r = add_member(&out, "implementation", py ? py->implementation : NULL);
		if (r == 0)
			r = add_member(&out, "base_prefix", py ? py->base_prefix : NULL);
		if (r == 0)
			r = add_member(&out, "source", sources[one->source]);
		if (r == 0)
			r = str_addf(&out, ", \"free_threaded\": %s, \"in_path\": %s",
				py && strchr(py->abiflags, 't') ? "true" : "false",
				one->in_path ? "true" : "false");
		if (r == 0)
			r = add_member(&out, "fault", one->fault);
		if (r == 0)
			r = str_add(&out, "}");
	}
	if (r == 0)
		r = str_add(&out, "\n]}\n");
	if (r == 0)
		fputs(out.p, stdout);
	return r;
}

static void print_table(const struct interpreter_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct interpreter_listed *one = &l->list[i];
		char version[64] = "-";

		if (one->py)
			snprintf(version, sizeof version, "%s%s", one->py->version,
				one->py->abiflags);
		printf("%-9s  %-8s  %-6s  %s\n", version, one->py ? one->py->implementation : "-",
			sources[one->source], one->fault ? one->fault : one->path);
	}
}

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	struct interpreter_list l = {0};
	struct diag diag = {0};
	bool json = false;
	const struct cmd_option options[] = {{"json", .flag = &json}, {0}};
	int first = cmd_options(&cmd_python, options, argc, argv), r;

	if (first < 0)
		return -first;
	if (argc - first != 1 || strcmp(argv[first], "ls") != 0)
		return cmd_usage(&cmd_python, "`venvfs python ls` is wanted");
	if (!cmd_store(ctx))
		return 1;
	r = interpreter_list(ctx->store, &l, &diag);
	if (r == 0 && json)
		r = print_json(&l);
	else if (r == 0)
		print_table(&l);
	interpreter_list_free(&l);
	return r < 0 ? cmd_fail("%s", diag_text(&diag, r)) : 0;
}

const struct cmd cmd_python = {
	.name = "python",
	.usage = "python ls [--json]",
	.summary = "list the Pythons of this machine",
	.help = "Shows version, implementation, where from and path of every CPython from 3.8 on and every PyPy\n"
		"in PATH, of pyenv, uv and conda, and in /usr/bin and /usr/local/bin: each binary once, newest first.\n"
		"A \"t\" behind the version is a free-threaded build. Each is asked once, and again when its binary\n"
		"has changed. What stands here can be given to --python by version (3.13, 3.13t, pypy3.10) or path.\n\n"
		"example: venvfs python ls\n",
	.run = run,
};
