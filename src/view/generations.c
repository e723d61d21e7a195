/* SPDX-License-Identifier: MIT
 *
 * Lines "TIME LOCK" tell what was left, whoever did it, so with the present lock they are all that
 * an environment ever had, in order. A line "TIME undo LOCK" in front of such a line says what the
 * change was meant as; it counts only if that lock is what came next, so that being killed between
 * the two writes does no harm. What can be undone is no list of its own: it is worked out from
 * these each time.
 */
#include "view/generations.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/io.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

enum { FILE_MAX = 16 * 1024 * 1024 };
static const char file_name[] = ".venvfs/generations";

bool generation_equal(const struct generation *a, const struct generation *b)
{
	return a->none == b->none && (a->none || digest_equal(&a->lock, &b->lock));
}

bool generation_of_cfg(const struct cfg *cfg, struct generation *ret)
{
	*ret = (struct generation){.none = cfg->lock_kind == CFG_LOCK_NONE, .lock = cfg->lock};
	return cfg->lock_kind != CFG_LOCK_ABSENT;
}

static int append(int dirfd, const char *word, const struct generation *g)
{
	char line[160], hex[DIGEST_HEX + 1];
	auto_close int fd = -1;
	int n, r;

	if (mkdirat(dirfd, ".venvfs", 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = io_open_beneath(dirfd, file_name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		return fd;
	digest_format(&g->lock, hex);
	n = snprintf(line, sizeof line, "%lld %s%s%s\n", (long long)time(NULL), word,
		g->none ? "none" : "sha256:", g->none ? "" : hex);
	r = io_write_full(fd, line, (size_t)n);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r < 0 ? r : io_fsync_dir_at(dirfd, ".venvfs");
}

int generations_leave(int dirfd, const struct generation *left)
{
	struct stat st;

	/* every history begins so: an environment that was given its lock needs no file for that */
	if (left->none && fstatat(dirfd, file_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return append(dirfd, "", left);
}

int generations_undo(int dirfd, const struct generation *to)
{
	return append(dirfd, "undo ", to);
}

int generations_redo(int dirfd, const struct generation *to)
{
	return append(dirfd, "redo ", to);
}

enum meant { MEANT_CHANGE, MEANT_UNDO, MEANT_REDO };

struct line {
	enum meant meant; /* UNDO, REDO: a line that only announces */
	struct generation g;
};

/* False for what is no line of ours (torn by a full disk, say). */
static bool parse(const char *p, size_t n, struct line *ret)
{
	char text[160], word[96], *rest;
	size_t len;

	if (n >= sizeof text)
		return false;
	memcpy(text, p, n);
	text[n] = '\0';
	*ret = (struct line){.g.time = strtoll(text, &rest, 10)};
	if (rest == text || *rest++ != ' ')
		return false;
	if (str_starts(rest, "undo "))
		ret->meant = MEANT_UNDO;
	else if (str_starts(rest, "redo "))
		ret->meant = MEANT_REDO;
	if (ret->meant)
		rest += strlen("undo ");
	len = strlen(rest);
	if (len >= sizeof word)
		return false;
	ret->g.none = strcmp(rest, "none") == 0;
	return ret->g.none ||
	       (str_starts(rest, "sha256:") && digest_parse(rest + 7, len - 7, &ret->g.lock) == 0);
}

static int push(struct generation **p, size_t *n, size_t *cap, const struct generation *g)
{
	int r = array_grow_raw((void **)p, cap, *n + 1, sizeof **p);

	if (r == 0)
		(*p)[(*n)++] = *g;
	return r;
}

static bool tops(const struct generation *p, size_t n, const struct generation *g)
{
	return n && generation_equal(&p[n - 1], g);
}

/* `left` was left for `next`; `meant` and `to` are of the announcement in front of it. */
static int step(struct generations *g, const struct generation *left, const struct generation *next,
	const struct line *announced)
{
	bool kept = announced->meant && generation_equal(&announced->g, next);

	if (generation_equal(left, next))
		return 0;
	if (kept && announced->meant == MEANT_UNDO && tops(g->past, g->n_past, next)) {
		g->n_past--;
		return push(&g->undone, &g->n_undone, &g->cap_undone, left);
	}
	if (kept && announced->meant == MEANT_REDO && tops(g->undone, g->n_undone, next))
		g->n_undone--;
	else
		g->n_undone = 0;
	return push(&g->past, &g->n_past, &g->cap_past, left);
}

int generations_read(int dirfd, const struct generation *now, struct generations *ret)
{
	struct line line, announced = {0}, left = {.g.none = true}, left_announced = {0};
	auto_str struct str text = {0};
	int r = io_slurp_at(dirfd, file_name, FILE_MAX, &text);

	if (r < 0 && r != -ENOENT)
		return r;
	r = 0;
	for (const char *p = text.p; r == 0 && p && *p;) {
		size_t n = strcspn(p, "\n");

		if (!parse(p, n, &line)) {
			/* nothing was done by it */
		} else if (line.meant) {
			announced = line;
		} else {
			r = step(ret, &left.g, &line.g, &left_announced);
			left = line;
			left_announced = announced;
			announced = (struct line){0};
		}
		p += n + (p[n] == '\n');
	}
	if (r == 0)
		r = step(ret, &left.g, now, &left_announced);
	return r;
}

int generations_left(int dirfd, struct generation **ret, size_t *ret_n)
{
	auto_free struct generation *all = NULL;
	auto_str struct str text = {0};
	size_t n = 0, cap = 0;
	struct line line;
	int r = io_slurp_at(dirfd, file_name, FILE_MAX, &text);

	if (r == -ENOENT)
		r = 0;
	for (const char *p = text.p; r == 0 && p && *p;) {
		size_t len = strcspn(p, "\n");

		if (parse(p, len, &line) && !line.meant)
			r = push(&all, &n, &cap, &line.g);
		p += len + (p[len] == '\n');
	}
	if (r < 0)
		return r;
	*ret = steal_ptr(all);
	*ret_n = n;
	return 0;
}

void generations_free(struct generations *g)
{
	free(g->past);
	free(g->undone);
	*g = (struct generations){0};
}
