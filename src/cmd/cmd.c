/* SPDX-License-Identifier: MIT */
#include "cmd/cmd.h"

#include "cmd/progress.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static void tell(const char *fmt, va_list ap)
{
	progress_clear();
	fflush(stdout);
	fputs("venvfs: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int cmd_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(fmt, ap);
	va_end(ap);
	return 1;
}

int cmd_usage(const struct cmd *cmd, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(fmt, ap);
	va_end(ap);
	fprintf(stderr, "usage: venvfs %s\n", cmd->usage);
	return 2;
}

struct store *cmd_store(struct cmd_context *ctx)
{
	struct diag diag = {0};
	int r;

	if (ctx->store)
		return ctx->store;
	r = store_open(
		ctx->config.store, ctx->config.tiers, ctx->config.n_tiers, &ctx->store, &diag);
	if (r < 0) {
		cmd_fail("%s", diag_text(&diag, r));
		ctx->store = NULL;
	}
	return ctx->store;
}

int cmd_note_root(struct cmd_context *ctx, const char *root, struct diag *diag)
{
	struct store *s = root ? cmd_store(ctx) : NULL;
	int r = !root ? 0 : s ? store_root_put(s, root) : -EIO;

	return r < 0 ? diag_errno(diag, r, "can not note in the store %s that %s uses it",
			       ctx->config.store, root)
		     : 0;
}
