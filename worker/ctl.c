/* SPDX-License-Identifier: MIT */
/*
 * Questions about rooms and metrics, answered from shared memory, but for codes of rooms. Who may
 * ask is decided by the mode of the master's control socket.
 */
#include "worker/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "proto/json.h"
#include "proto/s4.h"
#include "shm/metrics.h"
#include "shm/presence.h"
#include "shm/rooms.h"
#include "shm/typing.h"
#include "worker/conn.h"
#include "worker/peer.h"
#include "worker/attempts.h"
#include "worker/codes.h"
#include "worker/dbio.h"

/* Answers that wait for their askers at once; the next one is cut. */
#define REPLIES_MAX 32
#define REPLY_S 10. /* an asker that does not read for so long loses the rest */

/* The part of an answer that the socket did not take. */
struct reply {
	struct worker *wk;
	struct list node;
	int fd; /* owned */
	struct buf text;
	ev_io io;
	ev_timer timer;
};

static void add_error(struct buf *b, const char *text)
{
	buf_clear(b);
	buf_add_char(b, '{');
	json_add_key_cstr(b, "error", text);
	buf_add_char(b, '}');
}

static void add_user(void *arg, int64_t user, struct str name)
{
	struct buf *b = arg;

	json_add_sep(b);
	buf_add_char(b, '{');
	json_add_key_i64(b, "id", user);
	json_add_key_str(b, "name", name);
	buf_add_char(b, '}');
}

static void add_slots(struct buf *b, uint64_t slots)
{
	json_add_key(b, "workers");
	buf_add_char(b, '[');
	for (; slots; slots &= slots - 1) {
		json_add_sep(b);
		buf_add_i64(b, __builtin_ctzll(slots));
	}
	buf_add_char(b, ']');
}

static void add_name(struct buf *b, const char *kind, int64_t id)
{
	struct buf name = BUF_INIT;

	s4_add_room(&name, kind, id);
	json_add_key_str(b, "room", buf_str(&name));
	buf_done(&name);
}

static void add_info(struct buf *b, int64_t conv, const struct room_info *info)
{
	json_add_key_i64(b, "conversation", conv);
	add_name(b, S4_ROOM_CONV, conv);
	json_add_key_i64(b, "connections", info->connections);
	json_add_key_i64(b, "members", info->users);
	json_add_key_i64(b, "published_rev", info->published_rev);
	json_add_key_bool(b, "closed", info->is_closed);
	add_slots(b, info->slots);
}

static void show_room(struct worker *wk, int64_t conv, struct buf *b)
{
	unsigned me = (unsigned)wk->slot;
	struct room_info info = {0};

	if (room_read(wk->shm, me, conv, &info) == -ERR_TIMEOUT) {
		add_error(b, "shared memory is busy");
		return;
	}
	buf_add_char(b, '{');
	add_info(b, conv, &info);
	json_add_key(b, "users");
	buf_add_char(b, '[');
	if (roster_read(wk->shm, me, conv, add_user, b) < 0)
		log_debug("roster not read", LF_INT("conversation", conv));
	buf_add_char(b, ']');
	json_add_key(b, "typing");
	buf_add_char(b, '[');
	if (typing_read(wk->shm, me, conv, clock_mono_ms(), add_user, b) < 0)
		log_debug("typing set not read", LF_INT("conversation", conv));
	buf_add_cstr(b, "]}");
}

static void room_show(struct worker *wk, struct str arg, struct buf *b)
{
	int64_t conv;

	if (s4_room_id(arg, S4_ROOM_CONV, &conv) < 0)
		add_error(b, "a room is named by its number, as conversation_42 or by its code");
	else
		show_room(wk, conv, b);
}

static int add_room(void *arg, int64_t conv, const struct room_info *info)
{
	struct buf *b = arg;

	json_add_sep(b);
	buf_add_char(b, '{');
	add_info(b, conv, info);
	buf_add_char(b, '}');
	return 0;
}

static void room_list_all(struct worker *wk, struct str arg, struct buf *b)
{
	(void)arg;
	buf_add_cstr(b, "{\"rooms\":[");
	if (room_each(wk->shm, (unsigned)wk->slot, add_room, b) < 0)
		log_debug("rooms not read");
	buf_add_cstr(b, "]}");
}

static const char *const dialect_names[DIALECT_COUNT] = {
	[DIALECT_NONE] = "http",       [DIALECT_RAW] = "raw", [DIALECT_NATIVE] = "native",
	[DIALECT_MSGPACK] = "msgpack", [DIALECT_SSE] = "sse",
	[DIALECT_S0] = "s0",	       [DIALECT_S4] = "s4",
};

static void add_client(struct conn *c, void *arg)
{
	char client[ADDR_TEXT_MAX], link[ADDR_TEXT_MAX];
	struct buf *b = arg;

	if (c->is_ops)
		return;
	peer_format(c, client);
	addr_format(&c->link, link);
	json_add_sep(b);
	buf_add_char(b, '{');
	json_add_key_i64(b, "connection", (int64_t)c->id);
	json_add_key_cstr(b, "client", client);
	json_add_key_cstr(b, "link", link);
	json_add_key_bool(b, "tls", c->is_tls);
	json_add_key_cstr(b, "dialect", dialect_names[c->dialect]);
	json_add_key_i64(b, "user", c->user);
	if (c->dialect == DIALECT_S4 && c->user)
		add_name(b, S4_ROOM_USER, c->user);
	json_add_key_str(b, "name", str_of(c->name));
	json_add_key_i64(b, "subscriptions", c->n_subs);
	buf_add_char(b, '}');
}

/* The master has chosen this worker by ARG. */
static void client_list(struct worker *wk, struct str arg, struct buf *b)
{
	(void)arg;
	buf_add_char(b, '{');
	json_add_key_i64(b, "worker", wk->slot);
	json_add_key(b, "clients");
	buf_add_char(b, '[');
	conn_each(wk, add_client, b);
	buf_add_cstr(b, "]}");
}

static void metrics(struct worker *wk, struct str arg, struct buf *b)
{
	(void)arg;
	metric_print(wk->shm, b);
}

static void user_unlock(struct worker *wk, struct str arg, struct buf *b)
{
	int64_t user;

	if (str_to_i64(arg, &user) < 0 || user <= 0) {
		add_error(b, "user unlock needs the number of a user");
		return;
	}
	attempts_forgive(wk, user);
	buf_add_char(b, '{');
	json_add_key_bool(b, "ok", true);
	json_add_key_i64(b, "user", user);
	buf_add_char(b, '}');
}

static const struct {
	struct str words;
	void (*answer)(struct worker *wk, struct str arg, struct buf *b);
} commands[] = {
	{{"room show", 9}, room_show},
	{{"room list", 9}, room_list_all},
	{{"client list", 11}, client_list},
	{{"metrics", 7}, metrics},
	{{"user unlock", 11}, user_unlock},
};

/* The rest of COMMAND behind WORDS and a blank; false when it is another command. */
static bool takes(struct str command, struct str words, struct str *ret_arg)
{
	if (command.len < words.len || memcmp(command.p, words.p, words.len) != 0)
		return false;
	if (command.len > words.len && command.p[words.len] != ' ')
		return false;
	*ret_arg = (struct str){command.p + words.len, command.len - words.len};
	if (ret_arg->len)
		*ret_arg = (struct str){ret_arg->p + 1, ret_arg->len - 1};
	return true;
}

/* ---- Writing ---- */

static void reply_free(struct reply *r)
{
	ev_io_stop(r->wk->loop, &r->io);
	ev_timer_stop(r->wk->loop, &r->timer);
	list_remove(&r->node);
	r->wk->n_replies--;
	close(r->fd);
	buf_done(&r->text);
	free(r);
}

/* Sends what the socket takes. Returns 0 when all is gone, -ERR_AGAIN, or -ERR_CLOSED. */
static int send_some(int fd, struct buf *text)
{
	while (text->len) {
		ssize_t n = send(fd, text->p, text->len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno == EAGAIN ? -ERR_AGAIN : -ERR_CLOSED;
		buf_consume(text, (size_t)n);
	}
	return 0;
}

static void on_writable(EV_P_ ev_io *w, int revents)
{
	struct reply *r = w->data;

	(void)revents;
	if (send_some(r->fd, &r->text) == -ERR_AGAIN)
		ev_timer_again(loop, &r->timer);
	else
		reply_free(r);
}

static void on_deadline(EV_P_ ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	reply_free(w->data);
}

/* Takes over TEXT. */
static void send_later(struct worker *wk, int fd, struct buf *text)
{
	int own = wk->n_replies < REPLIES_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
	struct reply *r;

	if (own < 0) {
		log_warn("an answer to the operator was cut", LF_INT("missing_bytes", text->len));
		buf_done(text);
		return;
	}
	r = xcalloc(1, sizeof(*r));
	r->wk = wk;
	r->fd = own;
	r->text = *text;
	ev_io_init(&r->io, on_writable, own, EV_WRITE);
	ev_timer_init(&r->timer, on_deadline, 0., REPLY_S);
	r->io.data = r->timer.data = r;
	list_append(&wk->replies, &r->node);
	wk->n_replies++;
	ev_io_start(wk->loop, &r->io);
	ev_timer_again(wk->loop, &r->timer);
}

void ctl_close_all(struct worker *wk)
{
	struct list *node, *tmp;

	list_each_safe(node, tmp, &wk->replies)
		reply_free(list_entry(node, struct reply, node));
}

/* Takes over TEXT. */
static void answer(struct worker *wk, int fd, struct buf *text)
{
	buf_add_char(text, '\n');
	if (send_some(fd, text) == -ERR_AGAIN)
		send_later(wk, fd, text);
	else
		buf_done(text);
}

/* Whoever asks for a room by its code, which only the database knows. */
struct code_asker {
	struct worker *wk;
	int fd; /* owned */
};

static void on_code(void *arg, int err, int64_t conv, struct str code UNUSED)
{
	struct code_asker asker = *(struct code_asker *)arg;
	struct buf b = BUF_INIT;

	free(arg);
	if (err == 0)
		show_room(asker.wk, conv, &b);
	else if (err == -ERR_NOENT)
		add_error(&b, "no room has this code");
	else
		add_error(&b, err_text(err));
	answer(asker.wk, asker.fd, &b);
	close(asker.fd);
}

/* A look keeps no room for longer: grace 0. */
static void room_show_code(struct worker *wk, const char *code, int fd)
{
	struct code_asker *asker = xcalloc(1, sizeof(*asker));
	struct db *db = dbio_reader(wk);
	int r = -ERR_UNAVAILABLE;

	*asker = (struct code_asker){wk, fcntl(fd, F_DUPFD_CLOEXEC, 3)};
	if (db && asker->fd >= 0)
		r = code_enter(db, (struct str){code, CODE_LEN}, 0, dbio_deadline(wk), on_code,
			       asker, NULL);
	if (r < 0)
		on_code(asker, r, 0, STR(""));
}

void ctl_answer(struct worker *wk, struct str command, int fd)
{
	struct buf b = BUF_INIT;
	char code[CODE_LEN];
	struct str arg;
	size_t i = 0;

	if (takes(command, STR("room show"), &arg) && codes_parse(arg, code) == 0) {
		room_show_code(wk, code, fd);
		return;
	}
	while (i < ARRAY_LEN(commands) && !takes(command, commands[i].words, &arg))
		i++;
	if (i < ARRAY_LEN(commands))
		commands[i].answer(wk, arg, &b);
	else
		add_error(&b, "unknown command");
	answer(wk, fd, &b);
}
