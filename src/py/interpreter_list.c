/* SPDX-License-Identifier: MIT */
#include "py/interpreter.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "py/interpreter_places.h"

#include <string.h>

CLEANUP_DEFINE(interpreter, interpreter_unref)
#define auto_places __attribute__((cleanup(places_free)))

void interpreter_list_free(struct interpreter_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		interpreter_unref(l->list[i].py);
		free(l->list[i].path);
		free(l->list[i].fault);
	}
	free(l->list);
	*l = (struct interpreter_list){0};
}

static bool is_too_old(const struct python_spec *told)
{
	return told->n > 1 &&
	       (told->version[0] < 3 || (told->version[0] == 3 && told->version[1] < 8));
}

/* What is asked can turn out to be one that is there already: a wrapper script. */
static bool is_listed(const struct interpreter_list *l, const char *executable)
{
	auto_free char *real = realpath(executable, NULL);

	for (size_t i = 0; real && i < l->n; i++) {
		auto_free char *other = realpath(l->list[i].path, NULL);

		if (other && strcmp(other, real) == 0)
			return true;
	}
	return false;
}

static int add(struct interpreter_list *l, const struct place *p, struct interpreter *py,
	const struct diag *why)
{
	struct interpreter_listed one = {.source = p->source, .in_path = p->in_path};

	if (array_grow(l->list, l->cap, l->n + 1) < 0)
		return -ENOMEM;
	one.path = strdup(py ? py->executable : p->path);
	one.fault = py ? NULL : strdup(why->text);
	if (!one.path || (!py && !one.fault)) {
		free(one.path);
		free(one.fault);
		return -ENOMEM;
	}
	one.py = py ? interpreter_ref(py) : NULL;
	l->list[l->n++] = one;
	return 0;
}

static int by_version(const void *a, const void *b)
{
	const struct interpreter_listed *x = a, *y = b;
	int d;

	if (!x->py || !y->py)
		return x->py || y->py ? !x->py - !y->py : strcmp(x->path, y->path);
	d = strcmp(x->py->implementation, y->py->implementation);
	if (!d)
		d = strverscmp(y->py->version, x->py->version);
	if (!d)
		d = strcmp(x->py->abiflags, y->py->abiflags);
	if (!d)
		d = (int)x->source - (int)y->source;
	return d ? d : strcmp(x->path, y->path);
}

int interpreter_list(struct store *s, struct interpreter_list *ret, struct diag *diag)
{
	struct interpreter_list l = {0};
	auto_places struct places places = {0};
	int r = 0;

	for (int source = 0; r == 0 && source < PYTHON_N_SOURCES; source++)
		r = places_add(&places, (enum interpreter_source)source);
	for (size_t i = 0; r == 0 && i < places.n; i++) {
		auto_of(interpreter) struct interpreter *py = NULL;
		const struct place *p = &places.list[i];
		struct diag why = {{0}};

		if (is_too_old(&p->told))
			continue;
		r = interpreter_ask(s, p->path, false, &py, &why);
		if (r == -ENOMEM)
			break;
		if (r == 0 && is_listed(&l, py->executable))
			continue;
		if (r < 0 && !*why.text)
			diag_errno(&why, r, "%s", p->path);
		r = add(&l, p, py, &why);
	}
	if (r < 0) {
		interpreter_list_free(&l);
		return diag_errno(diag, r, "can not list the Pythons of this machine");
	}
	if (l.n)
		qsort(l.list, l.n, sizeof *l.list, by_version);
	*ret = l;
	return 0;
}
