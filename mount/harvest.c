/* SPDX-License-Identifier: MIT
 *
 * Harvests run here, outside of every handler: one thread waits for environments that were left
 * alone for a while, another does what commands ask for. A command sets user.venvfs.harvest to
 * "TOKEN ENV" and reads the attribute until it begins with its token: setxattr(2) holds a lock of
 * the kernel's on the top directory, so it only leaves the request there.
 */
#include "mount/session.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>

enum { N_ANSWERS = 16, TOKEN_MAX = 64, ANSWER_MAX = 63 * 1024 };

struct request {
	struct request *next;
	char *token, *env;
};

struct harvester {
	pthread_mutex_t mutex; /* what follows */
	pthread_cond_t more;
	struct request *first, **last;
	struct {
		char *token, *text;
	} answers[N_ANSWERS];
	size_t next_answer;
	bool stopped;
	bool waiting, asked; /* threads that run */
	pthread_t waiter, asker;
};

static void log_harvest(const char *env, const struct harvest *h)
{
	for (size_t i = 0; i < h->n; i++) {
		const struct harvest_item *x = &h->items[i];

		if (x->what != HARVEST_KEPT)
			log_msg("%s: %s %s %s", env,
				x->what == HARVEST_ADDED ? "harvested" : "without", x->name,
				x->version);
	}
}

static int harvest(struct session *s, const char *env, struct harvest *ret, struct diag *diag)
{
	int r = view_harvest(s->view, env, ret, diag);

	log_harvest(env, ret);
	if (ret->n && s->harvested)
		s->harvested(s->harvested_arg, ret);
	while (waitpid(-1, NULL, WNOHANG) > 0) /* those that were started for it before */
		;
	return r;
}

static void *wait_and_harvest(void *arg)
{
	struct session *s = arg;

	for (;;) {
		auto_str struct str env = {0};
		struct harvest h = {0};
		struct diag diag = {0};
		int r = view_harvest_wait(s->view, s->harvest_ns, &env);

		if (r == -ESHUTDOWN)
			return NULL;
		if (r == 0)
			r = harvest(s, env.p ? env.p : "", &h, &diag);
		/* what is gone meanwhile, or written to again, is no failure */
		if (r < 0 && r != -ENOENT && r != -EAGAIN && r != -EPERM && r != -EBUSY)
			log_msg("%s: %s", env.p ? env.p : "", diag_text(&diag, r));
		harvest_free(&h);
	}
}

static struct request *take(struct harvester *q)
{
	struct request *r;

	pthread_mutex_lock(&q->mutex);
	while (!q->first && !q->stopped)
		pthread_cond_wait(&q->more, &q->mutex);
	r = q->stopped ? NULL : q->first;
	if (r) {
		q->first = r->next;
		if (!q->first)
			q->last = &q->first;
	}
	pthread_mutex_unlock(&q->mutex);
	return r;
}

static void request_free(struct request *r)
{
	free(r->token);
	free(r->env);
	free(r);
}

/* An attribute has up to 64 KiB. */
static void cut(struct str *text)
{
	const char *end = memrchr(text->p, '\n', ANSWER_MAX);

	str_truncate(text, end ? (size_t)(end - text->p) + 1 : 0);
}

static void *answer_requests(void *arg)
{
	struct session *s = arg;
	struct harvester *q = s->harvester;
	struct request *ask;

	while ((ask = take(q))) {
		auto_str struct str text = {0};
		struct harvest h = {0};
		struct diag diag = {0};
		int r = harvest(s, ask->env, &h, &diag);

		if (r < 0)
			r = str_addf(&text, "error %d %s\n", -r, diag_text(&diag, r));
		else
			r = harvest_format(&h, &text);
		if (r == 0 && text.len > ANSWER_MAX)
			cut(&text);
		harvest_free(&h);
		pthread_mutex_lock(&q->mutex);
		free(q->answers[q->next_answer].token);
		free(q->answers[q->next_answer].text);
		q->answers[q->next_answer].token = steal_ptr(ask->token);
		q->answers[q->next_answer].text = r < 0 ? NULL : str_steal(&text);
		q->next_answer = (q->next_answer + 1) % N_ANSWERS;
		pthread_mutex_unlock(&q->mutex);
		request_free(ask);
	}
	return NULL;
}

int harvester_start(struct session *s)
{
	struct harvester *q = calloc(1, sizeof *q);
	int r;

	if (!q)
		return -ENOMEM;
	q->last = &q->first;
	pthread_mutex_init(&q->mutex, NULL);
	pthread_cond_init(&q->more, NULL);
	s->harvester = q;
	r = s->read_only || s->harvest_ns < 0
		    ? 0
		    : -pthread_create(&q->waiter, NULL, wait_and_harvest, s);
	q->waiting = r == 0 && !s->read_only && s->harvest_ns >= 0;
	if (r == 0)
		r = -pthread_create(&q->asker, NULL, answer_requests, s);
	q->asked = r == 0;
	return r;
}

void harvester_stop(struct session *s)
{
	struct harvester *q = s->harvester;

	if (!q)
		return;
	view_harvest_stop(s->view);
	pthread_mutex_lock(&q->mutex);
	q->stopped = true;
	pthread_cond_broadcast(&q->more);
	pthread_mutex_unlock(&q->mutex);
	if (q->waiting)
		pthread_join(q->waiter, NULL);
	if (q->asked)
		pthread_join(q->asker, NULL);
	for (struct request *r = q->first, *next; r; r = next) {
		next = r->next;
		request_free(r);
	}
	for (size_t i = 0; i < N_ANSWERS; i++) {
		free(q->answers[i].token);
		free(q->answers[i].text);
	}
	pthread_cond_destroy(&q->more);
	pthread_mutex_destroy(&q->mutex);
	free(q);
	s->harvester = NULL;
}

int harvester_ask(struct session *s, const char *value, size_t n)
{
	struct harvester *q = s->harvester;
	const char *blank = memchr(value, ' ', n);
	struct request *r;

	if (!blank || blank == value || blank - value > TOKEN_MAX || memchr(value, '\0', n))
		return -EINVAL;
	r = calloc(1, sizeof *r);
	if (!r)
		return -ENOMEM;
	r->token = strndup(value, (size_t)(blank - value));
	r->env = strndup(blank + 1, (size_t)(value + n - blank - 1));
	if (!r->token || !r->env) {
		request_free(r);
		return -ENOMEM;
	}
	pthread_mutex_lock(&q->mutex);
	*q->last = r;
	q->last = &r->next;
	pthread_cond_signal(&q->more);
	pthread_mutex_unlock(&q->mutex);
	return 0;
}

int harvester_answer(struct session *s, const char *token, struct str *out)
{
	struct harvester *q = s->harvester;
	int r = -ENODATA;

	pthread_mutex_lock(&q->mutex);
	for (size_t i = 0; i < N_ANSWERS; i++)
		if (q->answers[i].token && strcmp(q->answers[i].token, token) == 0)
			r = str_add(out, q->answers[i].text ? q->answers[i].text
							    : "error 12 out of memory\n");
	pthread_mutex_unlock(&q->mutex);
	return r;
}
