/* SPDX-License-Identifier: MIT */
/*
 * The stand of http_stand.h: a connection without a socket, handlers of its own, a database that
 * answers when the test says so.
 */
#include "http_stand.h"

#include "shm/limits.h"
#include "worker/admission.h"
#include "worker/audit.h"
#include "worker/dbio.h"
#include "worker/deflate.h"
#include "worker/eio.h"
#include "worker/roles.h"
#include "worker/routes.h"
#include "worker/stale.h"
#include "worker/ws_conn.h"

struct worker *wk;
struct conn *conn;
struct buf pending;
struct call *kept;
int64_t seen_id[2];
struct uuid seen_uuid;
int flushes, waits;
struct ws_started ws;
struct room_query query;
uint64_t away_ms;
enum authz_role stand_role = ROLE_VISITOR;

static struct buf out; /* sent and not yet looked at */

/* ---- In the places of conn.c, ws_conn.c, dbio.c, sql and shm ---- */

struct conn *conn_find(struct worker *w, uint64_t id)
{
	return w == wk && conn->id == id && conn->state != CONN_DEAD ? conn : NULL;
}

struct buf *conn_reply(struct conn *c)
{
	if (!c->reply)
		c->reply = xcalloc(1, sizeof(*c->reply));
	return c->reply;
}

void stand_flush(void)
{
	if (!conn->reply)
		return;
	buf_add(&out, conn->reply->p, conn->reply->len);
	buf_done(conn->reply);
	free(conn->reply);
	conn->reply = NULL;
}

void conn_flush(struct conn *c)
{
	(void)c;
	flushes++;
	stand_flush();
}

void conn_finish(struct conn *c, enum conn_end end)
{
	c->state = CONN_LINGER;
	c->end = end;
	c->is_blocked = false;
}

void conn_kill(struct conn *c, enum conn_end end)
{
	conn_finish(c, end);
}

void conn_wait(struct conn *c, enum conn_wait wait)
{
	c->wait = wait;
	waits++;
}

void conn_block(struct conn *c)
{
	c->is_blocked = true;
}

void conn_unblock(struct conn *c)
{
	c->is_blocked = false;
}

void ws_conn_start(struct conn *c, enum dialect dialect, int64_t room_id)
{
	c->state = CONN_WS;
	ws.started = true;
	ws.dialect = dialect;
	ws.room = room_id;
}

void worker_stop(struct worker *w, enum worker_exit code)
{
	w->exit_code = code;
}

/* Everybody is nobody: credentials have tests of their own. */
enum authn authn_call(struct call *call)
{
	(void)call;
	return AUTHN_DONE;
}

void authn_renew(struct call *call, authn_renewed_fn *done)
{
	done(call, E_NONE);
}

void authn_keep(struct conn *c, const struct identity *who)
{
	(void)c;
	(void)who;
}

/* Rooms are open to all: roles have tests of their own. */
bool roles_peek(struct worker *w, int64_t conv, int64_t user, bool is_admin, struct rights *ret)
{
	(void)w;
	(void)conv;
	*ret = (struct rights){
		.actor = {.user = user, .role = (uint8_t)stand_role, .is_admin = is_admin}};
	return true;
}

void roles_get(struct worker *w, int64_t conv, int64_t user, bool is_admin, roles_fn *done,
	       void *arg)
{
	struct rights r;

	if (roles_peek(w, conv, user, is_admin, &r))
		done(w, arg, 0, &r);
}

void audit_denied_call(struct call *call, enum authz_action action, int64_t conv, int64_t target)
{
	(void)call;
	(void)action;
	(void)conv;
	(void)target;
}

bool admission_pass(struct worker *w)
{
	(void)w;
	return true;
}

int64_t worker_retry_ms(struct worker *w)
{
	(void)w;
	return 1500;
}

struct db *dbio_reader(const struct worker *w)
{
	(void)w;
	return NULL;
}

uint64_t dbio_deadline(const struct worker *w)
{
	(void)w;
	return 1;
}

uint64_t dbio_away_ms(const struct worker *w)
{
	(void)w;
	return away_ms;
}

bool dbio_is_away(const struct worker *w)
{
	return dbio_away_ms(w) > 0;
}

int room_info(struct db *db, int64_t id, const struct uuid *uid, uint64_t deadline_ms,
	      room_done_fn *done, void *arg, uint64_t *ret_token)
{
	(void)db;
	(void)id;
	(void)deadline_ms;
	(void)ret_token;
	query.done = done;
	query.arg = arg;
	query.uid = *uid;
	return 0;
}

void metric_add(struct shm *shm, unsigned me, enum metric m, int64_t n)
{
	(void)shm;
	(void)me;
	(void)m;
	(void)n;
}

/* A bucket for everybody, which has LEFT tokens. */
uint32_t limit_left = UINT32_MAX;

uint64_t limit_key(const struct shm *shm, unsigned class, const void *p, size_t len)
{
	(void)shm;
	(void)class;
	(void)p;
	(void)len;
	return 1;
}

int limit_take(struct shm *shm, unsigned me, uint64_t key, const struct limit_rule *rule,
	       uint32_t n, uint64_t now_ns, struct limit_state *ret)
{
	(void)shm;
	(void)me;
	(void)key;
	(void)rule;
	(void)now_ns;
	*ret = (struct limit_state){.is_taken = limit_left >= n};
	if (ret->is_taken)
		limit_left -= n;
	else
		ret->retry_ns = 2500 * UINT64_C(1000000);
	ret->remaining = limit_left;
	return 0;
}

int limit_give(struct shm *shm, unsigned me, uint64_t key, const struct limit_rule *rule,
	       uint32_t n, uint64_t now_ns)
{
	(void)shm;
	(void)me;
	(void)key;
	(void)rule;
	(void)now_ns;
	limit_left += n;
	return 0;
}

int limit_forget(struct shm *shm, unsigned me, uint64_t key)
{
	(void)shm;
	(void)me;
	(void)key;
	return 0;
}

void limit_apply(uint64_t *tat_ns, const struct limit_rule *rule, uint32_t n, uint64_t now_ns,
		 struct limit_state *ret)
{
	(void)tat_ns;
	assert_int_equal(limit_take(NULL, 0, 1, rule, n, now_ns, ret), 0);
}

/* ---- A table of its own ---- */

static void on_echo(struct call *call)
{
	call_answer(call, 200, "text/plain", "X-Mine: 1\r\n", call->req->body);
}

static void on_hello(struct call *call)
{
	call_answer(call, 200, "text/html; charset=utf-8", NULL, STR("hello"));
}

static void on_later(struct call *call)
{
	kept = call;
}

static void on_id(struct call *call)
{
	memcpy(seen_id, call->path_id, sizeof(seen_id));
	seen_uuid = call->path_uuid[0];
	call_json(call, 200, STR("{}"));
}

static void on_exists(struct call *call)
{
	call_db_error(call, -ERR_EXISTS);
}

static void on_away(struct call *call)
{
	call_db_error(call, -ERR_UNAVAILABLE);
}

static void on_big(struct call *call)
{
	static const char page[50000];

	call_answer(call, 200, "application/octet-stream", NULL, (struct str){page, sizeof(page)});
}

#define ROW(m, p, h, s, a, b)                                                                      \
	{.method = HTTP_##m, .path = (p), .handler = (h), .shape = CALL_SHAPE_##s,                 \
	 .auth = ROUTE_AUTH_##a, .rate = ROUTE_RATE_READ, .body = ROUTE_BODY_##b}

static const struct route table[] = {
	ROW(GET, "/", on_hello, PAGE, OPEN, NONE),
	ROW(POST, "/echo", on_echo, PROBLEM, OPEN, NONE),
	ROW(POST, "/json", on_echo, PROBLEM, OPEN, JSON),
	ROW(GET, "/later", on_later, PROBLEM, OPEN, NONE),
	ROW(GET, "/id/{a}/{b}", on_id, PROBLEM, OPEN, NONE),
	ROW(GET, "/guest", on_hello, PROBLEM, GUEST, NONE),
	ROW(GET, "/token", on_hello, PROBLEM, TOKEN, NONE),
	ROW(GET, "/big", on_big, PROBLEM, OPEN, NONE),
	ROW(GET, "/api/chat/exists", on_exists, S1, OPEN, NONE),
	ROW(GET, "/api/chat/away", on_away, S1, OPEN, NONE),
	ROW(GET, "/api/v1/away", on_away, PROBLEM, OPEN, NONE),
	ROW(GET, "/ws", upgrade_native, PROBLEM, OPEN, NONE),
	ROW(GET, "/ws/chat/{id}", upgrade_raw, S1, OPEN, NONE),
};

const struct routes *routes_all(void)
{
	static struct routes *all;

	if (!all)
		assert_int_equal(routes_new(table, ARRAY_LEN(table), &all, NULL), 0);
	return all;
}

const struct routes *routes_conformance(void)
{
	return routes_all();
}

struct str eio_route(const struct worker *w, struct str path)
{
	(void)w;
	return path;
}

const struct routes *routes_ops(void)
{
	static const struct route row = ROW(GET, "/healthz", on_hello, PROBLEM, OPS, NONE);
	static struct routes *ops;

	if (!ops)
		assert_int_equal(routes_new(&row, 1, &ops, NULL), 0);
	return ops;
}

/* ---- Driving it ---- */

void stand_set(const char *assignment)
{
	struct buf faults = BUF_INIT;

	assert_int_equal(settings_assign(wk->settings, str_of(assignment), &faults), 0);
	buf_done(&faults);
}

int stand_setup(void **state)
{
	static const struct worker_boot boot;

	(void)state;
	wk = xcalloc(1, sizeof(*wk));
	wk->boot = &boot;
	wk->settings = settings_new();
	wk->slot = STAND_SLOT;
	stale_open(wk);
	away_ms = 0;
	snprintf(wk->date, sizeof(wk->date), "%s", STAND_DATE);
	conn = xcalloc(1, sizeof(*conn));
	conn->io.data = wk;
	conn->id = 7;
	stand_set("http.header_max=1024");
	stand_set("http.target_max=256");
	stand_set("http.body_max=256");
	kept = NULL;
	limit_left = UINT32_MAX;
	waits = 0;
	flushes = 0;
	memset(&ws, 0, sizeof(ws));
	memset(&query, 0, sizeof(query));
	return 0;
}

int stand_teardown(void **state)
{
	(void)state;
	stand_flush();
	buf_done(&out);
	buf_done(&pending);
	http_conn_done(conn);
	free(conn);
	deflate_close(wk);
	stale_close(wk);
	settings_free(&wk->settings);
	free(wk);
	return 0;
}

/* What conn.c does with bytes of a peer. */
void stand_run(void)
{
	size_t used = 0;

	while (used < pending.len && !conn->is_blocked && conn->state == CONN_HTTP) {
		size_t n = http_conn_input(conn, pending.p + used, pending.len - used);

		if (!n)
			break;
		used += n;
	}
	buf_consume(&pending, used);
	stand_flush();
}

void stand_feed(const char *text)
{
	buf_add_cstr(&pending, text);
	stand_run();
}

/* Everything sent since the last look at it; freed with the next. */
struct str stand_sent(void)
{
	static struct buf last;

	buf_done(&last);
	last = out;
	out = BUF_INIT;
	return buf_str(&last);
}

void stand_reset(void)
{
	http_conn_done(conn);
	buf_done(&pending);
	stand_sent();
	conn->state = CONN_HTTP;
	conn->wait = WAIT_NONE;
	conn->is_blocked = false;
	conn->requests = 0;
}

/* One request on a connection of its own. */
struct str stand_ask(const char *text)
{
	stand_reset();
	stand_feed(text);
	return stand_sent();
}

int answer_status(struct str s)
{
	int status = 0;

	if (s.len > 12 && memcmp(s.p, "HTTP/1.1 ", 9) == 0)
		for (int i = 9; i < 12; i++)
			status = status * 10 + (s.p[i] - '0');
	return status;
}

void check_status(const char *text, int want)
{
	struct str answer = stand_ask(text);

	if (answer_status(answer) != want)
		fail_msg("%s: %.*s", text, (int)answer.len, answer.len ? answer.p : "");
}

struct str answer_body(struct str s)
{
	const char *end = memmem(s.p, s.len, "\r\n\r\n", 4);

	assert_non_null(end);
	return (struct str){end + 4, s.len - (size_t)(end + 4 - s.p)};
}

/* How often TEXT occurs in S. */
int answer_count(struct str s, const char *text)
{
	int n = 0;

	for (size_t i = 0; i + strlen(text) <= s.len; i++)
		n += memcmp(s.p + i, text, strlen(text)) == 0;
	return n;
}
