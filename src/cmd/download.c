/* SPDX-License-Identifier: MIT
 *
 * One thread and one curl multi handle: a wheel's bytes are hashed faster than a network brings
 * them, so threads would only add locks. The largest files go first, so that none is left alone at
 * the end.
 *
 * libcurl is loaded when something is to be downloaded: with the thirty libraries behind it,
 * linking it would take longer than all else that a command does which finds everything in the
 * store.
 */
#include "cmd/download.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>

enum {
	PARALLEL = 8,
	CONNECT_SECONDS = 30,
	STALL_SECONDS = 60, /* without one byte */
};
static const uint64_t SIZE_MAX_ANY = 64ull << 30;

#define FUNCTIONS(F)                                                                               \
	F(easy_cleanup)                                                                            \
	F(easy_getinfo)                                                                            \
	F(easy_init)                                                                               \
	F(easy_setopt)                                                                             \
	F(easy_strerror)                                                                           \
	F(global_cleanup)                                                                          \
	F(global_init)                                                                             \
	F(multi_add_handle)                                                                        \
	F(multi_cleanup)                                                                           \
	F(multi_info_read)                                                                         \
	F(multi_init)                                                                              \
	F(multi_perform)                                                                           \
	F(multi_poll)                                                                              \
	F(multi_remove_handle)
#define DECLARE(name) __typeof__(&curl_##name) name;
static struct {
	FUNCTIONS(DECLARE)
} api;
#undef DECLARE

static int load(struct diag *diag)
{
	static const char name[] = "libcurl.so.4";
	static bool loaded;
	void *lib, *found;

	if (loaded)
		return 0;
	lib = dlopen(name, RTLD_NOW | RTLD_LOCAL);
#define FIND(function)                                                                             \
	found = lib ? dlsym(lib, "curl_" #function) : NULL;                                        \
	if (!found)                                                                                \
		return diag_set(diag, -ELIBACC,                                                    \
			"%s is needed to download: %s (on Debian: apt install libcurl4)", name,    \
			dlerror());                                                                \
	memcpy(&api.function, &found, sizeof found);
	FUNCTIONS(FIND)
#undef FIND
	loaded = true;
	return 0;
}

struct transfer {
	struct download *d;
	CURL *easy;
	struct hasher *hasher;
	int fd;
	uint64_t have;
	int tries;
	int write_err;
	char why[CURL_ERROR_SIZE];
};

struct job {
	int dir;
	CURLM *multi;
	struct transfer slots[PARALLEL];
	const struct download_events *events;
	uint64_t done, total;
};

static size_t on_bytes(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	uint64_t limit = t->d->size ? t->d->size : SIZE_MAX_ANY;

	n *= size;
	if (n > limit - t->have) {
		t->write_err = diag_set(&t->d->diag, -EBADMSG,
			"%s is longer than the %llu bytes it "
			"should have",
			t->d->file, (unsigned long long)limit);
		return 0;
	}
	t->write_err = io_write_full(t->fd, p, n);
	if (t->write_err == 0)
		t->write_err = hasher_add(t->hasher, p, n);
	if (t->write_err < 0) {
		diag_errno(&t->d->diag, t->write_err, "can not write %s", t->d->file);
		return 0;
	}
	t->have += n;
	return n;
}

/* libcurl itself asks the environment for proxies, but not for certificates. */
static const char *certificates(void)
{
	static const char *const names[] = {
		"CURL_CA_BUNDLE", "SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *path = getenv(names[i]);

		if (path && *path && access(path, R_OK) == 0)
			return path;
	}
	return NULL;
}

static CURLcode set_protocols(CURL *easy, const char *url)
{
	bool secure = strncasecmp(url, "https:", 6) == 0;
	CURLcode c;

#if LIBCURL_VERSION_NUM >= 0x075500
	c = api.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http,file");
	if (c == CURLE_OK)
		c = api.easy_setopt(
			easy, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "https,http");
#else
	c = api.easy_setopt(
		easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTPS | CURLPROTO_HTTP | CURLPROTO_FILE);
	if (c == CURLE_OK)
		c = api.easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS,
			secure ? CURLPROTO_HTTPS : CURLPROTO_HTTPS | CURLPROTO_HTTP);
#endif
	return c;
}

static CURLcode set_options(CURL *easy, struct transfer *t)
{
	const char *ca = certificates();
	CURLcode c = set_protocols(easy, t->d->url);

#define SET(option, value)                                                                         \
	do {                                                                                       \
		if (c == CURLE_OK)                                                                 \
			c = api.easy_setopt(easy, option, value);                                  \
	} while (0)
	SET(CURLOPT_URL, t->d->url);
	SET(CURLOPT_PRIVATE, t);
	SET(CURLOPT_WRITEFUNCTION, on_bytes);
	SET(CURLOPT_WRITEDATA, t);
	SET(CURLOPT_ERRORBUFFER, t->why);
	SET(CURLOPT_FAILONERROR, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 1L);
	SET(CURLOPT_MAXREDIRS, 10L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(CURLOPT_LOW_SPEED_TIME, (long)STALL_SECONDS);
	SET(CURLOPT_USERAGENT, "venvfs");
	SET(CURLOPT_BUFFERSIZE, 256L * 1024);
	if (ca)
		SET(CURLOPT_CAINFO, ca);
#undef SET
	return c;
}

static void leave(struct job *job, struct transfer *t)
{
	if (t->easy) {
		api.multi_remove_handle(job->multi, t->easy);
		api.easy_cleanup(t->easy);
	}
	hasher_free(t->hasher);
	cleanup_close(&t->fd);
	*t = (struct transfer){.fd = -1};
}

static int enter(struct job *job, struct transfer *t, struct download *d, int tries)
{
	int r = 0;

	*t = (struct transfer){.d = d, .fd = -1, .tries = tries};
	d->diag = (struct diag){{0}};
	t->fd = openat(
		job->dir, d->file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (t->fd < 0)
		return diag_errno(&d->diag, -errno, "can not write %s", d->file);
	t->hasher = hasher_new();
	t->easy = api.easy_init();
	if (!t->hasher || !t->easy)
		r = -ENOMEM;
	if (r == 0)
		r = hasher_begin(t->hasher);
	if (r == 0 && set_options(t->easy, t) != CURLE_OK)
		r = diag_set(
			&d->diag, -EPROTONOSUPPORT, "%s: its address is not understood", d->file);
	if (r == 0 && api.multi_add_handle(job->multi, t->easy) != CURLM_OK) {
		api.easy_cleanup(t->easy);
		t->easy = NULL;
		r = -ENOMEM;
	}
	return r;
}

static int check(struct transfer *t)
{
	struct download *d = t->d;
	struct digest is;
	int r = hasher_end(t->hasher, &is);

	if (r < 0)
		return r;
	if (d->size && t->have != d->size)
		return diag_set(&d->diag, -EBADMSG, "%s has %llu bytes instead of %llu", d->file,
			(unsigned long long)t->have, (unsigned long long)d->size);
	if (d->has_digest && !digest_equal(&is, &d->digest)) {
		char want[DIGEST_HEX + 1], got[DIGEST_HEX + 1];

		digest_format(&d->digest, want);
		digest_format(&is, got);
		return diag_set(&d->diag, -EBADMSG,
			"%s is another file than the one pinned: its SHA-256 is %s instead of %s",
			d->file, got, want);
	}
	d->digest = is;
	return 0;
}

static int http_fault(struct transfer *t, CURLcode c)
{
	struct download *d = t->d;
	long status = 0;

	api.easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 401 || status == 403 || status == 407)
		return diag_set(
			&d->diag, -EACCES, "%s: the server wants a login (%ld)", d->file, status);
	if (status == 404 || status == 410 || c == CURLE_FILE_COULDNT_READ_FILE)
		return diag_set(
			&d->diag, -ENOENT, "%s: the server does not have it any more", d->file);
	if (c == CURLE_UNSUPPORTED_PROTOCOL || c == CURLE_URL_MALFORMAT)
		return diag_set(&d->diag, -EPROTONOSUPPORT,
			"%s: its address is none of https, http or file", d->file);
	return diag_set(&d->diag, -EIO, "%s: %s", d->file, *t->why ? t->why : api.easy_strerror(c));
}

static void tell_bytes(struct job *job)
{
	uint64_t have = job->done;

	if (!job->events || !job->events->bytes)
		return;
	for (int i = 0; i < PARALLEL; i++)
		if (job->slots[i].d)
			have += job->slots[i].have;
	job->events->bytes(job->events->arg, have, job->total > have ? job->total : have);
}

/* One transfer's end. True: it was begun anew. */
static bool finish(struct job *job, struct transfer *t, CURLcode c)
{
	struct download *d = t->d;
	int tries = t->tries, r;

	if (t->write_err < 0)
		r = t->write_err;
	else if (c != CURLE_OK)
		r = http_fault(t, c);
	else
		r = check(t);
	if (r == 0 && close(steal_fd(&t->fd)) < 0)
		r = diag_errno(&d->diag, -errno, "can not write %s", d->file);
	if (r == 0)
		job->done += t->have;
	leave(job, t);
	if (r < 0)
		unlinkat(job->dir, d->file, 0);
	if (r == -EIO && tries == 0) {
		r = enter(job, t, d, 1);
		if (r == 0)
			return true;
		leave(job, t);
	}
	d->err = r;
	if (job->events && job->events->done)
		job->events->done(job->events->arg, d);
	return false;
}

static int by_size(const void *a, const void *b)
{
	const struct download *x = *(struct download *const *)a, *y = *(struct download *const *)b;

	return x->size < y->size ? 1 : x->size > y->size ? -1 : 0;
}

static void begin_next(struct job *job, struct download **queue, size_t *next, size_t n)
{
	for (int i = 0; i < PARALLEL; i++) {
		while (!job->slots[i].d && *next < n) {
			struct download *d = queue[(*next)++];

			d->err = enter(job, &job->slots[i], d, 0);
			if (d->err == 0)
				continue;
			leave(job, &job->slots[i]);
			unlinkat(job->dir, d->file, 0);
			if (job->events && job->events->done)
				job->events->done(job->events->arg, d);
		}
	}
}

static int run(struct job *job, struct download **queue, size_t n)
{
	size_t next = 0;

	for (;;) {
		CURLMsg *m;
		int running, left;

		begin_next(job, queue, &next, n);
		if (api.multi_perform(job->multi, &running) != CURLM_OK)
			return -EIO;
		while ((m = api.multi_info_read(job->multi, &left))) {
			char *t = NULL;

			if (m->msg != CURLMSG_DONE)
				continue;
			api.easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
			finish(job, (struct transfer *)t, m->data.result);
		}
		tell_bytes(job);
		running = 0;
		for (int i = 0; i < PARALLEL; i++)
			running += job->slots[i].d != NULL;
		if (running == 0 && next == n)
			return 0;
		if (running > 0 && api.multi_poll(job->multi, NULL, 0, 500, NULL) != CURLM_OK)
			return -EIO;
	}
}

int download_all(const char *dir, struct download *d, size_t n,
	const struct download_events *events, struct diag *diag)
{
	auto_close int dir_fd = -1;
	auto_free struct download **queue = NULL;
	struct job job = {.events = events};
	int r;

	if (n == 0)
		return 0;
	r = load(diag);
	if (r < 0)
		return r;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return diag_errno(diag, -errno, "%s", dir);
	queue = calloc(n, sizeof *queue);
	if (!queue || api.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return diag_errno(diag, -ENOMEM, "can not begin to download");
	job.dir = dir_fd;
	job.multi = api.multi_init();
	for (int i = 0; i < PARALLEL; i++)
		job.slots[i].fd = -1;
	for (size_t i = 0; i < n; i++) {
		queue[i] = &d[i];
		d[i].err = -EIO;
		job.total += d[i].size;
	}
	qsort(queue, n, sizeof *queue, by_size);
	r = job.multi ? run(&job, queue, n) : -ENOMEM;
	for (int i = 0; i < PARALLEL; i++)
		leave(&job, &job.slots[i]);
	if (job.multi)
		api.multi_cleanup(job.multi);
	api.global_cleanup();
	return r < 0 ? diag_errno(diag, r, "can not download") : 0;
}
