/* SPDX-License-Identifier: MIT
 *
 * A view of the command's own, of a root that nobody has mounted: what a daemon does for a mounted
 * one is done by the same code here.
 */
#ifndef CMD_OWN_VIEW_H
#define CMD_OWN_VIEW_H

#include "cmd/cmd.h"
#include "view/view.h"

bool own_view_is_mounted(const char *root);

struct own_view {
	struct view *view;
	int lock; /* as a daemon holds it */
};
/* -EAGAIN: the root is being mounted, or another command is at work there. */
int own_view_open(
	struct cmd_context *ctx, const char *root, struct own_view *ret, struct diag *diag);
void own_view_close(struct own_view *o);

#endif
