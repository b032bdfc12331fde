/* SPDX-License-Identifier: MIT */
/*
 * Native REST of two people: their conversation, and whom somebody does not want to hear from.
 * What a blocked person may still do is decided by the role that the database gives him.
 */
#include "sql/conversations.h"
#include "sql/direct.h"
#include "worker/call.h"
#include "worker/dbio.h"
#include "worker/direct.h"
#include "worker/rest.h"
#include "worker/revoke.h"
#include "worker/routes.h"

/* ---- The conversation ---- */

static void on_found(void *arg, int err, struct str json)
{
	rest_conversation_got(arg, err, json, false);
}

static void on_made(void *arg, int err, struct str json)
{
	rest_conversation_got(arg, err, json, true);
}

static void refuse(struct call *call, int err, const char *field)
{
	struct fault fault;

	if (direct_fault(err, field, &fault))
		call_fault(call, &fault, NULL);
	else
		call_db_error(call, err);
}

static void on_direct(void *arg, int err, const struct direct *direct)
{
	struct call *call = arg;
	page_done_fn *done;
	int r;

	if (err) {
		refuse(call, err, "members");
		return;
	}
	done = direct->is_new ? on_made : on_found;
	if (direct->is_new) {
		revoke_member(call->wk, direct->conv, call->who.user);
		revoke_member(call->wk, direct->conv, direct->peer);
	}
	call->path_id[0] = direct->conv;
	r = conversation_get(dbio_writer(call->wk), direct->conv, NULL, call->who.user,
			     dbio_deadline(call->wk), done, call, NULL);
	if (r < 0)
		done(call, r, STR(""));
}

void rest_direct_open(struct call *call, int64_t peer, const struct uuid *uid)
{
	int r = direct_open(dbio_writer(call->wk), call->who.user, peer, uid,
			    dbio_deadline(call->wk), on_direct, call, NULL);

	if (r < 0)
		on_direct(call, r, NULL);
}

/* ---- Blocks ---- */

static void on_block(void *arg, int err, int64_t conv)
{
	struct call *call = arg;

	if (err) {
		refuse(call, err, "id");
		return;
	}
	if (conv)
		revoke_member(call->wk, conv, call->path_id[0]);
	call_answer(call, 204, NULL, NULL, STR(""));
}

static void set_block(struct call *call, int64_t other, bool on)
{
	int r;

	call->path_id[0] = other;
	r = block_set(dbio_writer(call->wk), call->who.user, other, on, dbio_deadline(call->wk),
		      on_block, call, NULL);
	if (r < 0)
		on_block(call, r, 0);
}

static void block(struct call *call, int64_t other)
{
	set_block(call, other, true);
}

static void unblock(struct call *call, int64_t other)
{
	set_block(call, other, false);
}

void rest_blocks_put(struct call *call)
{
	rest_user(call, &(struct rest_user){call->path_id[0], call->path_uuid[0]}, block);
}

void rest_blocks_delete(struct call *call)
{
	rest_user(call, &(struct rest_user){call->path_id[0], call->path_uuid[0]}, unblock);
}

void rest_blocks_list(struct call *call)
{
	int r = block_list(dbio_reader(call->wk), call->who.user, dbio_deadline(call->wk),
			   rest_page, call, NULL);

	if (r < 0)
		rest_fail(call, r);
}
