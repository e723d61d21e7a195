/* SPDX-License-Identifier: MIT */
#include "cmd/cmd_store.h"

#include <string.h>

static int run(struct cmd_context *ctx, int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(struct cmd_context *ctx, int argc, char **argv);
	} subs[] = {
		{"add", cmd_store_add},
		{"ls", cmd_store_ls},
		{"verify", cmd_store_verify},
		{"compile", cmd_store_compile},
	};

	if (argc < 2)
		return cmd_usage(&cmd_of_store, "add, ls, verify or compile is wanted");
	for (size_t i = 0; i < sizeof subs / sizeof *subs; i++)
		if (strcmp(argv[1], subs[i].name) == 0)
			return subs[i].run(ctx, argc - 1, argv + 1);
	return cmd_usage(&cmd_of_store, "there is no command \"store %s\"", argv[1]);
}

const struct cmd cmd_of_store = {
	.name = "store",
	.usage = "store add|ls|verify|compile [ARGUMENT]...",
	.summary = "look after the store: add wheels, list, check, compile",
	.help = "store add [--compile|--no-compile] [--json] WHEEL...\n"
		"    Adds wheels. What is refused is named with the reason, and the others are added all the same.\n"
		"    Bytecode is compiled in the background, now (--compile), or not (--no-compile).\n"
		"store ls [--json] [NAME]...\n"
		"    Lists the distributions of the store and of its tiers.\n"
		"store verify [--json]\n"
		"    Reads all of it again and names what is damaged.\n"
		"store compile [--python X]... [--jobs N] [--background] [NAME]...\n"
		"    Compiles bytecode that is missing, for every Python that environments were made with.\n\n"
		"example: venvfs store add wheelhouse/*.whl\n",
	.run = run,
};
