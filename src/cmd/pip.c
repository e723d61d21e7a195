/* SPDX-License-Identifier: MIT */
#include "cmd/pip.h"

#include "base/cleanup.h"
#include "py/process.h"

#include <string.h>

enum { ARGS_MAX = 48 };

void pip_prepare(void)
{
	static bool prepared;

	if (prepared)
		return;
	prepared = true;
	/* It is no environment that anything is installed into, and nobody is there to answer. */
	setenv("PIP_REQUIRE_VIRTUALENV", "0", 1);
	setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1", 1);
	setenv("PIP_NO_INPUT", "1", 1);
	setenv("PIP_PROGRESS_BAR", "off", 1);
	setenv("NO_COLOR", "1", 1);
}

/* The last complaint of pip's stderr as one line: from the first "ERROR:" on, or its last line. A
 * refused login is told before, as a warning. */
static void complaint(const char *err, struct diag *diag, int status)
{
	const char *at = NULL, *login = NULL;
	size_t n = 0;

	for (const char *p = err; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		if (!at && str_starts(p, "ERROR:"))
			at = p + 6;
		if (str_starts(p, "WARNING:") && (memmem(p, strcspn(p, "\n"), "401", 3) ||
							 memmem(p, strcspn(p, "\n"), "403", 3)))
			login = p + 8;
	}
	if (!at)
		for (const char *p = err; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
			at = p;
	if (!at || !*at) {
		diag_set(diag, -EIO, "pip ended with status %d", status);
		return;
	}
	if (login) {
		int len = (int)strcspn(login, "\n");

		n = (size_t)snprintf(diag->text, sizeof diag->text, "%.*s;", len > 300 ? 300 : len,
			login + strspn(login, " "));
	}
	for (const char *p = at; *p && n + 1 < sizeof diag->text; p++) {
		char c = (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p;

		if (c == ' ' && (n == 0 || diag->text[n - 1] == ' '))
			continue;
		if (str_starts(p, "ERROR: ")) {
			p += 6;
			continue;
		}
		diag->text[n++] = c;
	}
	while (n > 0 && diag->text[n - 1] == ' ')
		n--;
	diag->text[n] = '\0';
}

/* Its exit status, or -errno. */
static int run(
	const struct interpreter *py, const char *const *args, struct str *err, struct diag *diag)
{
	auto_free char *inside = NULL;
	const char *argv[ARGS_MAX + 6] = {py->executable, "-I"};
	struct diag why = {{0}};
	size_t n = 2;
	int r, status = 0;

	for (size_t i = 0; i < py->n_wheels && !inside; i++)
		if (str_starts(path_base(py->wheels[i]), "pip-") &&
			access(py->wheels[i], R_OK) == 0 &&
			asprintf(&inside, "%s/pip", py->wheels[i]) < 0)
			return inside = NULL, -ENOMEM;
	if (!inside)
		argv[n++] = "-m";
	argv[n++] = inside ? inside : "pip";
	while (*args && n < ARGS_MAX)
		argv[n++] = *args++;
	if (*args)
		return -E2BIG;
	r = process_run(argv, NULL, 0, NULL, err, &status, &why);
	if (r < 0)
		return diag_set(diag, r, "%s", diag_text(&why, r));
	if (status && !inside && err->p && strstr(err->p, "No module named pip"))
		return diag_set(diag, -ENOENT, "%s has no pip", py->executable);
	return status;
}

int pip_run(const struct interpreter *py, const char *const *args, struct diag *diag)
{
	auto_str struct str err = {0};
	struct diag why = {{0}};
	int r = run(py, args, &err, diag);

	if (r <= 0)
		return r;
	complaint(err.p, &why, r);
	return diag_set(diag, -EIO, "%s", why.text);
}

int pip_run_loud(const struct interpreter *py, const char *const *args, struct str *said,
	struct diag *diag)
{
	int r = run(py, args, said, diag);

	return r <= 0 ? r : diag_set(diag, -EIO, "pip ended with status %d", r);
}
