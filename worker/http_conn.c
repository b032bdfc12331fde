/* SPDX-License-Identifier: MIT */
/*
 * Feeds the HTTP parser, finds the route of a complete request and hands it to the handler.
 * Writes no answers but refusals: handlers answer through call.c.
 */
#include "worker/http_conn.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "proto/http.h"
#include "proto/http_field.h"
#include "worker/audit.h"
#include "worker/call.h"
#include "worker/codes.h"
#include "worker/eio.h"
#include "worker/origin.h"
#include "worker/peer.h"
#include "worker/routes.h"

/*
 * Answers of pipelined requests are pushed out beyond this, so that somebody who asks without
 * reading meets a full socket instead of growing our memory.
 */
#define REPLY_FLUSH_BYTES (64 * 1024)

/* ---- Ways out without a handler ---- */

/*
 * Below these everything belongs to accounts: whoever is nobody is told that before being told what
 * there is and what not.
 */
static bool needs_account(struct str path)
{
	static const char *const parts[] = {"send", "conversations", "messages", "unread-count",
					    "search"};
	static const char chat[] = "/api/chat/";
	const size_t n = sizeof(chat) - 1;

	if (path.len < n || memcmp(path.p, chat, n) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		size_t len = strlen(parts[i]);

		if (path.len >= n + len && memcmp(path.p + n, parts[i], len) == 0 &&
		    (path.len == n + len || path.p[n + len] == '/'))
			return true;
	}
	return false;
}

/* Errors at addresses that have no route take the form of their neighbours. */
static enum call_shape shape_of_path(struct str path)
{
	if (path.len >= 10 && memcmp(path.p, "/api/chat/", 10) == 0 && !needs_account(path))
		return CALL_SHAPE_S1;
	if (path.len >= 5 && memcmp(path.p, "/api/", 5) == 0)
		return CALL_SHAPE_PROBLEM;
	return CALL_SHAPE_PAGE;
}

static void answer_no_path(struct call *call)
{
	call->shape = call->is_ops ? CALL_SHAPE_PROBLEM : shape_of_path(call->req->path);
	call_error(call, call->req->method == HTTP_OTHER ? E_NOT_IMPLEMENTED : E_NOT_FOUND, NULL);
}

static const struct route accounts_only = {
	.handler = answer_no_path,
	.shape = CALL_SHAPE_PROBLEM,
	.auth = ROUTE_AUTH_TOKEN,
	.rate = ROUTE_RATE_READ,
};

static void add_allow(struct buf *lines, uint32_t methods)
{
	buf_add_cstr(lines, "Allow: ");
	route_add_allow(lines, methods);
	buf_add_cstr(lines, "\r\n");
}

static void answer_other_method(struct call *call, const struct route_match *match)
{
	struct buf lines = BUF_INIT;
	struct fault fault;

	fault_set(&fault, E_METHOD_NOT_ALLOWED);
	add_allow(&lines, match->methods);
	buf_add_char(&lines, '\0');
	call_fault(call, &fault, (char *)lines.p);
	buf_done(&lines);
}

static void answer_options(struct call *call, uint32_t methods)
{
	struct buf lines = BUF_INIT, allow = BUF_INIT;

	route_add_allow(&allow, methods);
	buf_add_char(&allow, '\0');
	add_allow(&lines, methods);
	origin_add_preflight(call->wk->settings, call->req, (char *)allow.p, &lines);
	buf_add_char(&lines, '\0');
	call_answer(call, 204, NULL, (char *)lines.p, STR(""));
	buf_done(&allow);
	buf_done(&lines);
}

/* ---- A complete request ---- */

/* Decimal, UUID or the code of a room; anything else leaves all empty, which no object has. */
static void take_ids(struct call *call, const struct route_match *match)
{
	for (size_t i = 0; i < ROUTE_PARAMS_MAX && match->param[i].p; i++) {
		int64_t id;
		struct uuid uuid;

		if (str_to_i64(match->param[i], &id) == 0)
			call->path_id[i] = MAX(id, 0);
		else if (uuid_parse(match->param[i], &uuid) == 0)
			call->path_uuid[i] = uuid;
		else if (i == 0 && codes_parse(match->param[i], call->path_code) < 0)
			call->path_code[0] = '\0';
	}
}

static bool is_unsafe(enum http_method m)
{
	return m != HTTP_GET && m != HTTP_HEAD;
}

/* The body that a route needs must be announced, and be of its type if that is told. */
static enum proto_error check_body(const struct http_request *req, enum route_body body)
{
	static const char *const types[] = {
		[ROUTE_BODY_JSON] = "application/json",
		[ROUTE_BODY_FORM] = "application/x-www-form-urlencoded",
	};
	struct str type = http_header(req, "Content-Type");

	if (!http_header(req, "Content-Length").p && !http_header(req, "Transfer-Encoding").p)
		return E_LENGTH_REQUIRED;
	if (type.p && !http_is_type(type, types[body]))
		return E_UNSUPPORTED_MEDIA_TYPE;
	return E_NONE;
}

/* Whether the route's AUTH column lets the caller in. */
static enum proto_error check_who(const struct call *call)
{
	const struct identity *who = &call->who;

	switch (call->route->auth) {
	case ROUTE_AUTH_GUEST:
		return who->is_account || call->wk->settings->chat_guests ? E_NONE
									  : E_UNAUTHORIZED;
	case ROUTE_AUTH_TOKEN:
		return who->is_account ? E_NONE : E_UNAUTHORIZED;
	case ROUTE_AUTH_ADMIN:
		return !who->is_account ? E_UNAUTHORIZED : who->is_admin ? E_NONE : E_FORBIDDEN;
	default:
		return E_NONE;
	}
}

/* A browser adds cookies to whatever page asks: where that matters, it must be one of ours. */
static bool is_forged(const struct call *call)
{
	return call->who.by == BY_COOKIE &&
	       (is_unsafe(call->req->method) || route_lasts(call->route)) &&
	       !origin_allows_cookie(call->wk->settings, call->req);
}

/* The caller is known, or ERROR says why not: on to the handler. */
static void enter(struct call *call, enum proto_error error)
{
	if (!error && is_forged(call))
		error = E_BAD_ORIGIN;
	if (!limits_call(call, error))
		error = E_RATE_LIMITED;
	if (!error)
		error = check_who(call);
	if (error == E_FORBIDDEN) /* what only the server's administrators may */
		audit_denied_call(call, MAY_AUDIT, 0, 0);
	if (!error && call->route->body > ROUTE_BODY_TEXT)
		error = check_body(call->req, call->route->body);
	if (error)
		call_error(call, error, NULL);
	else
		call->route->handler(call);
}

/* The database has answered: the request still lies in the parser of its blocked connection. */
static void on_renewed(struct call *call, enum proto_error error)
{
	bool answered = false;

	if (call->ret_answered) { /* it did not even have to be asked */
		enter(call, error);
		return;
	}
	call->req = http_request(call_conn(call)->http);
	call->ret_answered = &answered;
	enter(call, error);
	if (answered)
		return;
	call->req = NULL;
	call->ret_answered = NULL;
}

static void call_route(struct call *call, const struct route_match *match)
{
	call->route = match->route;
	take_ids(call, match);
	if (is_unsafe(call->req->method) && !origin_is_allowed(call->wk->settings, call->req)) {
		call_error(call, E_BAD_ORIGIN, NULL);
		return;
	}
	switch (authn_call(call)) {
	case AUTHN_DONE:
		enter(call, E_NONE);
		break;
	case AUTHN_STALE:
		authn_renew(call, on_renewed);
		break;
	default:
		enter(call, E_UNAUTHORIZED);
	}
}

static const struct routes *routes_of(const struct call *call)
{
	if (call->is_ops)
		return routes_ops();
	return call->wk->boot->is_conformance ? routes_conformance() : routes_all();
}

static void dispatch(struct call *call)
{
	const struct http_request *req = call->req;
	const struct routes *routes = routes_of(call);
	struct route_match match;
	enum route_result found;

	if (str_eq(req->path, STR("*"))) {
		answer_options(call, routes_methods(routes));
		return;
	}
	found = route_find(routes, req->method, eio_route(call->wk, req->path), &match);
	if (found == ROUTE_NO_PATH && !call->is_ops && needs_account(req->path)) {
		match.route = &accounts_only;
		found = ROUTE_FOUND;
	}
	if (match.route)
		call->shape = match.route->shape;
	if (found == ROUTE_NO_PATH)
		answer_no_path(call);
	else if (found == ROUTE_FOUND)
		call_route(call, &match);
	else if (req->method == HTTP_OPTIONS)
		answer_options(call, match.methods);
	else
		answer_other_method(call, &match);
}

static void on_request(struct conn *c)
{
	bool answered = false;
	struct call *call;

	c->requests++;
	if (!c->is_ops)
		worker_count(conn_worker(c), M_HTTP_REQUESTS, 1);
	conn_wait(c, WAIT_NONE);
	peer_request(c, http_request(c->http));
	call = call_new(c, http_request(c->http));
	call->ret_answered = &answered;
	dispatch(call);
	if (answered)
		return;
	call->req = NULL;
	call->ret_answered = NULL;
	conn_block(c);
}

/* ---- The connection ---- */

static void http_open(struct conn *c)
{
	const struct settings *s = conn_worker(c)->settings;
	/* sessions of the echoes have two addresses: what they may be sent goes for all */
	bool is_echo = conn_worker(c)->boot->is_conformance;

	c->http = http_in_new(&(struct http_limits){
		.header_max = (size_t)s->http_header_max,
		.target_max = (size_t)s->http_target_max,
		.body_max = (size_t)(is_echo ? s->engineio_payload_max : s->http_body_max),
		.large_path = conn_worker(c)->eio_path,
		.large_max = (size_t)s->engineio_payload_max,
	});
}

/*
 * A request is incomplete: its head and its body have a deadline each, counted from their first
 * byte.
 */
static void await_more(struct conn *c)
{
	enum http_phase phase = http_phase(c->http);
	enum conn_wait wait = phase == HTTP_PHASE_HEAD	 ? WAIT_HEADER
			      : phase == HTTP_PHASE_BODY ? WAIT_BODY
							 : WAIT_KEEPALIVE;

	if (http_wants_continue(c->http))
		buf_add_cstr(conn_reply(c), "HTTP/1.1 100 Continue\r\n\r\n");
	if (c->wait != wait)
		conn_wait(c, wait);
}

static void refuse(struct conn *c, const struct fault *fault)
{
	struct fault copy = *fault; /* lives in the parser, which the answer frees */

	worker_count(conn_worker(c), M_PROTOCOL_ERRORS, 1);
	call_fault(call_new(c, NULL), &copy, NULL);
}

/* False while the peer does not take the answers it has got. */
static bool may_go_on(struct conn *c)
{
	if (c->reply && c->reply->len >= REPLY_FLUSH_BYTES)
		conn_flush(c);
	if (c->out && c->state == CONN_HTTP)
		conn_block(c);
	return !c->out && c->state == CONN_HTTP;
}

size_t http_conn_input(struct conn *c, uint8_t *data, size_t len)
{
	size_t used = 0;
	int r;

	if (!may_go_on(c))
		return 0;
	if (!c->http)
		http_open(c);
	r = http_feed(c->http, data, len, &used);
	if (r == 0) {
		on_request(c);
		return used;
	}
	if (r == -ERR_AGAIN) {
		await_more(c);
		return len;
	}
	refuse(c, http_fault(c->http));
	return len;
}

void http_conn_answered(struct conn *c, bool keep_alive)
{
	http_in_free(&c->http);
	if (!keep_alive) {
		conn_finish(c, CONN_END_CLEAN);
		return;
	}
	conn_wait(c, WAIT_KEEPALIVE);
	conn_unblock(c);
}

/* An answer is under way: the request stays in the parser until it has one. */
static bool is_answering(const struct conn *c)
{
	return c->http && http_phase(c->http) == HTTP_PHASE_DONE;
}

void http_conn_drained(struct conn *c)
{
	if (!is_answering(c))
		conn_unblock(c);
}

void http_conn_timeout(struct conn *c, enum conn_wait wait)
{
	struct fault fault;

	/* Not idle but slow: conn_check_slow ends those who take nothing at all. */
	if (wait == WAIT_KEEPALIVE && c->out) {
		conn_wait(c, WAIT_KEEPALIVE);
		return;
	}
	if (wait == WAIT_KEEPALIVE || !c->http || http_phase(c->http) == HTTP_PHASE_IDLE) {
		conn_finish(c, CONN_END_CLEAN);
		return;
	}
	fault_set(&fault, E_TIMEOUT);
	refuse(c, &fault);
}

void http_conn_drain(struct conn *c)
{
	int unsent = 0;

	/* A request that has begun is answered first; its answer says "close". */
	if (c->http && http_phase(c->http) != HTTP_PHASE_IDLE)
		return;
	/* nothing can be cut off: no need to wait for the client's end */
	if (!c->out && c->io.fd >= 0 && ioctl(c->io.fd, SIOCOUTQ, &unsent) == 0 && !unsent)
		conn_kill(c, CONN_END_CLEAN);
	else
		conn_finish(c, CONN_END_CLEAN);
}

void http_conn_done(struct conn *c)
{
	http_in_free(&c->http);
}
