/* SPDX-License-Identifier: MIT
 *
 * One clean process of an interpreter (isolated, no site) that turns sources into pycs; what it is
 * asked and what it answers is told in compile.py. It belongs to one thread at a time.
 */
#ifndef PY_COMPILER_H
#define PY_COMPILER_H

#include "base/diag.h"
#include "base/str.h"
#include "py/interpreter.h"

struct compiler;

/* Starts nothing yet: the process starts when asked first, and again after a failure ended it.
 * `limit_ms`: the processor time that one answer may take; on the clock it may be ten times as
 * much. */
int compiler_new(const struct interpreter *py, unsigned limit_ms, struct compiler **ret);
void compiler_free(struct compiler *c); /* ends the process */

/* Sends a request and waits for its answer, valid until asked again. -ENOEXEC: the process did not
 * start, or is no longer the interpreter it was; -ECHILD: it died; -ETIMEDOUT: it was ended;
 * -EPROTO: it talked nonsense. */
int compiler_ask(struct compiler *c, const void *request, size_t n, const char **ret_answer,
	size_t *ret_n, struct diag *diag);

#endif
