/* SPDX-License-Identifier: MIT
 *
 * Whole-buffer descriptor I/O, confined opens, and publishing a file so that it
 * is there whole or not at all. Everything returns 0 (or a count) or -errno.
 */
#ifndef BASE_IO_H
#define BASE_IO_H

#include "base/str.h"

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* reading and writing; short transfers and EINTR are handled */
ssize_t io_pread_full(int fd, void *buf, size_t n, off_t off); /* bytes read; less only at EOF */
int io_write_full(int fd, const void *buf, size_t n);
int io_pwrite_full(int fd, const void *buf, size_t n, off_t off);

/* Reads all of a regular file from its start, or of a pipe from where it is. -EFBIG if it has more than
 * `max` bytes. */
int io_slurp(int fd, size_t max, struct str *ret);
/* No link at the end of the path, and nothing that would have to be waited for. */
int io_slurp_at(int dirfd, const char *path, size_t max, struct str *ret);
/* A file that a person names: a link is followed, a pipe read to its end. */
int io_slurp_path(const char *path, size_t max, struct str *ret);

/* Copies `n` bytes from in_off to out_off: by reflink where the file system can
 * and the range allows, else copy_file_range, else read and write. -EIO if the
 * source is shorter. */
int io_copy(int in, off_t in_off, int out, off_t out_off, uint64_t n);

/* confined paths: openat2 with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS (| NO_MAGICLINKS);
 * `path` is relative to dirfd, "" means dirfd itself (reopened). -ELOOP or -EXDEV when
 * the path leaves. */
int io_open_beneath(int dirfd, const char *path, int flags, mode_t mode);
/* Makes `path` and all missing parents, beneath dirfd. An existing directory is a success. */
int io_mkdirs_at(int dirfd, const char *path, mode_t mode);

/* mkdir -p: `path` and all missing parents, following links as any path of a user does. An existing
 * directory is a success. */
int io_mkdir_p(const char *path, mode_t mode);

/* crash safety */
/* ".venvfs-tmp.PID.KIND<16 hex digits>.N": a name that no process has given before, also where process
 * ids begin anew (a container). The digits are this process's own. */
void io_temp_name(char name[64], const char *kind);
int io_fsync_dir_at(int dirfd, const char *path); /* "." for dirfd itself */
/* Writes `name` in dirfd whole or not at all, durably: a temporary ".venvfs-tmp.*"
 * beside it, fsync, rename, fsync of the directory. Replaces an existing file. */
int io_publish_at(int dirfd, const char *name, const void *buf, size_t n, mode_t mode);
/* Removes a tree without following links. Missing is a success. */
int io_remove_tree_at(int at, const char *path);

#endif
