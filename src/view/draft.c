/* SPDX-License-Identifier: MIT
 *
 * pyvenv.cfg while somebody writes it. The writer gets an inode of its own, a few KiB of text in
 * memory, and everybody else goes on seeing the published file: the kernel keeps one dentry per
 * name, so while a draft exists the name is not cached, and each walk is told by thread which of
 * the two it means. Drafts hang in the table under names that no path can spell.
 */
#include "view/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DRAFT_PREFIX "/draft/"

static void draft_name(uint32_t tid, char name[32])
{
	snprintf(name, 32, DRAFT_PREFIX "%u", tid);
}

struct inode *draft_find(struct view *v, struct inode *dir, uint32_t tid)
{
	struct inode *i;
	char name[32];
	bool over;

	draft_name(tid, name);
	i = inode_find(v->inodes, dir, name);
	if (!i)
		return NULL;
	inode_lock(i);
	over = i->flushed && !i->dirty;
	inode_unlock(i);
	if (!over)
		return i;
	inode_put(v->inodes, i);
	return NULL;
}

struct seed {
	uint32_t tid;
	uint64_t st_ino;
};

static void seed_draft(struct inode *i, void *arg)
{
	const struct seed *seed = arg;

	i->owner_tid = seed->tid;
	i->st_ino = seed->st_ino;
}

int draft_make(
	struct view *v, struct inode *dir, const struct str *text, uint32_t tid, struct inode **ret)
{
	struct seed seed = {.tid = tid};
	struct merged m;
	struct inode *i;
	char name[32];
	int r = merge_lookup(v, dir, CFG_NAME, &m);

	if (r < 0)
		return r;
	/* vim compares the number before and after it opened the file for writing */
	seed.st_ino = attr_number(dir, CFG_NAME, &m);
	draft_name(tid, name);
	i = inode_make(v->inodes, dir, name, INODE_DRAFT, seed_draft, &seed);
	if (!i)
		return -ENOMEM;
	inode_lock(i);
	str_truncate(&i->text, 0);
	i->refused = 0;
	i->flushed = false;
	if (text && text->len)
		r = str_add_mem(&i->text, text->p, text->len);
	i->dirty = !text; /* a created file is published even if nothing was written */
	inode_unlock(i);
	if (r < 0) {
		inode_put(v->inodes, i);
		return r;
	}
	*ret = i;
	return 0;
}

static void is_draft(struct inode *i, void *arg)
{
	if (i->kind == INODE_DRAFT)
		*(bool *)arg = true;
}

bool draft_any(struct view *v, struct inode *dir)
{
	bool any = false;

	inode_each_child(v->inodes, dir, is_draft, &any);
	return any;
}

int draft_publish(struct view *v, struct inode *i, const struct caller *who)
{
	auto_str struct str text = {0};
	struct inode *dir = inode_parent(i);
	int r = 0;

	inode_lock(i);
	i->flushed = true;
	if (i->refused) {
		r = i->refused;
		i->dirty = false;
	} else if (i->dirty && dir) {
		r = str_add_mem(&text, i->text.p ? i->text.p : "", i->text.len);
		i->dirty = r < 0;
	} else {
		dir = NULL;
	}
	inode_unlock(i);
	return r < 0 || !dir ? r : env_publish(v, dir, &text, who, false);
}
