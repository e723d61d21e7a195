/* SPDX-License-Identifier: MIT
 *
 * Read to the end before anything is done with it: whoever writes while readdir() runs may
 * meet his own files.
 */
#include "view/listing.h"

#include "base/array.h"
#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>

void listing_free(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->p[i]);
	free(l->p);
	*l = (struct listing){0};
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

bool listing_have(const struct listing *l, const char *name)
{
	return l->n && bsearch(&name, l->p, l->n, sizeof *l->p, name_compare);
}

int listing_read(int dirfd, struct listing *ret)
{
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *d = NULL;
	struct dirent *e;

	if (copy < 0)
		return -errno;
	d = fdopendir(copy);
	if (!d) {
		close(copy);
		return -ENOMEM;
	}
	while (errno = 0, (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (array_grow(ret->p, ret->cap, ret->n + 1) < 0)
			return -ENOMEM;
		ret->p[ret->n] = strdup(e->d_name);
		if (!ret->p[ret->n])
			return -ENOMEM;
		ret->n++;
	}
	if (errno)
		return -errno;
	if (ret->n)
		qsort(ret->p, ret->n, sizeof *ret->p, name_compare);
	return 0;
}
