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

void on_native_frame(struct conn *c, struct str payload)
{
	const struct cmd_limits limits = worker_cmd_limits(conn_worker(c));
	struct json_doc *doc = NULL;
	struct fault fault;
	int r = c->dialect == DIALECT_MSGPACK ? native_parse_msgpack(payload, &limits, &doc, &fault)
					      : native_parse(payload, &limits, &doc, &fault);

	if (r < 0) {
		ws_conn_fault(c, &fault, NULL, NULL, 0);
		return;
	}
	for (size_t i = 0; i < native_count(doc) && c->state == CONN_WS; i++) {
		struct cmd cmd;

		if (native_cmd(doc, i, &limits, &cmd, &fault) < 0)
			ws_conn_fault(c, &fault, &cmd.id, NULL, cmd.conv);
		else
			on_cmd(c, &cmd);
	}
	json_doc_free(&doc);
}
