/* SPDX-License-Identifier: MIT
 *
 * What the upper holds is made the least that shows the same over the new lower tree. Every step by
 * itself changes nothing that can be seen, so a crash, or a writer who comes in between, leaves
 * an environment that is merely less tidy. An inode that the kernel knows keeps its number: a
 * private file becomes what a store file is that somebody opened for writing and has not written to
 * (INODE_LAZY), so descriptors, mappings and a late writer go on as they are.
 */
#include "base/cleanup.h"
#include "base/io.h"
#include "py/metadata.h"
#include "view/generate.h"
#include "view/listing.h"
#include "view/state.h"

#include <fcntl.h>
#include <string.h>

enum { DEPTH_MAX = 256, COMPARE_MAX = 1 << 20 };

struct tidying {
	struct view *v;
	struct inode *top; /* the environment's directory */
	uint64_t changes;
	struct lower *lower; /* referenced: the environment may go, or get another of the same lock */
	enum cfg_lock lock_kind;
	struct digest lock;
	const struct held_table *held;
	const struct known_file *known;
	size_t n_known;
	size_t n_dropped;
	bool infos;	     /* .dist-info directories too */
	char *path, *prompt; /* for generated text */
};

/* The structure lock for writing, if nobody has changed anything. */
static int lock_unchanged(struct tidying *t)
{
	struct env *env;

	pthread_rwlock_wrlock(&t->v->lock);
	env = t->top->env;
	/* another tree of the same lock has other bytecode and nothing else */
	if (env && env->state == ENV_LIVE && env->changes == t->changes && env->lower &&
		env->lock_kind == t->lock_kind && digest_equal(&env->lock, &t->lock))
		return 0;
	pthread_rwlock_unlock(&t->v->lock);
	return -EAGAIN;
}

/* directories that hide the lower one */

static bool upper_has(const struct tidying *t, const char *path)
{
	return held_find(t->held, path, HELD_FILE) || held_find(t->held, path, HELD_LINK) ||
	       held_find(t->held, path, HELD_OTHER) || held_find(t->held, path, HELD_DIR);
}

/* Whether nothing would appear in an upper directory if the lower one did. */
static bool covers(struct tidying *t, const char *path, struct lower_dir *lower, unsigned depth)
{
	if (depth > DEPTH_MAX || lower_load(t->lower, lower) < 0)
		return false;
	for (size_t i = 0; i < lower->n; i++) {
		const struct lower_entry *e = &lower->entries[i];
		auto_str struct str below = {0};

		if (str_addf(&below, "%s%s%s", path, *path ? "/" : "", e->name) < 0)
			return false;
		if (e->derived || held_deleted(t->held, below.p))
			continue;
		if (e->type == LOWER_DIR && strcmp(e->name, "__pycache__") == 0 &&
			!upper_has(t, below.p))
			continue; /* bytecode that comes with its sources */
		if (!upper_has(t, below.p))
			return false;
		if (e->type == LOWER_DIR && held_find(t->held, below.p, HELD_DIR) &&
			!held_find(t->held, below.p, HELD_OPAQUE) &&
			!held_find(t->held, below.p, HELD_REDIRECT) &&
			!covers(t, below.p, e->dir, depth + 1))
			return false;
	}
	return true;
}

static bool hides(const struct tidying *t, const char *path)
{
	return held_find(t->held, path, HELD_OPAQUE) ||
	       (held_find(t->held, path, HELD_DIR) && held_deleted(t->held, path));
}

/* What lies under a path is found by that path: no directory above it was renamed, or hides. */
static bool is_in_place(const struct tidying *t, const char *path)
{
	auto_free char *up = strdup(path);

	for (char *slash; up && (slash = strrchr(up, '/'));) {
		*slash = '\0';
		if (held_find(t->held, up, HELD_REDIRECT) || hides(t, up))
			return false;
	}
	return up;
}

/* The marks of one directory, inside of it and beside it. */
static int unhide(struct tidying *t, int top, const char *path)
{
	auto_unlocked struct unlocked open = {.fd = -1}, open_up = {.fd = -1};
	auto_close int fd = io_open_beneath(top, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	auto_free char *parent = strndup(path, (size_t)(path_base(path) - path));
	auto_close int up = -1;

	if (fd < 0 || !parent)
		return fd < 0 ? fd : -ENOMEM;
	up = io_open_beneath(top, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (up < 0)
		return up;
	upper_unlock_at(t->v, t->top, fd, &open);
	upper_unlock_at(t->v, t->top, up, &open_up);
	upper_unwhiteout(up, path_base(path));
	return unlinkat(fd, WHITEOUT_OPAQUE, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int unhide_all(struct tidying *t, int top)
{
	bool any = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->held->n; i++) {
		const struct held *h = &t->held->p[i];
		struct lower_dir *lower = NULL;

		if (h->kind != HELD_DIR || !hides(t, h->path) ||
			held_find(t->held, h->path, HELD_REDIRECT) || !is_in_place(t, h->path))
			continue;
		r = lower_walk(t->lower, h->path, &lower);
		if (r < 0 || (lower && !covers(t, h->path, lower, 0)))
			continue;
		r = lock_unchanged(t);
		if (r < 0)
			break;
		r = unhide(t, top, h->path);
		any = any || r == 0;
		pthread_rwlock_unlock(&t->v->lock);
	}
	if (!any)
		return r;
	pthread_rwlock_wrlock(&t->v->lock); /* the directories that show again are found */
	if (t->top->env && t->top->env->lower)
		env_switch(t->v, t->top->env, lower_ref(t->top->env->lower), true);
	pthread_rwlock_unlock(&t->v->lock);
	return r;
}

/* files */

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct known_file *)a)->path, ((const struct known_file *)b)->path);
}

static const struct known_file *find_known(const struct tidying *t, const char *path)
{
	struct known_file key = {.path = path};

	return t->n_known ? bsearch(&key, t->known, t->n_known, sizeof key, by_path) : NULL;
}

static bool same_text(struct tidying *t, int dirfd, const char *name, const struct lower_entry *e)
{
	auto_str struct str is = {0}, would = {0};
	struct generate_env env = {.path = t->path, .prompt = t->prompt};

	if (io_slurp_at(dirfd, name, COMPARE_MAX, &is) < 0 ||
		generate(t->lower, e, &env, &would) < 0)
		return false;
	if (e->generated == GEN_INSTALLER && is.len + 1 == would.len)
		str_truncate(&would, is.len); /* uv writes no newline */
	return is.len == would.len && memcmp(is.p ? is.p : "", would.p ? would.p : "", is.len) == 0;
}

static bool same_target(int dirfd, const char *name, const struct lower_entry *e)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof target);

	return n >= 0 && (size_t)n == strlen(e->target) &&
	       memcmp(target, e->target, (size_t)n) == 0;
}

/* What an installer made is ours to make from now on, whatever its own words for it were. */
static bool stands_for(
	const struct tidying *t, const struct known_file *k, const struct lower_entry *e)
{
	const struct manifest *m;

	if (!k)
		return false;
	if (e->generated == GEN_RECORD || e->generated == GEN_ENTRY_POINT)
		return !k->digest;
	if (e->generated != GEN_SCRIPT)
		return false;
	m = lower_dist(t->lower, e->dist)->manifest;
	return k->digest && digest_equal(k->digest, &m->entries[e->index].digest);
}

/* The lower tree has what the upper has under this name. */
static bool is_same(struct tidying *t, int dirfd, const char *path, const struct stat *st,
	const struct lower_entry *e)
{
	const struct known_file *k = find_known(t, path);
	const struct entry *entry;

	switch ((enum lower_type)e->type) {
	case LOWER_FILE:
		if (!S_ISREG(st->st_mode) || !k || !k->digest || e->derived)
			return false;
		entry = &e->file_dist->manifest->entries[e->index];
		return digest_equal(k->digest, &entry->digest) &&
		       entry->exec == !!(st->st_mode & S_IXUSR);
	case LOWER_GENERATED:
		return S_ISREG(st->st_mode) && st->st_uid == t->v->uid &&
		       !(generate_mode(e) & 0111) == !(st->st_mode & 0111) &&
		       (stands_for(t, k, e) || same_text(t, dirfd, path_base(path), e));
	case LOWER_LINK:
		return S_ISLNK(st->st_mode) && same_target(dirfd, path_base(path), e);
	case LOWER_DIR:
		return false;
	}
	return false;
}

/* The kernel's object of a file whose upper half goes. inode_lock held. */
static int becomes_lower(struct inode *i, int dirfd, const char *name, const struct lower_entry *e)
{
	int r = 0;

	if (e->type == LOWER_GENERATED && i->n_open) /* its reader sees one text to the end */
		r = io_slurp_at(dirfd, name, COMPARE_MAX, &i->text);
	if (r == 0 && unlinkat(dirfd, name, 0) < 0)
		r = -errno;
	if (r < 0)
		return r;
	if (i->fd >= 0)
		close(steal_fd(&i->fd));
	i->fd_writable = false;
	i->size = i->text.p ? (int64_t)i->text.len : -1;
	if (e->type == LOWER_FILE) {
		i->dist = dist_ref(e->file_dist);
		i->entry = e->index;
	}
	i->kind = e->type == LOWER_FILE	  ? INODE_LAZY
		  : e->type == LOWER_LINK ? INODE_LINK
					  : INODE_GENERATED;
	return 0;
}

static int drop_file(struct tidying *t, struct inode *dir, int dirfd, const char *name,
	const struct lower_entry *e)
{
	struct inode *i = dir ? inode_find(t->v->inodes, dir, name) : NULL;
	int r = 0;

	if (!i) {
		if (upper_is_known_link(t->v, dirfd, name))
			return 1;
		r = unlinkat(dirfd, name, 0) < 0 ? -errno : 0;
	} else {
		inode_lock(i);
		/* one with several names is found by its number in the upper */
		r = i->kind == INODE_UPPER && !i->upper_ino ? becomes_lower(i, dirfd, name, e) : 1;
		inode_unlock(i);
		inode_put(t->v->inodes, i);
	}
	if (r == 0) {
		t->n_dropped++;
		if (dir)
			events_drop(t->v->events, dir->id, name);
	}
	return r;
}

/* directories */

struct tidy_dir {
	const struct tidy_dir *above; /* NULL: the environment's own */
	const char *name;
	int fd;
	const char *path;
	struct lower_dir *lower; /* what it lies over; NULL: nothing, or it hides it */
	struct inode *dir;	 /* with the structure lock; NULL: the kernel does not know it */
};

static int tidy_dir(struct tidying *t, struct tidy_dir *d, unsigned depth);

static bool plain_dir(const struct tidying *t, const struct stat *st)
{
	/* as the usual umasks make it; any other mode is somebody's wish */
	return ((st->st_mode & 07777) == 0755 || (st->st_mode & 07777) == 0775) &&
	       st->st_uid == t->v->uid;
}

static bool is_info(const char *name)
{
	return str_ends(name, ".dist-info");
}

/* An installer's own note in the .dist-info of what is in the store now, which no lock has room
 * for. */
static bool is_nobodys(const struct tidying *t, const struct tidy_dir *d, const char *path)
{
	static const char *const told[] = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"};
	const struct known_file *k = find_known(t, path);
	const char *base = path_base(path);

	for (size_t i = 0; i < sizeof told / sizeof *told; i++)
		if (strcmp(base, told[i]) == 0)
			return false; /* the lock has room for it, and it says something else */
	return k && !k->digest && d->lower && is_info(d->lower->name) && info_left_out(base);
}

/* With the structure lock. 1: it stays. */
static int tidy_name(struct tidying *t, struct tidy_dir *d, const char *name)
{
	const char *gone = whiteout_of(name);
	const struct lower_entry *e = NULL;
	auto_str struct str path = {0};
	struct stat st;
	int r = 0;

	if (d->lower)
		r = lower_lookup(t->lower, d->lower, gone ? gone : name, &e);
	if (r < 0)
		return r;
	if (gone)
		return e ? 1 : unlinkat(d->fd, name, 0) < 0 ? -errno : 0;
	if (upper_temp_is_old(name))
		return upper_drop(t->v, d->dir, d->fd, name) ? 0 : 1;
	if (name_reserved(name))
		return 1;
	if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	r = str_addf(&path, "%s%s%s", d->path, *d->path ? "/" : "", name);
	if (r < 0)
		return r;
	if (!e)
		return is_nobodys(t, d, path.p) && upper_drop(t->v, d->dir, d->fd, name) ? 0 : 1;
	if (S_ISDIR(st.st_mode)) {
		struct inode *i;

		if (e->type != LOWER_DIR || !plain_dir(t, &st))
			return 1;
		if (unlinkat(d->fd, name, AT_REMOVEDIR) < 0)
			return errno == ENOTEMPTY ? 1 : -errno;
		i = d->dir ? inode_find(t->v->inodes, d->dir, name) : NULL;
		if (i) {
			i->upper = false;
			events_inval(t->v->events, i->id);
			inode_put(t->v->inodes, i);
		}
		return 0;
	}
	return is_same(t, d->fd, path.p, &st, e) ? drop_file(t, d->dir, d->fd, name, e) : 1;
}

static int tidy_below(struct tidying *t, struct tidy_dir *d, const char *name, unsigned depth)
{
	auto_close int fd = io_open_beneath(d->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	auto_str struct str path = {0};
	const struct lower_entry *e = NULL;
	struct tidy_dir below = {.above = d, .name = name, .fd = fd};
	struct stat st;
	char mark[NAME_MAX + 1];
	int r = 0;

	if (fd < 0)
		return 0;
	if (str_addf(&path, "%s%s%s", d->path, *d->path ? "/" : "", name) < 0)
		return -ENOMEM;
	if (fstatat(fd, WHITEOUT_REDIRECT, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (d->lower)
		r = lower_lookup(t->lower, d->lower, name, &e);
	if (r < 0)
		return r;
	if (e && e->type == LOWER_DIR &&
		fstatat(fd, WHITEOUT_OPAQUE, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
		(whiteout_name(name, mark) < 0 ||
			fstatat(d->fd, mark, &st, AT_SYMLINK_NOFOLLOW) < 0))
		below.lower = e->dir;
	below.path = path.p;
	return tidy_dir(t, &below, depth + 1);
}

/* What the kernel knows of it at this moment: it may not have when the walk came by. Referenced, or
 * NULL. With the structure lock. */
static struct inode *find_inode(struct tidying *t, const struct tidy_dir *d)
{
	struct inode *up, *i;

	if (!d->above) {
		inode_ref(t->v->inodes, t->top);
		return t->top;
	}
	up = find_inode(t, d->above);
	i = up ? inode_find(t->v->inodes, up, d->name) : NULL;
	inode_put(t->v->inodes, up);
	return i;
}

/* What a directory shows of its time is the upper's: it stays as it is. */
static void keep_time(int fd, const struct stat *st)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};

	(void)!futimens(fd, times);
}

static int tidy_dir(struct tidying *t, struct tidy_dir *d, unsigned depth)
{
	auto_unlocked struct unlocked open = {.fd = -1};
	struct listing l = {0};
	struct stat st;
	int r = depth > DEPTH_MAX ? -ENAMETOOLONG : listing_read(d->fd, &l);

	if (r == 0 && fstat(d->fd, &st) < 0)
		r = -errno;
	upper_sweep(d->fd, &l);
	for (size_t i = 0; r == 0 && i < l.n; i++)
		if (!name_reserved(l.p[i]) && (t->infos || !is_info(l.p[i])))
			r = tidy_below(t, d, l.p[i], depth);
	if (r == 0)
		r = lock_unchanged(t);
	if (r == 0) {
		d->dir = find_inode(t, d);
		upper_unlock_at(t->v, d->dir ? d->dir : t->top, d->fd, &open);
		for (size_t i = 0; r >= 0 && i < l.n; i++)
			if (strcmp(l.p[i], "RECORD") != 0)
				r = tidy_name(t, d, l.p[i]);
		if (r >= 0 && listing_have(&l, "RECORD"))
			r = tidy_name(t, d, "RECORD");
		keep_time(d->fd, &st);
		upper_lock(&open);
		inode_put(t->v->inodes, d->dir);
		pthread_rwlock_unlock(&t->v->lock);
	}
	listing_free(&l);
	return r < 0 ? r : 0;
}

static int prepare(struct tidying *t)
{
	auto_str struct str path = {0};
	int r;

	pthread_rwlock_rdlock(&t->v->lock);
	if (t->top->env && t->top->env->lower) {
		t->lower = lower_ref(t->top->env->lower);
		t->lock_kind = t->top->env->lock_kind;
		t->lock = t->top->env->lock;
		t->prompt = t->top->env->prompt ? strdup(t->top->env->prompt) : NULL;
		r = str_add(&path, t->v->root);
		if (r == 0)
			r = inode_path(t->top, &path);
	} else {
		r = -EAGAIN;
	}
	pthread_rwlock_unlock(&t->v->lock);
	t->path = r == 0 ? str_steal(&path) : NULL;
	return r;
}

int tidy(struct view *v, struct inode *dir, uint64_t changes, const struct held_table *held,
	const struct known_file *known, size_t n_known, size_t *ret_dropped)
{
	struct tidying t = {.v = v,
		.top = dir,
		.changes = changes,
		.held = held,
		.known = known,
		.n_known = n_known};
	auto_close int path = -1, fd = -1;
	struct tidy_dir top = {.path = ""};
	int r = prepare(&t);

	if (r == 0) {
		pthread_rwlock_rdlock(&v->lock);
		path = upper_open(v, dir);
		pthread_rwlock_unlock(&v->lock);
		r = fd = path < 0 ? path
				  : io_open_beneath(
					    path, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	}
	if (r >= 0)
		r = unhide_all(&t, fd);
	top.fd = fd;
	top.lower = r >= 0 ? lower_root(t.lower) : NULL;
	/* RECORD last of all: cut short, what it names can be found again */
	if (r >= 0)
		r = tidy_dir(&t, &top, 0);
	t.infos = true;
	if (r >= 0)
		r = tidy_dir(&t, &top, 0);
	if (r >= 0) {
		r = lock_unchanged(&t);
		if (r == 0) {
			pycs_drop(v, dir->env);
			pthread_rwlock_unlock(&v->lock);
		}
	}
	events_wait(v->events);
	*ret_dropped = t.n_dropped;
	lower_unref(t.lower);
	free(t.path);
	free(t.prompt);
	return r < 0 ? r : 0;
}
