/* SPDX-License-Identifier: MIT
 *
 * Scope exit and hand-over. Declare at -1 or NULL with an auto_ attribute,
 * acquire, and on success give the resource away with steal_*. errno survives
 * every cleanup, so "return -errno" may follow an acquired resource.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_fclose(FILE **f)
{
	int saved = errno;

	if (*f)
		fclose(*f);
	errno = saved;
}

static inline void cleanup_closedir(DIR **d)
{
	int saved = errno;

	if (*d)
		closedir(*d);
	errno = saved;
}

#define auto_free __attribute__((cleanup(cleanup_free)))
#define auto_close __attribute__((cleanup(cleanup_close)))
#define auto_fclose __attribute__((cleanup(cleanup_fclose)))
#define auto_closedir __attribute__((cleanup(cleanup_closedir)))

/* Defines the cleanup function of `type *`, for use as auto_of(type). */
#define CLEANUP_DEFINE(type, free_func)                                                            \
	static inline void cleanup_##type(struct type **p)                                         \
	{                                                                                          \
		free_func(*p);                                                                     \
	}
#define auto_of(type) __attribute__((cleanup(cleanup_##type)))

#define steal_ptr(p)                                                                               \
	({                                                                                         \
		__typeof__(p) steal_ptr_ = (p);                                                    \
		(p) = NULL;                                                                        \
		steal_ptr_;                                                                        \
	})

static inline int steal_fd(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

#endif
