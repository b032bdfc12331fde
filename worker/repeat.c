/* SPDX-License-Identifier: MIT */
/*
 * Gathers keys of refused requests, asks for all of them at once and answers each.
 * What is refused, and why, is decided by those who ask.
 */
#include "worker/repeat.h"

#include "base/list.h"
#include "sql/events.h"
#include "worker/chan_order.h"
#include "worker/dbio.h"
#include "worker/fanout.h"
#include "worker/persist_priv.h"

#define KEYS_MAX 256 /* in one statement */

struct question {
	struct list node;
	struct repeat what;
	persist_done_fn *done;
	void *arg;
	char bytes[]; /* the strings of WHAT */
};

struct repeats {
	struct list waiting;
	struct list asked; /* in the order of the statement that is under way */
	size_t n_waiting, n_asked;
};

/* What comes again in a while by itself. */
static bool is_passing(enum proto_error error)
{
	int status = error_info(error)->http_status;

	return status == 429 || status == 503;
}

/* Refusals of what may have been stored, to those who may still read it. */
static bool is_worth_a_look(enum proto_error error)
{
	switch (error) {
	case E_MUTED:
	case E_READ_ONLY:
	case E_FORBIDDEN:
	case E_BLOCKED:
	case E_SLOW_MODE:
	case E_RATE_LIMITED:
		return true;
	default:
		return false;
	}
}

/* ---- Answers ---- */

static void refuse(struct worker *wk, const struct repeat *what, enum proto_error error,
		   persist_done_fn *done, void *arg)
{
	const struct event ev = {
		.type = what->type, .conv = what->conv, .actor = what->actor};
	const struct persist_result res = {
		.error = error, .event = &ev, .detail = error == what->error ? what->detail : NULL};

	done(wk, arg, &res);
}

/* Nobody can look now. */
static void put_off(struct worker *wk, const struct repeat *what, persist_done_fn *done, void *arg)
{
	refuse(wk, what, is_passing(what->error) ? what->error : E_UNAVAILABLE, done, arg);
}

static bool is_reaction(enum event_type type)
{
	return type == EVT_REACTION_SET || type == EVT_REACTION_UNSET;
}

static bool is_it(const struct repeat *what, const struct event *ev)
{
	return ev->conv == what->conv && ev->type == what->type &&
	       ev->target_rev == what->target_rev &&
	       (!is_reaction(ev->type) || str_eq(ev->key, what->emoji));
}

/* ROW is what the key stands for, NULL: nothing. */
static void answer(struct worker *wk, struct question *q, const struct event_row *row)
{
	struct key_text key;
	struct event ev;

	list_remove(&q->node);
	if (row && chan_order_from_row(row->conv, row, &key, &ev) && is_it(&q->what, &ev)) {
		const struct persist_result res = {.is_duplicate = true, .event = &ev};

		worker_count(wk, M_MESSAGES_DUPLICATE, 1);
		fanout_ensure(wk, ev.conv, ev.rev);
		q->done(wk, q->arg, &res);
	} else {
		worker_count(wk, M_MESSAGES_REFUSED, 1);
		refuse(wk, &q->what, q->what.error, q->done, q->arg);
	}
	free(q);
}

static void answer_put_off(struct worker *wk, struct question *q)
{
	list_remove(&q->node);
	worker_count(wk, M_MESSAGES_REFUSED, 1);
	put_off(wk, &q->what, q->done, q->arg);
	free(q);
}

/* ---- Questions ---- */

static void on_rows(void *arg, int err, const struct db_result *res)
{
	struct worker *wk = arg;
	struct repeats *rs = wk->persist->repeats;
	const size_t n = rs->n_asked;
	int rows[KEYS_MAX]; /* per question */
	struct list *node;

	for (size_t i = 0; i < n; i++)
		rows[i] = -1;
	for (int i = 0; !err && i < db_rows(res); i++) {
		size_t place = event_by_key_place(res, i);

		if (place < n)
			rows[place] = i;
	}
	rs->n_asked = 0;
	for (size_t i = 0; (node = list_first(&rs->asked)); i++) {
		struct question *q = list_entry(node, struct question, node);
		struct event_row row;

		if (err) {
			answer_put_off(wk, q);
			continue;
		}
		if (rows[i] >= 0)
			event_row_get(res, rows[i], &row);
		answer(wk, q, rows[i] >= 0 ? &row : NULL);
	}
	worker_kick(wk);
}

void repeat_flush(struct worker *wk)
{
	struct repeats *rs = wk->persist->repeats;
	int64_t actors[KEYS_MAX];
	struct uuid keys[KEYS_MAX];
	struct list *node;

	if (!list_empty(&rs->asked) || list_empty(&rs->waiting))
		return;
	while (rs->n_asked < KEYS_MAX && (node = list_first(&rs->waiting))) {
		const struct question *q = list_entry(node, struct question, node);

		list_remove(node);
		list_append(&rs->asked, node);
		rs->n_waiting--;
		actors[rs->n_asked] = q->what.actor;
		keys[rs->n_asked++] = q->what.key;
	}
	/* on the writer's connection: what is being stored there is stored when this is read */
	if (events_by_key(dbio_writer(wk), actors, keys, rs->n_asked, dbio_deadline(wk), on_rows,
			  wk, NULL) == 0)
		return;
	rs->n_asked = 0;
	while ((node = list_first(&rs->asked)))
		answer_put_off(wk, list_entry(node, struct question, node));
}

static size_t count_of(const struct list *list, int64_t actor)
{
	size_t n = 0;

	for (const struct list *node = list->next; node != list; node = node->next)
		n += list_entry(node, const struct question, node)->what.actor == actor;
	return n;
}

static bool is_full(const struct repeats *rs, int64_t actor)
{
	return rs->n_waiting + rs->n_asked >= REPEAT_MAX ||
	       count_of(&rs->waiting, actor) + count_of(&rs->asked, actor) >= REPEAT_ACTOR_MAX;
}

static void enqueue(struct worker *wk, const struct repeat *what, persist_done_fn *done, void *arg)
{
	struct repeats *rs = wk->persist->repeats;
	size_t detail_len = what->detail ? strlen(what->detail) + 1 : 0;
	struct question *q = xcalloc(1, sizeof(*q) + what->emoji.len + detail_len);

	q->what = *what;
	q->done = done;
	q->arg = arg;
	if (what->emoji.len)
		memcpy(q->bytes, what->emoji.p, what->emoji.len);
	q->what.emoji.p = q->bytes;
	if (what->detail)
		q->what.detail = memcpy(q->bytes + what->emoji.len, what->detail, detail_len);
	list_append(&rs->waiting, &q->node);
	rs->n_waiting++;
	worker_kick(wk);
}

/* An outage is waited for where nobody else says when to come again. */
static bool may_wait(struct worker *wk, const struct repeat *what)
{
	struct db *db = dbio_writer(wk);

	if (!db || (is_passing(what->error) ? !db_is_connected(db) : dbio_is_given_up(wk)))
		return false;
	return !is_full(wk->persist->repeats, what->actor);
}

void repeat_ask(struct worker *wk, const struct repeat *what, persist_done_fn *done, void *arg)
{
	if (uuid_is_zero(&what->key) || !is_worth_a_look(what->error))
		refuse(wk, what, what->error, done, arg);
	else if (may_wait(wk, what))
		enqueue(wk, what, done, arg);
	else
		put_off(wk, what, done, arg);
}

bool repeat_ask_item(struct worker *wk, struct item *it, enum proto_error error, const char *detail)
{
	const struct repeat what = {.conv = it->event.conv,
				    .actor = it->event.actor,
				    .key = it->event.client_msg_id,
				    .type = it->event.type,
				    .target_rev = it->event.target_rev,
				    .emoji = item_is_change(it) ? it->change.key : STR(""),
				    .error = error,
				    .detail = detail};
	persist_done_fn *done = it->done;

	if (!it->has_key || !done || !is_worth_a_look(error))
		return false;
	it->done = NULL;
	repeat_ask(wk, &what, done, it->arg);
	return true;
}

/* ---- Life ---- */

void repeat_open(struct worker *wk)
{
	struct repeats *rs = wk->persist->repeats = xcalloc(1, sizeof(*rs));

	list_init(&rs->waiting);
	list_init(&rs->asked);
}

bool repeat_is_idle(const struct worker *wk)
{
	const struct repeats *rs = wk->persist->repeats;

	return list_empty(&rs->waiting) && list_empty(&rs->asked);
}

void repeat_close(struct worker *wk)
{
	struct repeats *rs = wk->persist->repeats;
	struct list *node;

	while ((node = list_first(&rs->asked)) || (node = list_first(&rs->waiting)))
		answer_put_off(wk, list_entry(node, struct question, node));
	free(rs);
	wk->persist->repeats = NULL;
}
