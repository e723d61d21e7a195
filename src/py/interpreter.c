/* SPDX-License-Identifier: MIT
 *
 * The object and its text: "key value" lines in one order, the value running to the end of the
 * line. The probe prints the same lines but `binary`, so what it says is parsed by one function
 * only. Keys of lists repeat.
 */
#include "py/interpreter.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "py/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

struct counted {
	struct interpreter py;
	atomic_uint refs;
	size_t cap_tags, cap_wheels;
};

enum { LIST_MAX = 65536 };

static const struct {
	const char *key;
	size_t offset;
} strings[] = {
	{"executable", offsetof(struct interpreter, executable)},
	{"base-prefix", offsetof(struct interpreter, base_prefix)},
	{"version", offsetof(struct interpreter, version)},
	{"implementation", offsetof(struct interpreter, implementation)},
	{"abiflags", offsetof(struct interpreter, abiflags)},
	{"lib", offsetof(struct interpreter, lib)},
	{"stdlib", offsetof(struct interpreter, stdlib)},
	{"cache-tag", offsetof(struct interpreter, cache_tag)},
	{"magic", offsetof(struct interpreter, magic)},
	{"templates", offsetof(struct interpreter, templates)},
	{"markers", offsetof(struct interpreter, markers)},
};
enum { N_STRINGS = sizeof strings / sizeof *strings };

static char **string_at(const struct interpreter *py, size_t i)
{
	return (char **)((char *)py + strings[i].offset);
}

struct interpreter *interpreter_new(void)
{
	struct counted *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->refs = 1;
	return &c->py;
}

static struct counted *counted(struct interpreter *py)
{
	return (struct counted *)((char *)py - offsetof(struct counted, py));
}

struct interpreter *interpreter_ref(struct interpreter *py)
{
	atomic_fetch_add_explicit(&counted(py)->refs, 1, memory_order_relaxed);
	return py;
}

static void free_list(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

void interpreter_unref(struct interpreter *py)
{
	if (!py || atomic_fetch_sub_explicit(&counted(py)->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < N_STRINGS; i++)
		free(*string_at(py, i));
	free(py->home);
	free_list(py->tags, py->n_tags);
	free_list(py->wheels, py->n_wheels);
	free(counted(py));
}
CLEANUP_DEFINE(interpreter, interpreter_unref)

static int add_to_list(char ***list, size_t *n, size_t *cap, struct slice value)
{
	char *copy;

	if (*n == LIST_MAX)
		return -EPROTO;
	if (array_grow_raw((void **)list, cap, *n + 1, sizeof **list) < 0)
		return -ENOMEM;
	copy = strndup(value.p, value.n);
	if (!copy)
		return -ENOMEM;
	(*list)[(*n)++] = copy;
	return 0;
}

static int take_binary(struct interpreter *py, struct slice value)
{
	char text[64], extra;

	if (value.n >= sizeof text)
		return -EPROTO;
	memcpy(text, value.p, value.n);
	text[value.n] = '\0';
	return sscanf(text, "%" SCNu64 " %" SCNd64 "%c", &py->binary_size, &py->binary_mtime_ns,
		       &extra) == 2
		       ? 0
		       : -EPROTO;
}

static int take_line(struct interpreter *py, struct slice key, struct slice value)
{
	struct counted *c = counted(py);

	for (size_t i = 0; i < N_STRINGS; i++) {
		char **to = string_at(py, i);

		if (strlen(strings[i].key) != key.n || memcmp(strings[i].key, key.p, key.n) != 0)
			continue;
		if (*to)
			return -EPROTO;
		*to = strndup(value.p, value.n);
		return *to ? 0 : -ENOMEM;
	}
	if (text_is(key, "tag"))
		return add_to_list(&py->tags, &py->n_tags, &c->cap_tags, value);
	if (text_is(key, "wheel"))
		return add_to_list(&py->wheels, &py->n_wheels, &c->cap_wheels, value);
	if (text_is(key, "binary"))
		return take_binary(py, value);
	return -EPROTO;
}

static int take_version(struct interpreter *py)
{
	char *end;
	long major, minor;

	if (!isdigit((unsigned char)*py->version))
		return -EPROTO;
	major = strtol(py->version, &end, 10);
	if (*end != '.' || !isdigit((unsigned char)end[1]))
		return -EPROTO;
	minor = strtol(end + 1, &end, 10);
	if ((*end && *end != '.') || major < 0 || major > 9999 || minor < 0 || minor > 9999)
		return -EPROTO;
	py->major = (int)major;
	py->minor = (int)minor;
	return 0;
}

/* `lib` becomes a path below environments, so it has to be one. */
static bool is_relative_path(const char *path)
{
	size_t n;
	const char *part;

	if (*path == '/' || !*path)
		return false;
	while ((part = path_next(&path, &n)))
		if (part[0] == '.')
			return false;
	return true;
}

static int complete(struct interpreter *py)
{
	size_t n;

	if (!py->executable || py->executable[0] != '/' || !py->base_prefix || !py->version ||
		!py->implementation || !py->lib || !is_relative_path(py->lib))
		return -EPROTO;
	if (py->magic && (strlen(py->magic) != 8 || strspn(py->magic, "0123456789abcdef") != 8))
		return -EPROTO;
	if ((py->templates && py->templates[0] != '/') || (py->stdlib && py->stdlib[0] != '/'))
		return -EPROTO;
	for (size_t i = 0; i < py->n_wheels; i++)
		if (py->wheels[i][0] != '/')
			return -EPROTO;
	if (!py->abiflags && !(py->abiflags = strdup("")))
		return -ENOMEM;
	n = (size_t)(path_base(py->executable) - py->executable);
	py->home = strndup(py->executable, n > 1 ? n - 1 : 1);
	if (!py->home)
		return -ENOMEM;
	py->ensurepip = py->n_wheels > 0;
	return take_version(py);
}

int interpreter_parse(const char *text, size_t n, struct interpreter **ret, struct diag *diag)
{
	auto_of(interpreter) struct interpreter *py = interpreter_new();
	struct slice rest = {text, n}, line, key, value;
	bool begun = false, ended = false;
	int r = 0;

	if (!py)
		return -ENOMEM;
	while (r == 0 && rest.n > 0) {
		const char *end = memchr(rest.p, '\n', rest.n);

		line = (struct slice){rest.p, end ? (size_t)(end - rest.p) : 0};
		if (!end || ended || text_has_control(line) ||
			!text_partition(line, ' ', &key, &value) || value.n == 0)
			r = -EPROTO;
		else if (!begun)
			r = text_is(key, "venvfs-python") && text_is(value, "1") ? 0 : -EPROTO;
		else if (text_is(key, "end"))
			ended = true;
		else
			r = take_line(py, key, value);
		begun = true;
		rest.p += line.n + 1;
		rest.n -= end ? line.n + 1 : rest.n;
	}
	if (r == 0)
		r = ended ? complete(py) : -EPROTO;
	if (r == -EPROTO)
		return diag_set(diag, r, "what it says about itself is not understood");
	if (r < 0)
		return r;
	*ret = steal_ptr(py);
	return 0;
}

int interpreter_format(const struct interpreter *py, struct str *out)
{
	size_t start = out->len;
	int r = str_add(out, "venvfs-python 1\n");

	for (size_t i = 0; i < N_STRINGS && r == 0; i++) {
		const char *value = *string_at(py, i);

		if (value && *value)
			r = str_addf(out, "%s %s\n", strings[i].key, value);
	}
	if (r == 0)
		r = str_addf(out, "binary %" PRIu64 " %" PRId64 "\n", py->binary_size,
			py->binary_mtime_ns);
	for (size_t i = 0; i < py->n_wheels && r == 0; i++)
		r = str_addf(out, "wheel %s\n", py->wheels[i]);
	for (size_t i = 0; i < py->n_tags && r == 0; i++)
		r = str_addf(out, "tag %s\n", py->tags[i]);
	if (r == 0)
		r = str_add(out, "end python\n");
	if (r < 0)
		str_truncate(out, start);
	return r;
}
