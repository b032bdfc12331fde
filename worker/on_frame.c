/* SPDX-License-Identifier: MIT */
/*
 * One frame of a dialect, text or MessagePack: decoded, then each command in it is run.
 */
#include "proto/dialect_native.h"
#include "proto/dialect_raw.h"
#include "worker/limits.h"
#include "worker/on_cmd.h"
#include "worker/on_priv.h"
#include "worker/ws_conn.h"

/*
 * Where the handshake said who it is, or where a name alone lets nobody in, hello may leave it
 * out: what is missing then is told by on_hello.
 */
static struct cmd_limits limits_of(const struct conn *c)
{
	const struct worker *wk = conn_worker(c);
	struct cmd_limits limits = worker_cmd_limits(wk);

	limits.is_known = c->who || !wk->settings->chat_guests;
	return limits;
}

void on_raw_frame(struct conn *c, struct str text)
{
	const struct cmd_limits limits = limits_of(c);
	int64_t retry_ms;
	enum limit_verdict verdict = limits_frame(c, LIMIT_FRAMES, &retry_ms);
	struct json_doc *doc = NULL;
	struct cmd_id key = {0};
	struct fault fault;
	struct cmd cmd;
	int r;

	if (verdict == LIMIT_ABUSE) {
		ws_conn_abused(c);
		return;
	}
	r = raw_decode(text, !c->is_helloed, &limits, &doc, &cmd, &fault, &key);
	if (verdict == LIMIT_REFUSED && r == 0 && cmd.has_key)
		raw_key_of(&cmd, &key); /* the refusal names the message that was not taken */
	if (verdict == LIMIT_REFUSED)
		ws_conn_limited(c, retry_ms, NULL, &key, 0);
	else if (r < 0)
		ws_conn_fault(c, &fault, NULL, &key, 0);
	else
		on_cmd(c, &cmd);
	json_doc_free(&doc);
}

/* Requests of one frame that were not run yet. */
struct frame_rest {
	struct json_doc *doc; /* owned */
	size_t next;
};

static void run_one(struct conn *c, const struct json_doc *doc, size_t i,
		    const struct cmd_limits *limits)
{
	int64_t retry_ms;
	enum limit_verdict verdict = limits_frame(c, LIMIT_OPERATIONS, &retry_ms);
	struct fault fault;
	struct cmd cmd;
	int r = native_cmd(doc, i, limits, &cmd, &fault);

	if (verdict == LIMIT_ABUSE)
		ws_conn_abused(c);
	else if (verdict == LIMIT_REFUSED)
		ws_conn_limited(c, retry_ms, &cmd.id, NULL, cmd.conv);
	else if (r < 0)
		ws_conn_fault(c, &fault, &cmd.id, NULL, cmd.conv);
	else
		on_cmd(c, &cmd);
}

/* What cannot be read at all is an operation too. */
static void refuse_unread(struct conn *c, const struct fault *fault)
{
	int64_t retry_ms;

	switch (limits_frame(c, LIMIT_OPERATIONS, &retry_ms)) {
	case LIMIT_ABUSE:
		ws_conn_abused(c);
		break;
	case LIMIT_REFUSED:
		ws_conn_limited(c, retry_ms, NULL, NULL, 0);
		break;
	default:
		ws_conn_fault(c, fault, NULL, NULL, 0);
	}
}

/*
 * Runs the requests of DOC, which becomes this function's, from number I on; while the connection
 * is stopped the rest waits.
 */
static void run(struct conn *c, struct json_doc *doc, size_t i)
{
	const struct cmd_limits limits = limits_of(c);
	const size_t n = native_count(doc);

	for (; i < n && conn_takes_more(c) && c->state == CONN_WS; i++)
		run_one(c, doc, i, &limits);
	if (i < n && c->state == CONN_WS) {
		c->rest = xmalloc(sizeof(*c->rest));
		*c->rest = (struct frame_rest){doc, i};
	} else {
		json_doc_free(&doc);
	}
}

void on_frame_rest(struct conn *c)
{
	struct frame_rest *rest = c->rest;

	c->rest = NULL;
	if (rest)
		run(c, rest->doc, rest->next);
	free(rest);
}

void on_frame_forget(struct conn *c)
{
	if (c->rest)
		json_doc_free(&c->rest->doc);
	free(c->rest);
	c->rest = NULL;
}

void on_native_frame(struct conn *c, struct str payload)
{
	const struct cmd_limits limits = worker_cmd_limits(conn_worker(c));
	struct json_doc *doc = NULL;
	struct fault fault;
	int r = c->dialect == DIALECT_MSGPACK ? native_parse_msgpack(payload, &limits, &doc, &fault)
					      : native_parse(payload, &limits, &doc, &fault);

	if (r < 0 && !c->is_helloed) /* whatever it is, it is no hello */
		fault.error = E_BAD_FRAME;
	if (r < 0)
		refuse_unread(c, &fault);
	else
		run(c, doc, 0);
}
