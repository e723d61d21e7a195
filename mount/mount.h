/* SPDX-License-Identifier: MIT
 *
 * All that the rest of venvfs knows of the FUSE half: three commands. What the other commands want
 *to know of a mounted root they read from extended attributes of its top directory:
 *
 *	user.venvfs.status	the text of `venvfs status --json`
 *	user.venvfs.upper	a path by which the same user reaches the directory behind the mount
 *	user.venvfs.refresh	setting it makes the daemon look again at its store
 *	user.venvfs.harvest	setting it to "TOKEN ENV" asks for a harvest of the environment ENV (a path
 *				from the root), whose result user.venvfs.harvest.TOKEN is then
 */
#ifndef MOUNT_MOUNT_H
#define MOUNT_MOUNT_H

#include "cmd/cmd.h"

extern const struct cmd cmd_mount, cmd_umount, cmd_status;

#endif
