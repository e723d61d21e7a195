/* SPDX-License-Identifier: MIT
 *
 * Facts are recorded twice, under the executable's path and under home and minor version: an
 * environment made by `python3.11 -m venv` names the one, a pyvenv.cfg written by hand or by
 * another tool only the other. Under the second key the first name recorded stays (until its binary
 * changes), so that the links of existing environments do not change with the name used later.
 */
#include "py/interpreter.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static const char registered[] = "pythons", seen[] = "python-facts";

CLEANUP_DEFINE(interpreter, interpreter_unref)

static int home_key(const char *home, int major, int minor, struct str *out)
{
	return str_addf(out, "%s %d.%d", home, major, minor);
}

static bool is_fresh(const struct interpreter *py)
{
	struct stat st;

	return stat(py->executable, &st) == 0 && (uint64_t)st.st_size == py->binary_size &&
	       st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec == py->binary_mtime_ns;
}

void interpreter_check_templates(struct interpreter *py)
{
	auto_close int fd = -1;
	struct stat st;

	if (!py->templates)
		return;
	fd = open(py->templates, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && (st.st_uid == 0 || st.st_uid == geteuid()) &&
		!(st.st_mode & S_IWOTH))
		return;
	free(steal_ptr(py->templates));
}

static int get_any(struct store *s, const char *kind, const char *key, struct interpreter **ret)
{
	auto_str struct str text = {0};
	int r = s ? store_note_get(s, kind, key, &text) : -ENOENT;

	if (r == 0)
		r = interpreter_parse(text.p, text.len, ret, NULL);
	return r == -EPROTO ? -ENOENT : r;
}

static int get(struct store *s, const char *kind, const char *key, struct interpreter **ret)
{
	auto_of(interpreter) struct interpreter *py = NULL;
	int r = get_any(s, kind, key, &py);

	if (r < 0)
		return r;
	if (!is_fresh(py))
		return -ENOENT;
	interpreter_check_templates(py);
	*ret = steal_ptr(py);
	return 0;
}

static int get_executable(
	struct store *s, const char *kind, const char *executable, struct interpreter **ret)
{
	auto_of(interpreter) struct interpreter *py = NULL;
	int r = get(s, kind, executable, &py);

	if (r < 0)
		return r;
	if (strcmp(py->executable, executable) != 0)
		return -ENOENT;
	*ret = steal_ptr(py);
	return 0;
}

int interpreter_recorded(struct store *s, const char *executable, struct interpreter **ret)
{
	return get_executable(s, registered, executable, ret);
}

int interpreter_noted(struct store *s, const char *executable, struct interpreter **ret)
{
	return get_executable(s, seen, executable, ret);
}

bool interpreter_was_recorded(struct store *s, const char *executable)
{
	auto_of(interpreter) struct interpreter *py = NULL;

	return get_any(s, registered, executable, &py) == 0 &&
	       strcmp(py->executable, executable) == 0;
}

int interpreter_recorded_home(
	struct store *s, const char *home, int major, int minor, struct interpreter **ret)
{
	auto_of(interpreter) struct interpreter *py = NULL;
	auto_str struct str key = {0};
	int r = home_key(home, major, minor, &key);

	if (r == 0)
		r = get(s, registered, key.p, &py);
	if (r < 0)
		return r;
	if (strcmp(py->home, home) != 0 || py->major != major || py->minor != minor)
		return -ENOENT;
	*ret = steal_ptr(py);
	return 0;
}

int interpreter_record(struct store *s, const struct interpreter *py)
{
	auto_of(interpreter) struct interpreter *first = NULL;
	auto_str struct str text = {0}, key = {0};
	int r = interpreter_format(py, &text);

	if (r == 0)
		r = store_note_put(s, registered, py->executable, text.p, text.len);
	if (r < 0)
		return r;
	r = interpreter_recorded_home(s, py->home, py->major, py->minor, &first);
	if (r == 0 && strcmp(first->executable, py->executable) != 0)
		return 0;
	if (r < 0 && r != -ENOENT)
		return r;
	r = home_key(py->home, py->major, py->minor, &key);
	return r < 0 ? r : store_note_put(s, registered, key.p, text.p, text.len);
}

int interpreter_note(struct store *s, const struct interpreter *py)
{
	auto_str struct str text = {0};
	int r = interpreter_format(py, &text);

	return r < 0 ? r : store_note_put(s, seen, py->executable, text.p, text.len);
}
