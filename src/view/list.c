/* SPDX-License-Identifier: MIT
 *
 * Listings. A cookie is a hash of the name, and names are listed in the order of their
 * hashes: so it stays good when names come and go, and no state is kept between calls (the mount
 * answers ENOSYS to OPENDIR). pyvenv.cfg is first: who deletes an environment file by file then
 * dissolves it with the first call. A few listings are remembered, since the kernel asks for a
 * large directory in pieces.
 */
#include "base/array.h"
#include "base/cleanup.h"
#include "store/checksum.h"
#include "view/state.h"

#include <fcntl.h>
#include <string.h>

enum { COOKIE_SELF = 1, COOKIE_PARENT = 2, COOKIE_CFG = 3, COOKIE_FIRST = 16 };

struct item {
	char *name;
	uint64_t cookie, ino;
	mode_t type;
	bool costly;
};

struct snapshot {
	uint64_t dir;
	uint32_t version;
	const struct lower_dir *lower;
	unsigned users; /* the view's mutex */
	struct item *items;
	size_t n, cap;
};

static void snapshot_free(struct snapshot *l)
{
	if (!l)
		return;
	for (size_t k = 0; k < l->n; k++)
		free(l->items[k].name);
	free(l->items);
	free(l);
}

void snapshots_free(struct view *v)
{
	for (size_t k = 0; k < N_SNAPSHOTS; k++)
		snapshot_free(v->snapshots[k]);
}

static int each_upper(struct view *v, struct inode *dir, int dirfd,
	int (*f)(void *arg, const char *name, const struct merged *m), void *arg)
{
	auto_closedir DIR *d = NULL;
	struct dirent *e;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d) {
		r = -errno;
		close(fd);
		return r;
	}
	while (r == 0 && (errno = 0, e = readdir(d))) {
		struct merged m;

		if (e->d_name[0] == '.' &&
			(!e->d_name[1] || (e->d_name[1] == '.' && !e->d_name[2])))
			continue;
		if (name_reserved(e->d_name))
			continue;
		r = merge_lookup_at(v, dir, dirfd, e->d_name, &m);
		if (r == 0 && m.what == NAME_UPPER)
			r = f(arg, e->d_name, &m);
	}
	return r ? r : -errno;
}

/* Calls `f` for each name that shows, in no order, until it returns non-zero. Structure lock. */
int list_each(struct view *v, struct inode *dir,
	int (*f)(void *arg, const char *name, const struct merged *m), void *arg)
{
	auto_close int fd = -1;
	struct env *env = env_of(dir);
	int r = 0;

	if (dir->upper) {
		fd = upper_open(v, dir);
		r = fd < 0 ? fd : each_upper(v, dir, fd, f, arg);
	}
	if (r || !dir->lower || !env || !env->lower)
		return r;
	r = lower_load(env->lower, dir->lower);
	for (size_t k = 0; r == 0 && k < dir->lower->n; k++) {
		struct merged m;

		r = merge_lookup_at(v, dir, fd, dir->lower->entries[k].name, &m);
		if (r == 0 && m.what == NAME_LOWER)
			r = f(arg, dir->lower->entries[k].name, &m);
	}
	return r;
}

static mode_t type_of(const struct merged *m)
{
	if (m->what == NAME_UPPER)
		return m->st.st_mode & S_IFMT;
	switch ((enum lower_type)m->lower->type) {
	case LOWER_DIR:
		return S_IFDIR;
	case LOWER_LINK:
		return S_IFLNK;
	default:
		return S_IFREG;
	}
}

struct building {
	struct snapshot *list;
	struct inode *dir;
};

static int add_item(struct snapshot *l, const char *name, uint64_t cookie, uint64_t ino,
	mode_t type, bool costly)
{
	char *copy = strdup(name);

	if (!copy || array_grow(l->items, l->cap, l->n + 1) < 0) {
		free(copy);
		return -ENOMEM;
	}
	l->items[l->n++] = (struct item){
		.name = copy, .cookie = cookie, .ino = ino, .type = type, .costly = costly};
	return 0;
}

static int add_name(void *arg, const char *name, const struct merged *m)
{
	struct building *b = arg;
	uint64_t cookie = checksum_keyed(name, strlen(name)) >> 1;

	if (strcmp(name, CFG_NAME) == 0)
		cookie = COOKIE_CFG;
	else if (cookie < COOKIE_FIRST)
		cookie += COOKIE_FIRST;
	return add_item(b->list, name, cookie, attr_number(b->dir, name, m), type_of(m),
		m->what == NAME_LOWER && m->lower->type == LOWER_GENERATED &&
			m->lower->generated == GEN_RECORD);
}

static int by_cookie(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return x->cookie != y->cookie ? (x->cookie > y->cookie ? 1 : -1) : strcmp(x->name, y->name);
}

static int build(struct view *v, struct inode *dir, struct snapshot **ret)
{
	struct snapshot *l = calloc(1, sizeof *l);
	struct building b = {.list = l, .dir = dir};
	struct inode *up = inode_parent(dir);
	int r;

	if (!l)
		return -ENOMEM;
	l->dir = dir->id;
	l->version = dir->version;
	l->lower = dir->lower;
	r = add_item(l, ".", COOKIE_SELF, dir->st_ino, S_IFDIR, true);
	if (r == 0)
		r = add_item(l, "..", COOKIE_PARENT, up ? up->st_ino : INODE_ROOT, S_IFDIR, true);
	if (r == 0)
		r = list_each(v, dir, add_name, &b);
	/* saved aside, pyvenv.cfg is there for everybody but the editor that is saving it */
	if (r == 0 && dir->env && dir->env->state == ENV_ASIDE)
		r = add_item(
			l, CFG_NAME, COOKIE_CFG, attr_number(dir, CFG_NAME, NULL), S_IFREG, true);
	if (r < 0) {
		snapshot_free(l);
		return r;
	}
	qsort(l->items, l->n, sizeof *l->items, by_cookie);
	*ret = l;
	return 0;
}

/* A remembered listing that is still true, or a new one. */
static int take(struct view *v, struct inode *dir, bool fresh, struct snapshot **ret)
{
	struct snapshot *l = NULL, *old = NULL;
	int r;

	pthread_mutex_lock(&v->mutex);
	for (size_t k = 0; k < N_SNAPSHOTS && !l && !fresh; k++) {
		struct snapshot *x = v->snapshots[k];

		if (x && x->dir == dir->id && x->version == dir->version &&
			x->lower == dir->lower) {
			l = x;
			l->users++;
		}
	}
	pthread_mutex_unlock(&v->mutex);
	if (l) {
		*ret = l;
		return 0;
	}
	r = build(v, dir, &l);
	if (r < 0)
		return r;
	l->users = 2; /* the caller and the memory */
	pthread_mutex_lock(&v->mutex);
	old = v->snapshots[v->next_snapshot % N_SNAPSHOTS];
	v->snapshots[v->next_snapshot++ % N_SNAPSHOTS] = l;
	if (old && --old->users)
		old = NULL;
	pthread_mutex_unlock(&v->mutex);
	snapshot_free(old);
	*ret = l;
	return 0;
}

static void give_back(struct view *v, struct snapshot *l)
{
	bool last;

	pthread_mutex_lock(&v->mutex);
	last = --l->users == 0;
	pthread_mutex_unlock(&v->mutex);
	if (last)
		snapshot_free(l);
}

int view_readdir(struct view *v, uint64_t dir_ino, off_t off,
	int (*each)(void *arg, const struct view_list_entry *e), void *arg)
{
	struct inode *dir = inode_get(v->inodes, dir_ino);
	struct snapshot *l;
	size_t a = 0, b;
	int r;

	if (!dir)
		return -ESTALE;
	if (dir->kind != INODE_DIR)
		return -ENOTDIR;
	r = env_check(v, dir);
	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&v->lock);
	r = take(v, dir, off == 0, &l);
	pthread_rwlock_unlock(&v->lock);
	if (r < 0)
		return r;
	for (b = l->n; a < b;) { /* the first behind `off` */
		size_t mid = (a + b) / 2;

		if (l->items[mid].cookie <= (uint64_t)off)
			a = mid + 1;
		else
			b = mid;
	}
	for (; a < l->n; a++) {
		const struct item *i = &l->items[a];
		struct view_list_entry e = {
			.name = i->name,
			.ino = i->ino,
			.type = i->type,
			.next = (off_t)i->cookie,
			.costly = i->costly,
		};

		if (each(arg, &e))
			break;
	}
	give_back(v, l);
	return 0;
}
