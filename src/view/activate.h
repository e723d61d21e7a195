/* SPDX-License-Identifier: MIT
 *
 * Activate scripts, rendered from the base Python's own templates, whose text differs with each
 * patch release. Values are quoted for the script's shell, whatever characters they have.
 */
#ifndef VIEW_ACTIVATE_H
#define VIEW_ACTIVATE_H

#include "view/generate.h"

/* `name` is one of generate_templates(). -EIO: it can not be read any more. */
int activate_render(const struct interpreter *py, const char *name, const struct generate_env *env,
	struct str *out);

#endif
