/* SPDX-License-Identifier: MIT */
/*
 * One frame of a dialect, text or MessagePack: decoded, then each command in it is run. One that
 * names its conversation by UUID waits for the database, and what follows behind it.
 */
#include "proto/dialect_native.h"
#include "proto/dialect_raw.h"
#include "sql/rooms.h"
#include "worker/dbio.h"
#include "worker/limits.h"
#include "worker/on_cmd.h"
#include "worker/on_priv.h"
#include "worker/roles.h"
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

/* The conversation that a request names by UUID. */
struct named {
	bool is_asked;
	enum proto_error error; /* E_NONE: it is CONV */
	int64_t conv;
};

/* Requests of one frame that were not run yet. */
struct frame_rest {
	struct json_doc *doc; /* owned */
	size_t next;
	struct named named; /* of the next one */
};

/* NAMED tells what CMD lacked. */
static void run_named(struct conn *c, struct cmd *cmd, const struct named *named)
{
	struct fault fault;

	cmd->conv = named->conv;
	if (named->error) {
		cmd_refuse(c, cmd, named->error);
	} else if (cmd->reply_to_rev && cmd->reply_to_conv != cmd->conv) {
		fault_field(&fault, FAULT_VALUE, "reply_to", 0);
		ws_conn_fault(c, &fault, &cmd->id, NULL, cmd->conv);
	} else {
		on_cmd(c, cmd);
	}
}

/* False, and *RET_UID is its conversation, when it has to be asked for first. */
static bool run_one(struct conn *c, const struct json_doc *doc, size_t i,
		    const struct cmd_limits *limits, const struct named *named,
		    struct uuid *ret_uid)
{
	int64_t retry_ms;
	enum limit_verdict verdict =
		named->is_asked ? LIMIT_PASS : limits_frame(c, LIMIT_OPERATIONS, &retry_ms);
	struct fault fault;
	struct cmd cmd;
	int r = native_cmd(doc, i, limits, &cmd, &fault);

	*ret_uid = cmd.conv_uid;
	if (verdict == LIMIT_ABUSE)
		ws_conn_abused(c);
	else if (verdict == LIMIT_REFUSED)
		ws_conn_limited(c, retry_ms, &cmd.id, NULL, cmd.conv);
	else if (r < 0)
		ws_conn_fault(c, &fault, &cmd.id, NULL, cmd.conv);
	else if (!cmd.has_conv_uid || !c->is_helloed)
		on_cmd(c, &cmd);
	else if (named->is_asked)
		run_named(c, &cmd, named);
	else
		return false;
	return true;
}

/* Who waits for the answer to what a UUID stands for. */
struct naming {
	struct worker *wk;
	uint64_t conn_id;
};

static void on_named(void *arg, int err, const struct room *room)
{
	struct naming *n = arg;
	struct conn *c = conn_find(n->wk, n->conn_id);

	free(n);
	if (!c)
		return;
	c->n_entering--;
	if (c->rest)
		c->rest->named = (struct named){
			.is_asked = true,
			.error = err == -ERR_NOENT ? E_NO_SUCH_ROOM : err ? E_UNAVAILABLE : E_NONE,
			.conv = err ? 0 : room->id,
		};
	roles_unblock(c);
}

/* The rest of the frame waits, the request that names UID first. */
static void ask_name(struct conn *c, const struct uuid *uid)
{
	struct naming *n = xmalloc(sizeof(*n));
	struct worker *wk = conn_worker(c);
	int r;

	*n = (struct naming){wk, c->id};
	c->n_entering++;
	conn_block(c);
	r = room_info(dbio_reader(wk), 0, uid, dbio_deadline(wk), on_named, n, NULL);
	if (r < 0)
		on_named(n, r, NULL);
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
 * Runs the requests of DOC, which becomes this function's, from number I on, whose conversation is
 * NAMED if it was asked for; while the connection is stopped the rest waits.
 */
static void run(struct conn *c, struct json_doc *doc, size_t i, struct named named)
{
	struct cmd_limits limits = limits_of(c);
	const size_t n = native_count(doc);
	bool is_run = true;
	struct uuid uid;

	limits.conv_uids = true;
	while (i < n && conn_takes_more(c) && c->state == CONN_WS) {
		is_run = run_one(c, doc, i, &limits, &named, &uid);
		if (!is_run)
			break;
		named = (struct named){0};
		i++;
	}
	if (i == n || c->state != CONN_WS) {
		json_doc_free(&doc);
		return;
	}
	c->rest = xmalloc(sizeof(*c->rest));
	*c->rest = (struct frame_rest){doc, i, named};
	if (!is_run)
		ask_name(c, &uid);
}

void on_frame_rest(struct conn *c)
{
	struct frame_rest *rest = c->rest;

	c->rest = NULL;
	if (rest)
		run(c, rest->doc, rest->next, rest->named);
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
		run(c, doc, 0, (struct named){0});
}
