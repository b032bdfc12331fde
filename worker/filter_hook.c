/* SPDX-License-Identifier: MIT */
/*
 * Asks the operator's program: connects when there is something to ask, keeps the order of asking,
 * gives up in time. Neither a slow nor a broken program holds the loop or fills the memory.
 */
#include "worker/filter_hook.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "proto/json.h"
#include "proto/utf8.h"

#define LINE_MAX_BYTES (1024 * 1024) /* of an answer */
#define OUT_MAX (256 * 1024)	     /* unsent bytes from which on questions wait here */
#define RETRY_MIN_MS 100	     /* after a connection that failed; doubles */
#define RETRY_MAX_MS 5000
#define DEPTH_MAX 4

struct asking {
	struct list node; /* in waiting or sent */
	uint64_t id;
	uint64_t deadline_ms;
	bool is_sent;
	filter_hook_fn *done;
	void *arg;
	struct buf line; /* owned: may be sent again over another connection */
};

struct filter_hook {
	struct worker *wk;
	char *path; /* owned: of the connection or the last attempt */
	int fd;	    /* -1: none */
	ev_io io;
	ev_timer timer;		   /* the nearest deadline */
	struct list waiting, sent; /* struct asking.node, in the order of asking */
	struct map by_id;
	size_t n_sent;
	uint64_t next_id;
	struct buf in, out;
	uint64_t retry_ms, retry_at_ms; /* no attempt before */
	struct log_rate rate;
};

static void complain(struct filter_hook *h, const char *text, const char *why)
{
	uint64_t held;

	if (log_rate_pass(&h->rate, 10000, &held))
		log_warn(text, LF_STR("socket", h->path), LF_STR("error", why),
			 LF_INT("suppressed", held));
}

bool filter_hook_is_on(const struct worker *wk)
{
	return wk->settings->filters_hook[0] != '\0';
}

/* ---- Ends ---- */

static void asking_free(struct filter_hook *h, struct asking *a)
{
	h->n_sent -= a->is_sent;
	list_remove(&a->node);
	map_del(&h->by_id, a->id);
	buf_done(&a->line);
	free(a);
}

static void finish(struct filter_hook *h, struct asking *a, const struct filter_hook_answer *answer)
{
	filter_hook_fn *done = a->done;
	void *arg = a->arg;

	if (answer->result == HOOK_FAILED)
		worker_count(h->wk, M_FILTER_HOOK_FAILED, 1);
	asking_free(h, a);
	done(h->wk, arg, answer);
}

/* Fails those of LIST whose time is over by NOW: they are in the order of their deadlines. */
static void expire(struct filter_hook *h, struct list *list, uint64_t now)
{
	static const struct filter_hook_answer failed = {.result = HOOK_FAILED};
	struct list *node;

	while ((node = list_first(list))) {
		struct asking *a = list_entry(node, struct asking, node);

		if (a->deadline_ms > now)
			return;
		finish(h, a, &failed);
	}
}

static void arm(struct filter_hook *h)
{
	const struct list *const lists[] = {&h->sent, &h->waiting};
	uint64_t nearest = UINT64_MAX, now = clock_mono_ms();

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct list *node = list_first(lists[i]);

		if (node) {
			const struct asking *a = list_entry(node, struct asking, node);

			nearest = MIN(nearest, a->deadline_ms);
		}
	}
	ev_timer_stop(h->wk->loop, &h->timer);
	if (nearest == UINT64_MAX)
		return;
	ev_timer_set(&h->timer, nearest > now ? (double)(nearest - now) / 1000.0 : 0., 0.);
	ev_timer_start(h->wk->loop, &h->timer);
}

static void on_timer(EV_P_ ev_timer *w, int revents)
{
	struct filter_hook *h = w->data;
	uint64_t now = clock_mono_ms();

	(void)loop;
	(void)revents;
	expire(h, &h->sent, now);
	expire(h, &h->waiting, now);
	arm(h);
}

/* ---- The connection ---- */

static void disconnect(struct filter_hook *h)
{
	struct list *node;

	if (h->fd < 0)
		return;
	ev_io_stop(h->wk->loop, &h->io);
	close(h->fd);
	h->fd = -1;
	buf_clear(&h->in);
	buf_clear(&h->out);
	/* what was asked and not answered is asked again, before what has waited */
	while (!list_empty(&h->sent)) {
		node = h->sent.prev;
		list_entry(node, struct asking, node)->is_sent = false;
		list_remove(node);
		list_append(h->waiting.next, node); /* before the first */
	}
	h->n_sent = 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sa.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		int why = errno;

		close(fd);
		errno = why;
		return -1;
	}
	return fd;
}

static void watch(struct filter_hook *h)
{
	int events = EV_READ | (h->out.len ? EV_WRITE : 0);

	if (ev_is_active(&h->io) && h->io.events == events)
		return;
	ev_io_stop(h->wk->loop, &h->io);
	ev_io_set(&h->io, h->fd, events);
	ev_io_start(h->wk->loop, &h->io);
}

/* There is a connection, perhaps a new one. */
static bool is_connected(struct filter_hook *h)
{
	const char *path = h->wk->settings->filters_hook;
	uint64_t now = clock_mono_ms();

	if (!h->path || strcmp(h->path, path) != 0) { /* a reload names another one */
		disconnect(h);
		free(h->path);
		h->path = xstrndup(path, strlen(path));
		h->retry_ms = h->retry_at_ms = 0;
	}
	if (h->fd >= 0)
		return true;
	if (!path[0] || now < h->retry_at_ms)
		return false;
	h->fd = connect_to(path);
	if (h->fd >= 0) {
		h->retry_ms = 0;
		watch(h);
		return true;
	}
	complain(h, "the filters' hook cannot be reached", strerror(errno));
	h->retry_ms = h->retry_ms ? MIN(h->retry_ms * 2, RETRY_MAX_MS) : RETRY_MIN_MS;
	h->retry_at_ms = now + h->retry_ms - hash_bytes(&now, sizeof(now)) % (h->retry_ms / 2);
	return false;
}

static void lose(struct filter_hook *h, const char *why);

/* Questions into the socket, as many as may be under way. */
static void pump(struct filter_hook *h)
{
	size_t most = (size_t)h->wk->settings->filters_hook_inflight;
	struct list *node;
	ssize_t n;

	while (h->n_sent < most && h->out.len < OUT_MAX && (node = list_first(&h->waiting))) {
		struct asking *a = list_entry(node, struct asking, node);

		buf_add_str(&h->out, buf_str(&a->line));
		a->is_sent = true;
		list_remove(node);
		list_append(&h->sent, node);
		h->n_sent++;
	}
	if (h->out.len) {
		n = send(h->fd, h->out.p, h->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			lose(h, strerror(errno));
			return;
		}
		if (n > 0)
			buf_consume(&h->out, (size_t)n);
	}
	watch(h);
}

/* Without a connection nobody is kept waiting: the deadline is now. */
static void give_up_all(struct filter_hook *h)
{
	struct list *node, *next;

	list_each_safe(node, next, &h->waiting)
		list_entry(node, struct asking, node)->deadline_ms = 0;
	arm(h);
}

static void lose(struct filter_hook *h, const char *why)
{
	complain(h, "the connection to the filters' hook is lost", why);
	disconnect(h);
	if (list_empty(&h->waiting))
		return;
	/* once more at once, so that a program that was started again is not noticed */
	if (h->retry_ms == 0 && is_connected(h)) {
		h->retry_ms = RETRY_MIN_MS;
		pump(h);
	} else {
		give_up_all(h);
	}
}

/* ---- Answers ---- */

static enum filter_hook_result result_of(struct str action)
{
	static const char *const names[] = {
		[HOOK_PASS] = "pass", [HOOK_BLOCK] = "block", [HOOK_MASK] = "mask",
		[HOOK_FLAG] = "flag"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(action, str_of(names[i])))
			return (enum filter_hook_result)i;
	return HOOK_FAILED;
}

static void take_answer(struct filter_hook *h, const struct json_value *v)
{
	struct filter_hook_answer answer = {.result = HOOK_FAILED};
	struct str action = STR("");
	struct asking *a;
	int64_t id;

	if (!json_to_i64(json_get(v, "id"), &id))
		return;
	a = id > 0 ? map_get(&h->by_id, (uint64_t)id) : NULL;
	if (!a)
		return; /* too late */
	(void)json_to_str(json_get(v, "action"), &action);
	(void)json_to_str(json_get(v, "text"), &answer.text);
	(void)json_to_str(json_get(v, "reason"), &answer.reason);
	answer.result = result_of(action);
	/* what takes the place of a message must be one */
	if (answer.result == HOOK_MASK &&
	    utf8_message(answer.text, (size_t)h->wk->settings->chat_message_max) < 0)
		answer.result = HOOK_FAILED;
	if (answer.result == HOOK_FAILED)
		complain(h, "the filters' hook gave an answer that cannot be used", "");
	h->retry_ms = 0;
	finish(h, a, &answer);
}

/* The complete lines of the buffer. False: that is no JSON. */
static bool take_lines(struct filter_hook *h)
{
	const uint8_t *end;

	while (h->in.len && (end = memchr(h->in.p, '\n', h->in.len))) {
		size_t len = (size_t)(end - h->in.p);
		struct json_doc *doc;

		if (json_parse((struct str){(const char *)h->in.p, len}, DEPTH_MAX, &doc, NULL) < 0)
			return false;
		take_answer(h, json_root(doc));
		json_doc_free(&doc);
		buf_consume(&h->in, len + 1);
	}
	return h->in.len < LINE_MAX_BYTES;
}

static void on_io(EV_P_ ev_io *w, int revents)
{
	struct filter_hook *h = w->data;
	uint8_t *room = buf_reserve(&h->in, 65536);
	ssize_t n = recv(h->fd, room, 65536, MSG_DONTWAIT);

	(void)loop;
	(void)revents;
	if (n > 0)
		buf_commit(&h->in, (size_t)n);
	if (n == 0)
		lose(h, "it was closed");
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		lose(h, strerror(errno));
	else if (!take_lines(h))
		lose(h, "a line is no JSON or too long");
	else
		pump(h);
	arm(h);
}

/* ---- Questions ---- */

static void add_line(struct buf *b, uint64_t id, const struct filter_question *q)
{
	char number[24];

	buf_add_char(b, '{');
	json_add_key_i64(b, "id", (int64_t)id);
	json_add_key_cstr(b, "event", q->is_edit ? "edit" : "send");
	snprintf(number, sizeof(number), "%" PRId64, q->conv);
	json_add_key_cstr(b, "conversation", number);
	snprintf(number, sizeof(number), "%" PRId64, q->user);
	json_add_key_cstr(b, "user", number);
	json_add_key_str(b, "name", q->name);
	json_add_key_str(b, "text", q->text);
	if (q->attachment.len)
		json_add_key_str(b, "attachment_url", q->attachment);
	buf_add_cstr(b, "}\n");
}

uint64_t filter_hook_ask(struct worker *wk, const struct filter_question *q, filter_hook_fn *done,
			 void *arg)
{
	struct filter_hook *h = wk->filter_hook;
	struct asking *a = xcalloc(1, sizeof(*a));

	a->id = ++h->next_id;
	a->deadline_ms = clock_mono_ms() + (uint64_t)wk->settings->filters_hook_timeout;
	a->done = done;
	a->arg = arg;
	add_line(&a->line, a->id, q);
	map_put(&h->by_id, a->id, a);
	list_append(&h->waiting, &a->node);
	worker_count(wk, M_FILTER_HOOK_ASKED, 1);
	if (is_connected(h))
		pump(h);
	else
		give_up_all(h);
	arm(h);
	return a->id;
}

void filter_hook_forget(struct worker *wk, uint64_t ticket)
{
	struct asking *a = map_get(&wk->filter_hook->by_id, ticket);

	if (a)
		asking_free(wk->filter_hook, a);
}

void filter_hook_open(struct worker *wk)
{
	struct filter_hook *h = wk->filter_hook = xcalloc(1, sizeof(*h));

	h->wk = wk;
	h->fd = -1;
	list_init(&h->waiting);
	list_init(&h->sent);
	ev_init(&h->io, on_io);
	ev_init(&h->timer, on_timer);
	h->io.data = h->timer.data = h;
}

void filter_hook_close(struct worker *wk)
{
	struct filter_hook *h = wk->filter_hook;
	struct list *node;

	disconnect(h);
	ev_timer_stop(wk->loop, &h->timer);
	while ((node = list_first(&h->waiting)))
		asking_free(h, list_entry(node, struct asking, node));
	map_done(&h->by_id);
	buf_done(&h->in);
	buf_done(&h->out);
	free(h->path);
	free(h);
	wk->filter_hook = NULL;
}
