/* SPDX-License-Identifier: MIT
 *
 * What stat(2) shows. Three kinds of st_ino: a store file shows its number
 * (one for all environments); a private file the upper's own, marked; whatever the view puts at a
 * name (directories, generated text, a private version of a view file) a hash of (environment,
 * path), which neither a forgotten inode nor a new copy changes, so that lstat, open, fstat agree.
 */
#include "base/cleanup.h"
#include "store/checksum.h"
#include "view/generate.h"
#include "view/state.h"

#include <fcntl.h>
#include <string.h>

#define INO_UPPER (1ull << 62)
#define INO_VIEW (INO_UPPER | INO_UPPER >> 1)
#define INO_HASH (INO_UPPER >> 2)
/* cp(1) goes by number: what it copies into must not be an environment before all else is there */
#define INO_CFG (INO_VIEW | INO_HASH)

static uint64_t upper_ino(const struct stat *st)
{
	return INO_UPPER | (st->st_ino & (INO_UPPER / 2 - 1));
}

static uint64_t lower_hash(const struct lower_dir *d)
{
	return d->parent ? lower_hash(d->parent) * 0x9e3779b97f4a7c15ull +
				   checksum(d->name, strlen(d->name))
			 : 1;
}

uint64_t attr_number_changed(const struct inode *dir, const char *name)
{
	const struct env *env = env_of(dir);
	uint64_t h = (dir->lower ? lower_hash(dir->lower) : 0) * 0x9e3779b97f4a7c15ull +
		     checksum(name, strlen(name));

	h ^= (env ? env->dir->st_ino : 0) * 0xc2b2ae3d27d4eb4full;
	return INO_VIEW | (h & (INO_HASH - 1));
}

uint64_t attr_number(const struct inode *dir, const char *name, const struct merged *m)
{
	if (dir->env && strcmp(name, CFG_NAME) == 0)
		return INO_CFG | (dir->st_ino & (INO_HASH - 1));
	if (m->what == NAME_UPPER && !m->lower)
		return upper_ino(&m->st);
	if (m->what == NAME_LOWER && m->lower->type == LOWER_FILE)
		return inode_store_id(m->lower->file_dist, m->lower->index);
	return attr_number_changed(dir, name);
}

void attr_store(struct view *v, const struct dist *d, size_t entry, struct stat *ret)
{
	const struct entry *e = &d->manifest->entries[entry];

	*ret = (struct stat){
		.st_ino = inode_store_id(d, entry),
		.st_mode = S_IFREG | (e->exec ? 0755 : 0644),
		.st_nlink = 1, /* more would let tar and rsync link files of two environments */
		.st_uid = v->uid,
		.st_gid = v->gid,
		.st_size = (off_t)e->size,
		.st_blocks = e->size ? 1 : 0, /* none of these bytes are this environment's */
		.st_blksize = 4096,
		.st_atim = d->mtime,
		.st_mtim = d->mtime,
		.st_ctim = d->mtime,
	};
}

static bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

struct timespec attr_dir_time(struct view *v, const struct inode *dir, const struct stat *upper)
{
	struct env *env = env_of(dir);
	struct timespec t = upper ? upper->st_mtim : v->root_st.st_mtim;

	if (env && dir->lower) {
		struct timespec view =
			dir->lower->merged || dir == env->dir ? env->time : dir->lower->mtime;

		if (!upper || later(view, t))
			t = view;
	} else if (env && !upper) { /* a ghost or a directory of a lower that went */
		t = env->time;
	}
	return t;
}

static int attr_dir(struct view *v, struct inode *i, struct stat *ret)
{
	struct stat upper;
	bool have = false;

	if (!inode_parent(i) && i->id != INODE_ROOT) { /* removed, and some process is in it */
		ret->st_mode = S_IFDIR | 0755;
		ret->st_nlink = 0;
		ret->st_mtim = v->root_st.st_mtim;
		return 0;
	}
	if (i->upper) {
		auto_close int fd = upper_open(v, i);

		if (fd < 0)
			return fd;
		if (fstat(fd, &upper) < 0)
			return -errno;
		have = true;
		*ret = upper;
	} else {
		*ret = (struct stat){.st_mode = S_IFDIR | 0755,
			.st_uid = v->uid,
			.st_gid = v->gid,
			.st_blksize = 4096};
	}
	ret->st_mtim = attr_dir_time(v, i, have ? &upper : NULL);
	if (!have || later(ret->st_mtim, ret->st_ctim))
		ret->st_ctim = ret->st_mtim;
	if (!have)
		ret->st_atim = ret->st_mtim;
	ret->st_nlink = 1; /* "not counted": walkers that trust the number must list */
	return 0;
}

static int attr_upper(struct view *v, struct inode *i, struct stat *ret)
{
	int r = 0;

	inode_lock(i);
	if (i->fd >= 0) {
		r = fstat(i->fd, ret) < 0 ? -errno : 0;
	} else {
		auto_close int fd = upper_handle(v, i);

		r = fd < 0 ? fd : fstat(fd, ret) < 0 ? -errno : 0;
	}
	inode_unlock(i);
	return r;
}

/* A writer may make it private at this very moment. */
static int attr_lazy(struct view *v, struct inode *i, struct stat *ret)
{
	bool lazy;

	inode_lock(i);
	lazy = i->kind == INODE_LAZY;
	if (lazy)
		attr_store(v, i->dist, i->entry, ret);
	inode_unlock(i);
	return lazy ? 0 : attr_upper(v, i, ret);
}

static int attr_generated(struct view *v, struct inode *i, struct stat *ret)
{
	struct inode *dir = inode_parent(i);
	struct env *env = env_of(i);
	struct merged m;
	int r = 0;

	inode_lock(i);
	if (!i->text.p && i->size < 0) {
		auto_str struct str text = {0};

		r = env_generate(v, i, &text);
		if (r == 0)
			i->size = (int64_t)text.len;
	}
	/* who has it open reads on what it was then */
	ret->st_size = i->text.p ? (off_t)i->text.len : i->size;
	inode_unlock(i);
	if (r < 0)
		return r;
	ret->st_mode = S_IFREG | 0644;
	if (dir) {
		r = merge_lookup(v, dir, i->name, &m);
		if (r < 0)
			return r;
		if (m.lower)
			ret->st_mode = S_IFREG | generate_mode(m.lower);
		ret->st_mtim = env ? env->time : v->root_st.st_mtim;
	}
	ret->st_blocks = ret->st_size ? 1 : 0;
	return 0;
}

static int attr_link(struct view *v, struct inode *i, struct stat *ret)
{
	struct inode *dir = inode_parent(i);
	struct env *env = env_of(i);
	struct merged m;
	int r = dir ? merge_lookup(v, dir, i->name, &m) : -ENOENT;

	if (r < 0 || !m.lower || !m.lower->target || !env)
		return r < 0 ? r : -ENOENT;
	ret->st_mode = S_IFLNK | 0777;
	ret->st_size = (off_t)strlen(m.lower->target);
	ret->st_mtim = env->time;
	return 0;
}

static int attr_cfg(struct view *v, struct inode *i, struct stat *ret)
{
	struct inode *dir = inode_parent(i);
	struct env *env = dir ? dir->env : NULL;

	if (i->kind == INODE_DRAFT) {
		inode_lock(i);
		ret->st_size = (off_t)i->text.len;
		inode_unlock(i);
		ret->st_mode = S_IFREG | 0644;
		clock_gettime(CLOCK_REALTIME, &ret->st_mtim);
		return 0;
	}
	if (!env)
		return -ENOENT;
	if (env->state == ENV_LIVE) {
		auto_close int fd = upper_open(v, env->dir);
		struct stat st;

		if (fd >= 0 && fstatat(fd, CFG_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0)
			*ret = st;
	}
	ret->st_mode = S_IFREG | ((ret->st_mode ? ret->st_mode : 0644) & 07777);
	ret->st_size = (off_t)env->text.len;
	ret->st_mtim = env->time;
	return 0;
}

int attr_inode(struct view *v, struct inode *i, struct stat *ret)
{
	int r = 0;

	*ret = (struct stat){.st_nlink = 1, .st_uid = v->uid, .st_gid = v->gid, .st_blksize = 4096};
	switch ((enum inode_kind)i->kind) {
	case INODE_DIR:
		r = attr_dir(v, i, ret);
		break;
	case INODE_UPPER:
		r = attr_upper(v, i, ret);
		break;
	case INODE_LAZY:
		r = attr_lazy(v, i, ret);
		break;
	case INODE_GENERATED:
		r = attr_generated(v, i, ret);
		break;
	case INODE_LINK:
		r = attr_link(v, i, ret);
		break;
	case INODE_CFG:
	case INODE_DRAFT:
		r = attr_cfg(v, i, ret);
		break;
	}
	if (r < 0)
		return r;
	if (i->gone && i->kind != INODE_UPPER) /* deleted, and somebody has it open */
		ret->st_nlink = 0;
	if (!ret->st_ctim.tv_sec && !ret->st_atim.tv_sec)
		ret->st_atim = ret->st_ctim = ret->st_mtim;
	ret->st_ino = i->st_ino;
	return 0;
}
