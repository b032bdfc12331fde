/* SPDX-License-Identifier: MIT */
/*
 * Copies sends and changes, turns messages into rows and answers into verdicts.
 * Nothing is sent or announced from here.
 */
#include "base/map.h"
#include "proto/json.h"
#include "worker/persist_priv.h"

static struct item *item_new(size_t len)
{
	struct item *it = xcalloc(1, sizeof(*it) + len);

	list_init(&it->node);
	return it;
}

struct item *item_new_message(const struct event *ev)
{
	struct item *it = item_new(ev->actor_name.len + ev->content.len + ev->client_id.len +
				   ev->key.len);
	char *at = it->bytes;

	it->change.kind = KIND_MESSAGE_NEW;
	it->event = *ev;
	it->event.type = EVT_MESSAGE_NEW;
	it->event.actor_name = str_put(&at, ev->actor_name);
	it->event.content = str_put(&at, ev->content);
	it->event.client_id = str_put(&at, ev->client_id);
	it->event.key = str_put(&at, ev->key);
	it->has_key = !uuid_is_zero(&ev->client_msg_id);
	if (!it->has_key)
		it->event.client_msg_id = uuid_v7();
	return it;
}

struct item *item_new_change(const struct log_change *change, struct str actor_name)
{
	struct item *it = item_new(actor_name.len + change->content.len + change->key.len +
				   change->reason.len + change->address.len + change->seen.len);
	char *at = it->bytes;

	assert(change->kind != KIND_MESSAGE_NEW);
	it->change = *change;
	it->change.content = str_put(&at, change->content);
	it->change.key = str_put(&at, change->key);
	it->change.reason = str_put(&at, change->reason);
	it->change.address = str_put(&at, change->address);
	it->change.seen = str_put(&at, change->seen);
	/* chosen here, so that it is the same one in every attempt */
	it->has_key = !uuid_is_zero(&change->client_msg_id);
	if (!it->has_key)
		it->change.client_msg_id = uuid_v7();
	it->event = (struct event){
		.type = (enum event_type)change->kind,
		.conv = change->conv,
		.actor = change->actor,
		.actor_name = str_put(&at, actor_name),
		.client_msg_id = it->change.client_msg_id,
		.target_rev = change->target_rev,
	};
	return it;
}

void item_free(struct item *it)
{
	buf_done(&it->text);
	free(it->note);
	free(it);
}

bool item_is_moderation(const struct item *it)
{
	const struct log_change *change = &it->change;

	return (change->kind == KIND_MEMBER_LEAVE || change->kind == KIND_MEMBER_ROLE) &&
	       change->subject && change->subject != change->actor;
}

struct str item_attachment(const struct item *it)
{
	return item_is_change(it) ? STR("") : it->event.key;
}

struct str item_text(const struct item *it)
{
	switch (it->change.kind) {
	case KIND_MESSAGE_NEW:
		return it->event.content;
	case KIND_MESSAGE_EDIT:
		return it->change.content;
	default:
		return (struct str){NULL, 0};
	}
}

void item_set_text(struct item *it, struct str text)
{
	struct buf copy = BUF_INIT;

	buf_add_str(&copy, text); /* TEXT may be the one that is there */
	buf_done(&it->text);
	it->text = copy;
	if (item_is_change(it))
		it->change.content = buf_str(&it->text);
	else
		it->event.content = buf_str(&it->text);
}

void item_set_note(struct item *it, int64_t rule, struct str reason)
{
	free(it->note);
	it->note = xcalloc(1, sizeof(*it->note) + reason.len);
	it->note->rule = rule;
	it->note->len = reason.len;
	if (reason.len)
		memcpy(it->note->reason, reason.p, reason.len);
}

bool item_is_change(const struct item *it)
{
	return it->change.kind != KIND_MESSAGE_NEW;
}

uint64_t item_key(const struct item *it)
{
	const int64_t pair[2] = {it->event.conv, it->event.actor};

	return hash_bytes(pair, sizeof(pair)) | 1; /* 0 is no key of a map */
}

/* ---- Rows ---- */

/*
 * What a row keeps beside its text: the client's key as it was written, where the row has its hash,
 * and the address of what is attached.
 */
static struct str meta_of(const struct event *ev, struct buf *metas)
{
	bool has_key_text = ev->client_id.len && uuid_is_hash(&ev->client_msg_id);
	size_t start = metas->len;

	if (!has_key_text && !ev->key.len)
		return STR("");
	buf_add_char(metas, '{');
	if (has_key_text)
		json_add_key_str(metas, "client_id", ev->client_id);
	if (ev->key.len)
		json_add_key_str(metas, "attachment_url", ev->key);
	buf_add_char(metas, '}');
	return (struct str){NULL, metas->len - start};
}

void item_row(const struct item *it, struct batch_row *ret, struct buf *metas)
{
	const struct event *ev = &it->event;

	*ret = (struct batch_row){
		.conv = ev->conv,
		.sender = ev->actor,
		.client_msg_id = ev->client_msg_id,
		.content = ev->content,
		.reply_to_rev = ev->reply_to_rev,
		.meta_json = meta_of(ev, metas),
		.attachment = ev->key,
	};
}

void items_rows_settle(struct batch_row *rows, size_t n, const struct buf *metas)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		if (!rows[i].meta_json.len)
			continue;
		rows[i].meta_json.p = (const char *)metas->p + at;
		at += rows[i].meta_json.len;
	}
}

/* ---- Verdicts ---- */

static enum verdict settled(struct item *it, enum proto_error error)
{
	it->error = error;
	return VERDICT_SETTLED;
}

static void take_numbers(struct item *it, int64_t rev, int64_t seq, int64_t at_ms)
{
	it->error = E_NONE;
	it->event.rev = rev;
	it->event.seq = seq;
	it->event.at_ms = at_ms;
}

/* What the log has is answered, whatever the repetition says. */
static void take_stored(struct item *it, const struct batch_answer *a)
{
	it->event.content = a->content;
	it->event.key = a->attachment;
	it->event.reply_to_rev = a->reply_to_rev;
	it->event.on = !a->content.p;
}

enum verdict item_judge_message(struct item *it, const struct batch_answer *a)
{
	switch (a->status) {
	case BATCH_STORED:
	case BATCH_DUPLICATE:
		/*
		 * keys are the sender's: this one stands for a message elsewhere, and this is
		 * lost
		 */
		if (a->conv != it->event.conv)
			return settled(it, E_CONFLICT);
		take_numbers(it, a->rev, a->seq, a->at_ms);
		it->is_duplicate = a->status == BATCH_DUPLICATE;
		if (it->is_duplicate)
			take_stored(it, a);
		return it->is_duplicate ? VERDICT_SETTLED : VERDICT_STORED;
	case BATCH_NO_CONV:
		return settled(it, E_NO_SUCH_ROOM);
	case BATCH_FAILED:
		return settled(it, E_INVALID);
	case BATCH_UNKNOWN:
		return VERDICT_UNKNOWN;
	case BATCH_UNSENT:
		return VERDICT_AGAIN;
	}
	return settled(it, E_INTERNAL);
}

/* A subject who is the actor is not named twice: the same as in events read from the log. */
static void take_change(struct item *it, const struct log_change_answer *a)
{
	bool is_other = a->subject && a->subject != it->event.actor;

	take_numbers(it, a->rev, a->seq, a->at_ms);
	it->event.subject = is_other ? a->subject : 0;
	it->event.subject_name = is_other ? a->subject_name : STR("");
	it->event.content = a->content;
	it->event.key = a->key;
}

enum verdict item_judge_change(struct item *it, const struct log_change_answer *a)
{
	switch (a->status) {
	case CHANGE_STORED:
		take_change(it, a);
		return VERDICT_STORED;
	case CHANGE_DUPLICATE:
		take_change(it, a);
		it->is_duplicate = true;
		return VERDICT_SETTLED;
	case CHANGE_UNCHANGED:
		take_change(it, a);
		it->event.rev = 0; /* it has no event */
		return VERDICT_SETTLED;
	case CHANGE_NO_CONV:
		return settled(it, E_NO_SUCH_ROOM);
	case CHANGE_NO_TARGET:
		return settled(it, E_NOT_FOUND);
	case CHANGE_DELETED:
		return settled(it, E_MESSAGE_DELETED);
	case CHANGE_UNSEEN:
		return settled(it, E_CHANGED);
	case CHANGE_DENIED:
		return settled(it, E_FORBIDDEN);
	case CHANGE_GONE:
		return settled(it, E_GONE);
	case CHANGE_CONFLICT:
		return settled(it, E_CONFLICT);
	case CHANGE_FAILED:
		return settled(it, E_INVALID);
	case CHANGE_UNKNOWN:
		return VERDICT_UNKNOWN;
	case CHANGE_UNSENT:
		return VERDICT_AGAIN;
	}
	return settled(it, E_INTERNAL);
}
