/* SPDX-License-Identifier: MIT */
/*
 * Answers: status, fields that all have, errors in the form that the address promises.
 * What a request means is decided in the handlers; what follows on the connection in http_conn.c.
 */
#include "worker/call.h"

#include "base/clock.h"
#include "base/log.h"
#include "proto/dialect_native.h"
#include "proto/dialect_raw.h"
#include "worker/conn.h"
#include "worker/defence.h"
#include "worker/http_conn.h"
#include "worker/origin.h"
#include "worker/route.h"
#include "worker/ws_conn.h"

/* The choices of server.mode in the order of settings.def. */
enum { MODE_PRODUCTION, MODE_DEVELOPMENT };

/* And those of log.requests. */
enum { LOG_REQUESTS_OFF, LOG_REQUESTS_ERRORS, LOG_REQUESTS_ALL };

#define JSON_TYPE "application/json"
#define PROBLEM_TYPE "application/problem+json"
#define HTML_TYPE "text/html; charset=utf-8"

struct call *call_new(struct conn *c, const struct http_request *req)
{
	struct worker *wk = conn_worker(c);
	struct call *call = xcalloc(1, sizeof(*call));
	struct uuid id = uuid_v7();

	call->wk = wk;
	call->conn_id = c->id;
	call->req = req;
	call->shape = CALL_SHAPE_PROBLEM;
	call->minor = 1;
	call->since_ms = clock_mono_ms();
	call->is_ops = c->is_ops;
	call->addr = c->addr;
	uuid_format(&id, call->request_id);
	addr_format(&c->addr, call->address);
	if (!req)
		return call;
	call->minor = req->minor;
	call->head_only = req->method == HTTP_HEAD;
	/* Bytes behind an upgrade that was not taken up have no meaning. */
	call->keep_alive = req->keep_alive && !req->upgrade &&
			   c->requests < wk->settings->http_keepalive_requests;
	if (!c->is_ops)
		call->cors = origin_cors(wk->settings, req);
	return call;
}

struct conn *call_conn(struct call *call)
{
	struct conn *c = conn_find(call->wk, call->conn_id);

	return c && c->state == CONN_HTTP ? c : NULL;
}

void call_done(struct call *call)
{
	if (call->ret_answered)
		*call->ret_answered = true;
	free(call->cors);
	free(call->cookie);
	free(call);
}

struct str call_address(const struct call *call)
{
	return strcmp(call->address, "-") == 0 ? str_of(NULL) : str_of(call->address);
}

void call_add_fields(const struct call *call, struct buf *fields)
{
	struct worker *wk = call->wk;

	buf_printf(fields, "X-Request-Id: %s\r\n", call->request_id);
	if (wk->settings->server_mode == MODE_DEVELOPMENT)
		buf_printf(fields, "X-Roomd-Worker: %d\r\n", wk->slot);
	limits_add_fields(call, fields);
	if (call->is_stale) /* RFC 9111, section 5.1: seconds since the origin gave the answer */
		buf_printf(fields, "Age: %" PRIu64 "\r\nX-Roomd-Stale: database\r\n",
			   call->age_ms / 1000);
	if (call->etag[0])
		buf_printf(fields, "ETag: %s\r\n", call->etag);
	if (call->cors)
		buf_add_cstr(fields, call->cors);
	if (call->cookie)
		buf_add_cstr(fields, call->cookie);
}

static bool has_no_body(int status)
{
	return status < 200 || status == 204 || status == 304;
}

/* The request itself is gone when an answer comes later; without a route none does. */
static const char *method_of(const struct call *call)
{
	if (call->head_only)
		return http_method_name(HTTP_HEAD);
	if (call->route)
		return http_method_name(call->route->method);
	return call->req ? http_method_name(call->req->method) : "";
}

/*
 * One line for a request, with what finds it again and nothing that a client wrote: the address is
 * the table's, not the request's.
 */
static void log_request(const struct call *call, int status)
{
	static struct log_rate rate;
	const char *path = call->route ? call->route->path : "", *client = call->address;
	uint64_t suppressed = 0, took_ms = clock_mono_ms() - call->since_ms;
	/* 501 and 505 are the client's doing */
	bool is_ours = status >= 500 && status != 501 && status != 505;
	enum log_level level = is_ours ? LOG_LEVEL_WARN : LOG_LEVEL_INFO;

	/* a database that is away must not fill the log */
	if (is_ours && !log_rate_pass(&rate, 1000, &suppressed))
		return;
	log_at(level, "request", LF_STR("request", call->request_id), LF_STR("client", client),
	       LF_STR("method", method_of(call)), LF_STR("route", path), LF_INT("status", status),
	       LF_INT("ms", (int64_t)took_ms), LF_INT("user", call->who.user),
	       LF_INT("suppressed", (int64_t)suppressed));
}

static bool is_logged(const struct call *call, int status)
{
	int64_t which = call->wk->settings->log_requests;

	return !call->is_ops &&
	       (which == LOG_REQUESTS_ALL || (which == LOG_REQUESTS_ERRORS && status >= 400));
}

void call_answer(struct call *call, int status, const char *type, const char *headers,
		 struct str body)
{
	struct conn *c = call_conn(call);
	struct buf fields = BUF_INIT;
	bool keep_alive = call->keep_alive && !call->wk->draining;
	struct http_head head = {
		.status = status,
		.date = call->wk->date,
		.type = type,
		.length = has_no_body(status) ? -1 : (int64_t)body.len,
		.keep_alive = keep_alive,
		.minor = call->minor,
	};

	if (status >= 400 && !call->is_ops)
		worker_count(call->wk, M_HTTP_ERRORS, 1);
	if (is_logged(call, status))
		log_request(call, status);
	if (!c)
		goto out;
	call_add_fields(call, &fields);
	defence_add_fields(&fields, c, call->req, type);
	if (headers)
		buf_add_cstr(&fields, headers);
	head.fields = buf_str(&fields);
	http_add_head(conn_reply(c), &head);
	if (!call->head_only && !has_no_body(status))
		buf_add_str(conn_reply(c), body);
	buf_done(&fields);
	http_conn_answered(c, keep_alive);
out:
	call_done(call);
}

void call_stream(struct call *call, const char *type, const char *headers)
{
	struct buf fields = BUF_INIT;

	call_add_fields(call, &fields);
	defence_add_fields(&fields, call_conn(call), call->req, type);
	buf_add_cstr(&fields, headers);
	http_add_head(conn_reply(call_conn(call)), &(struct http_head){
							   .status = 200,
							   .date = call->wk->date,
							   .type = type,
							   .length = -1,
							   .minor = call->minor,
							   .fields = buf_str(&fields),
						   });
	buf_done(&fields);
}

void call_json(struct call *call, int status, struct str body)
{
	call_answer(call, status, JSON_TYPE, "Cache-Control: no-store\r\n", body);
}

/* A page of our own words only. */
static void add_error_page(struct buf *b, int status, const struct fault *f)
{
	const char *title = http_status_text(status);

	buf_printf(b,
		   "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
		   "<meta name=\"viewport\" content=\"width=device-width\">\n"
		   "<title>%d %s</title>\n<h1>%s</h1>\n<p>%s</p>\n"
		   "<p><a href=\"/\">To the start</a></p>\n",
		   status, title, title, f->text);
}

/* Refusals that pass have a time to come back, with jitter so that not all come back at once. */
static int64_t retry_ms_of(const struct call *call, enum proto_error error)
{
	if ((error == E_RATE_LIMITED || error == E_SLOW_MODE) && call->limit.retry_ms)
		return call->limit.retry_ms;
	switch (error) {
	case E_UNAVAILABLE:
	case E_OVERLOADED:
	case E_RESTARTING:
	case E_RATE_LIMITED:
		return worker_retry_ms(call->wk);
	default:
		return 0;
	}
}

void call_fault(struct call *call, const struct fault *fault, const char *headers)
{
	struct buf body = BUF_INIT, lines = BUF_INIT;
	int status = error_info(fault->error)->http_status;
	int64_t retry_ms = retry_ms_of(call, fault->error);
	const char *type = HTML_TYPE;

	buf_add_cstr(&lines, "Cache-Control: no-store\r\n");
	if (headers)
		buf_add_cstr(&lines, headers);
	if (retry_ms)
		buf_printf(&lines, "Retry-After: %" PRId64 "\r\n", (retry_ms + 999) / 1000);
	if (fault->error == E_SLOW_MODE) /* the conversation's own pace: no limit of a request */
		call->limit.limit = 0;
	if (status == 401) /* RFC 9110 section 15.5.2 */
		buf_add_cstr(&lines, "WWW-Authenticate: Bearer\r\n");
	switch (call->shape) {
	case CALL_SHAPE_S1:
		status = raw_http_status(fault);
		type = JSON_TYPE;
		raw_add_detail(&body, fault);
		break;
	case CALL_SHAPE_PROBLEM:
		type = PROBLEM_TYPE;
		problem_add(&body, fault, call->request_id, retry_ms);
		break;
	default:
		add_error_page(&body, status, fault);
	}
	buf_add_char(&lines, '\0');
	call_answer(call, status, type, (char *)lines.p, buf_str(&body));
	buf_done(&lines);
	buf_done(&body);
}

void call_error(struct call *call, enum proto_error error, const char *detail)
{
	struct fault f;

	fault_set(&f, error);
	if (detail)
		snprintf(f.text, sizeof(f.text), "%s", detail);
	call_fault(call, &f, NULL);
}

void call_db_error(struct call *call, int err)
{
	static struct log_rate rate;
	bool is_s1 = call->shape == CALL_SHAPE_S1;
	uint64_t suppressed;

	switch (err) {
	case -ERR_UNAVAILABLE:
	case -ERR_FULL:
	case -ERR_TIMEOUT:
		call_error(call, E_UNAVAILABLE, NULL);
		return;
	case -ERR_NOENT:
		call_error(call, E_NO_SUCH_ROOM, is_s1 ? "Room not found" : NULL);
		return;
	case -ERR_EXISTS:
		call_error(call, E_DUPLICATE, is_s1 ? "Room with this name already exists" : NULL);
		return;
	case -ERR_INVAL:
		call_error(call, E_INVALID, NULL);
		return;
	default:
		if (log_rate_pass(&rate, 10000, &suppressed))
			log_warn("A query for a request failed.", LF_STR("error", err_name(err)),
				  LF_STR("request", call->request_id),
				  LF_INT("suppressed", suppressed));
		call_error(call, E_INTERNAL, NULL);
	}
}
