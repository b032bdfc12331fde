/* SPDX-License-Identifier: MIT */
/*
 * One durable change: parameters out, verdict in.
 * Locking, numbering, rights and effects are log_change's work in the schema.
 */
#include "sql/changes.h"

/* What a kind reads; the rest goes as NULL, so that a repeat is compared by what matters. */
enum {
	USES_TARGET = 1,
	USES_CONTENT = 2,
	USES_KEY = 4,
	USES_SUBJECT = 8,
};

static const uint8_t uses[] = {
	[KIND_MESSAGE_EDIT] = USES_TARGET | USES_CONTENT,
	[KIND_MESSAGE_DELETE] = USES_TARGET,
	[KIND_MESSAGE_RECOVER] = USES_TARGET,
	[KIND_REACTION_SET] = USES_TARGET | USES_KEY,
	[KIND_REACTION_UNSET] = USES_TARGET | USES_KEY,
	[KIND_MEMBER_JOIN] = USES_SUBJECT | USES_KEY,
	[KIND_MEMBER_LEAVE] = USES_SUBJECT,
	[KIND_MEMBER_ROLE] = USES_SUBJECT | USES_KEY,
	[KIND_CONVERSATION_UPDATE] = USES_CONTENT | USES_KEY,
	[KIND_CONVERSATION_CLOSE] = 0,
};

static bool has(enum kind kind, int what)
{
	return (uses[kind] & what) != 0;
}

static struct str key_of(const struct log_change *c)
{
	if (!has(c->kind, USES_KEY))
		return (struct str){NULL, 0};
	if (c->kind == KIND_MEMBER_JOIN && !c->key.p)
		return STR("member");
	return c->key.p ? c->key : STR("");
}

/* ---- The answer ---- */

/* Nothing was stored, and why. */
static enum log_change_status refusal(const struct db_result *res)
{
	switch (db_result_status(res)) {
	case DB_CONSTRAINT:
		/* a name that an open room has, or a key in use elsewhere at this moment */
		return strcmp(db_result_sqlstate(res), "23505") == 0 ? CHANGE_CONFLICT
								     : CHANGE_FAILED;
	case DB_ERROR:
		return db_result_err(res) == -ERR_INVAL ? CHANGE_FAILED : CHANGE_UNSENT;
	case DB_LOST:
		return CHANGE_UNKNOWN;
	default:
		return CHANGE_UNSENT;
	}
}

static enum log_change_status verdict(const struct db_result *res)
{
	int64_t status;

	if (db_result_status(res) != DB_OK)
		return refusal(res);
	status = db_get_i64(res, 0, 0);
	if (db_rows(res) != 1 || status < CHANGE_STORED || status > CHANGE_UNSEEN)
		return CHANGE_UNSENT;
	return (enum log_change_status)status;
}

static void on_changed(const struct db_call *call, const struct db_result *res)
{
	struct log_change_answer a = {.status = verdict(res)};

	if (a.status <= CHANGE_UNCHANGED)
		a = (struct log_change_answer){.status = a.status,
					       .rev = db_get_i64(res, 0, 1),
					       .seq = db_get_i64(res, 0, 2),
					       .at_ms = db_get_i64(res, 0, 3),
					       .target_seq = db_get_i64(res, 0, 4),
					       .target_author = db_get_i64(res, 0, 5),
					       .content = db_get_str(res, 0, 6),
					       .subject_name = db_get_str(res, 0, 7),
					       .conv = db_get_i64(res, 0, 8),
					       .client_msg_id = db_get_uuid(res, 0, 9),
					       .target_rev = db_get_i64(res, 0, 10),
					       .subject = db_get_i64(res, 0, 11),
					       .key = db_get_str(res, 0, 12)};
	if (a.status <= CHANGE_UNCHANGED || a.status == CHANGE_UNSEEN)
		a.tag = db_get_str(res, 0, 13);
	((log_change_done_fn *)call->then)(call->arg, &a);
}

/* ---- Sending ---- */

static void add_i64_if(struct db_args *args, bool is_used, int64_t v)
{
	if (is_used)
		db_args_i64(args, v);
	else
		db_args_null(args);
}

static void encode(const struct log_change *c, struct db_args *args)
{
	struct uuid id = uuid_is_zero(&c->client_msg_id) ? uuid_v7() : c->client_msg_id;

	db_args_i64(args, c->conv);
	db_args_i32(args, (int32_t)c->kind);
	db_args_i64(args, c->actor);
	db_args_uuid(args, &id);
	add_i64_if(args, has(c->kind, USES_TARGET), c->target_rev);
	add_i64_if(args, has(c->kind, USES_SUBJECT), c->subject ? c->subject : c->actor);
	if (has(c->kind, USES_CONTENT))
		db_args_text(args, c->content.p ? c->content : STR(""));
	else
		db_args_null(args);
	db_args_text(args, key_of(c));
	db_args_i32(args, c->may_moderate);
	db_args_i32(args, c->recover_days);
	db_args_i64_or_null(args, c->until_ms);
	db_args_text(args, c->reason);
	db_args_text(args, c->address);
	db_args_text(args, str_of(c->need.least));
	db_args_i32(args, c->need.is_above);
	if (c->seen.p)
		db_args_text(args, c->seen);
}

int log_change_submit(struct db *db, const struct log_change *change, uint64_t deadline_ms,
		      log_change_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;
	struct db_query q = {.stmt = change->seen.p ? STMT_LOG_CHANGE_SEEN : STMT_LOG_CHANGE,
			     .args = &args,
			     .deadline_ms = deadline_ms,
			     .is_patient = true,
			     .done = on_changed,
			     .call = {arg, (db_fn *)done}};
	int r;

	if (change->kind == KIND_MESSAGE_NEW || !*kind_name(change->kind))
		return -ERR_INVAL;
	encode(change, &args);
	r = db_submit(db, &q, ret_token);
	db_args_done(&args);
	return r;
}
