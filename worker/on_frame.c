/* SPDX-License-Identifier: MIT */
/*
 * One frame of a dialect, text or MessagePack: decoded, then each command in it is run.
 */
#include "proto/dialect_native.h"
#include "proto/dialect_raw.h"
#include "worker/on_cmd.h"
#include "worker/ws_conn.h"

void on_raw_frame(struct conn *c, struct str text)
{
	const struct cmd_limits limits = worker_cmd_limits(conn_worker(c));
	struct json_doc *doc = NULL;
	struct cmd_id key = {0};
	struct fault fault;
	struct cmd cmd;

	if (raw_decode(text, !c->is_helloed, &limits, &doc, &cmd, &fault, &key) < 0) {
		ws_conn_fault(c, &fault, NULL, &key, 0);
		return;
	}
	on_cmd(c, &cmd);
	json_doc_free(&doc);
}

/* Requests of one frame that were not run yet. */
struct frame_rest {
	struct json_doc *doc; /* owned */
	size_t next;
};

/*
 * Runs the requests of DOC, which becomes this function's, from number I on; while the connection
 * is stopped the rest waits.
 */
static void run(struct conn *c, struct json_doc *doc, size_t i)
{
	const struct cmd_limits limits = worker_cmd_limits(conn_worker(c));
	const size_t n = native_count(doc);

	for (; i < n && conn_takes_more(c) && c->state == CONN_WS; i++) {
		struct fault fault;
		struct cmd cmd;

		if (native_cmd(doc, i, &limits, &cmd, &fault) < 0)
			ws_conn_fault(c, &fault, &cmd.id, NULL, cmd.conv);
		else
			on_cmd(c, &cmd);
	}
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

	if (r < 0) {
		if (!c->is_helloed) /* whatever it is, it is no hello */
			fault.error = E_BAD_FRAME;
		ws_conn_fault(c, &fault, NULL, NULL, 0);
		return;
	}
	run(c, doc, 0);
}
