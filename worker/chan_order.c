/* SPDX-License-Identifier: MIT */
/*
 * The order of a channel's events: by rev, each once. Early ones are held, holes are read from
 * the log. How an event becomes bytes is deliver.c's.
 */
#include "worker/chan_order.h"

#include "base/clock.h"
#include "proto/json.h"
#include "shm/presence.h"
#include "shm/rooms.h"
#include "worker/dbio.h"
#include "worker/deliver.h"
#include "worker/presence.h"
#include "worker/roles.h"
#include "worker/roster.h"
#include "worker/stale.h"

#define META_DEPTH 16	  /* nesting of a row's meta */
#define FILL_PAGE 500	 /* rows in one query */
#define EARLY_MAX 4096	 /* held events; more are dropped, the database has them */
#define FILL_RETRY_MS 250 /* after a database error */

struct fill {
	struct worker *wk;
	int64_t conv;
	uint64_t serial;
	int64_t announced; /* highest rev that was held when the question was put */
};

/*
 * A key that was no UUID is stored as its hash; persist.c put it into the row's meta as it was
 * written.
 */
static struct str key_in_meta(struct str meta, struct key_text *text)
{
	const struct json_str_rule rule = {.min = 1, .max = CMD_KEY_MAX};
	struct json_doc *doc = NULL;
	struct str key = STR("");
	struct fault fault;

	if (!meta.len || json_parse(meta, META_DEPTH, &doc, NULL) < 0)
		return key;
	if (json_get_str(json_root(doc), "client_id", &rule, &key, &fault) == 0 &&
	    key.len <= CMD_KEY_MAX) {
		memcpy(text->text, key.p, key.len);
		key.p = text->text;
	} else {
		key = STR("");
	}
	json_doc_free(&doc);
	return key;
}

static struct str key_of(const struct event_row *row, struct key_text *text)
{
	if (uuid_is_zero(&row->client_msg_id))
		return STR("");
	if (uuid_is_hash(&row->client_msg_id))
		return key_in_meta(row->meta_json, text);
	uuid_format(&row->client_msg_id, text->text);
	return str_of(text->text);
}

bool chan_order_from_row(int64_t conv, const struct event_row *row, struct key_text *key,
			 struct event *ret)
{
	if (!event_info((int)row->kind))
		return false;
	*ret = (struct event){
		.type = (enum event_type)row->kind,
		.conv = conv,
		.rev = row->rev,
		.seq = row->seq,
		.at_ms = row->at_ms,
		.actor = row->actor,
		.actor_name = row->actor_name,
		.client_msg_id = row->client_msg_id,
		.client_id = key_of(row, key),
		.subject = row->subject,
		.subject_name = row->subject_name,
		.key = row->key,
		.content = row->content,
		.on = row->kind == KIND_MESSAGE_NEW && row->deleted_at_ms,
	};
	if (row->kind == KIND_MESSAGE_NEW)
		ret->reply_to_rev = row->target_rev;
	else
		ret->target_rev = row->target_rev;
	return true;
}

/* Delivers one event whose turn it is. */
static void deliver_next(struct chan *ch, const struct event *ev)
{
	deliver_event(ch, ev);
	if (ev->type == EVT_CONVERSATION_CLOSE) {
		ch->state = CHAN_CLOSED;
		chan_set_due(ch);
	}
}

static void drop_early(struct chan *ch, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		blob_unref(&ch->early[i].bytes);
	ch->n_early -= n;
	if (n)
		memmove(ch->early, ch->early + n, ch->n_early * sizeof(*ch->early));
}

void chan_order_release(struct chan *ch)
{
	uint32_t n = 0;

	for (; n < ch->n_early && ch->early[n].rev <= ch->rev + 1; n++) {
		struct blob *bytes = ch->early[n].bytes;
		struct event ev;

		if (ch->early[n].rev == ch->rev + 1 &&
		    event_decode(bytes->bytes, bytes->len, &ev) == 0)
			deliver_next(ch, &ev);
	}
	if (n)
		drop_early(ch, n);
	if (ch->n_early) {
		ch->early_since_ms = clock_mono_ms();
		chan_set_due(ch);
	}
	if (!list_empty(&ch->ahead))
		chan_level(ch);
}

/* Keeps an early event in its place; a repeat is dropped. */
static void hold(struct chan *ch, int64_t rev, struct str bytes)
{
	uint32_t at = ch->n_early;

	while (at > 0 && ch->early[at - 1].rev > rev)
		at--;
	if (at > 0 && ch->early[at - 1].rev == rev)
		return;
	if (ch->n_early == EARLY_MAX) {
		ch->is_behind = true;
		ch->must_refill |= ch->is_filling;
		return;
	}
	if (ch->n_early == ch->cap_early) {
		ch->cap_early = ch->cap_early ? ch->cap_early * 2 : 8;
		ch->early = xrealloc(ch->early, ch->cap_early * sizeof(*ch->early));
	}
	memmove(ch->early + at + 1, ch->early + at, (ch->n_early - at) * sizeof(*ch->early));
	ch->early[at] = (struct chan_early){rev, blob_new(bytes.p, bytes.len)};
	if (ch->n_early++ == 0) {
		ch->early_since_ms = clock_mono_ms();
		worker_count(ch->wk, M_HOLDBACK, 1);
		chan_set_due(ch);
	}
}

static void take_durable(struct chan *ch, const struct event *ev, struct str bytes)
{
	if (ch->state == CHAN_LOADING || ev->rev > ch->rev + 1) {
		hold(ch, ev->rev, bytes);
		return;
	}
	if (ev->rev <= ch->rev)
		return;
	deliver_next(ch, ev);
	if (ch->n_early || !list_empty(&ch->ahead))
		chan_order_release(ch);
}

/* What somebody may do here has changed, or how often everybody may speak. */
static void note_rights(struct worker *wk, const struct event *ev)
{
	if (ev->type == EVT_CONVERSATION_UPDATE)
		roles_changed(wk, ev->conv, 0);
	else if (ev->type >= EVT_MEMBER_JOIN && ev->type <= EVT_MEMBER_ROLE)
		roles_changed(wk, ev->conv, ev->subject ? ev->subject : ev->actor);
}

void chan_event(struct worker *wk, const struct event *ev, struct str bytes)
{
	struct chan *ch = chan_find(wk, ev->conv);

	if (ev->rev && ev->type != EVT_MESSAGE_NEW)
		stale_forget(wk, ev->conv); /* what was deleted must not come back */
	if (ev->conv == MEMBER_NODE) {
		presence_event(wk, ev);
		return;
	}
	if (!ch || ch->state == CHAN_CLOSED)
		return;
	if (ev->rev) {
		take_durable(ch, ev, bytes);
		note_rights(wk, ev);
		return;
	}
	if (ev->type == EVT_PRESENCE) {
		roster_event(ch, ev);
	} else if (ev->type == EVT_READ || ev->type == EVT_DELIVERED) {
		deliver_event(ch, ev);
		return;
	} else if (ev->type == EVT_TYPING) {
		ch->typing_due = true;
	} else {
		ch->roster_due = true;
	}
	chan_set_due(ch);
}

/*
 * What was announced is committed, with all before it: what the log did not have then, up to the
 * first event held, it does not have any more. Nobody waits for it.
 */
static void skip_removed(struct chan *ch, int64_t announced)
{
	if (ch->n_early && ch->early[0].rev <= announced && ch->early[0].rev > ch->rev + 1)
		ch->rev = ch->early[0].rev - 1;
}

static void on_filled(void *arg, int err, const struct db_result *res)
{
	struct fill f = *(struct fill *)arg;
	struct chan *ch = chan_find(f.wk, f.conv);
	int n = err ? 0 : db_rows(res);

	free(arg);
	if (!ch || ch->serial != f.serial)
		return;
	ch->is_filling = false;
	for (int i = 0; i < n && ch->state == CHAN_OPEN; i++) {
		struct event_row row;
		struct key_text key;
		struct event ev;

		event_row_get(res, i, &row);
		if (row.rev <= ch->rev)
			continue;
		if (chan_order_from_row(ch->conv, &row, &key, &ev))
			deliver_next(ch, &ev);
		ch->rev = row.rev;
		ch->seq = row.seq;
	}
	if (!err && n < FILL_PAGE)
		skip_removed(ch, f.announced);
	chan_order_release(ch);
	if (n == FILL_PAGE || (!err && ch->must_refill)) {
		chan_order_fill(ch);
		return;
	}
	if (!err) {
		ch->is_behind = false;
		chan_level_off(ch);
	} else {
		ch->early_since_ms = clock_mono_ms() + FILL_RETRY_MS;
	}
	chan_set_due(ch);
}

void chan_order_fill(struct chan *ch)
{
	struct fill *f;

	ch->is_behind = true;
	ch->must_refill = ch->is_filling; /* that question may have been put too early */
	if (ch->is_filling || ch->state != CHAN_OPEN)
		return;
	f = xcalloc(1, sizeof(*f));
	*f = (struct fill){ch->wk, ch->conv, ch->serial,
			   ch->n_early ? ch->early[ch->n_early - 1].rev : 0};
	ch->is_filling = true;
	worker_count(ch->wk, M_HOLES, 1);
	if (events_after(dbio_reader(ch->wk), ch->conv, ch->rev, FILL_PAGE, 0, on_filled, f, NULL) <
	    0) {
		free(f);
		ch->is_filling = false;
		ch->early_since_ms = clock_mono_ms() + FILL_RETRY_MS;
		chan_set_due(ch);
	}
}

void chan_order_doubt(struct chan *ch)
{
	if (!ch->is_behind && !ch->n_early)
		ch->early_since_ms = clock_mono_ms();
	ch->is_behind = true;
	if (ch->is_filling)
		ch->must_refill = true; /* that question may have been put too early */
	chan_set_due(ch);
}

uint64_t chan_order_run(struct chan *ch, uint64_t now_ms)
{
	uint64_t at = ch->early_since_ms + (uint64_t)ch->wk->settings->deliver_holdback;

	if ((ch->n_early == 0 && !ch->is_behind) || ch->is_filling || ch->state != CHAN_OPEN)
		return UINT64_MAX;
	if (now_ms < at)
		return at;
	chan_order_fill(ch);
	return ch->is_filling ? UINT64_MAX : ch->early_since_ms;
}

void chan_order_done(struct chan *ch)
{
	drop_early(ch, ch->n_early);
	free(ch->early);
	ch->early = NULL;
}

/* Nothing that lasts was lost on a channel that has what the node has published. */
static bool has_all(const struct chan *ch)
{
	int64_t rev, seq;

	return ch->state == CHAN_OPEN && !ch->n_early &&
	       room_head(ch->wk->shm, (unsigned)ch->wk->slot, ch->conv, &rev, &seq) == 0 &&
	       rev <= ch->rev;
}

void chan_refill_all(struct worker *wk)
{
	uint32_t pos = 0;
	uint64_t key;
	void *ch;

	while (map_next(&wk->chans, &pos, &key, &ch))
		if (!has_all(ch))
			chan_order_fill(ch);
}
