/* SPDX-License-Identifier: MIT */
/*
 * What waits to be stored: who may enter, in which order, and who is sent away before his turn.
 */
#include "base/clock.h"
#include "worker/dbio.h"
#include "worker/persist_priv.h"
#include "worker/repeat.h"

void persist_show(const struct worker *wk)
{
	metric_set(wk->shm, (unsigned)wk->slot, M_PERSIST_QUEUE, (int64_t)wk->persist->n_queued);
}

uint64_t item_expires_at(const struct worker *wk, const struct item *it)
{
	return it->queued_ms + (uint64_t)wk->settings->persist_wait_max;
}

void item_answer(struct worker *wk, struct item *it, const struct log_change_answer *a,
			const char *detail)
{
	const struct persist_result res = {it->error, it->is_duplicate, &it->event, a, detail};
	persist_done_fn *done = it->done;

	if (it->error)
		worker_count(wk, M_MESSAGES_REFUSED, 1);
	else if (it->is_duplicate)
		worker_count(wk, M_MESSAGES_DUPLICATE, 1);
	it->done = NULL;
	if (done)
		done(wk, it->arg, &res);
}

void item_refuse(struct worker *wk, struct item *it, enum proto_error error)
{
	it->error = error;
	item_answer(wk, it, NULL, NULL);
}

/* ---- The queue ---- */

void persist_look_again(struct persist *p)
{
	p->skip = NULL;
	map_done(&p->held);
	p->held = (struct map){0};
}

void persist_take(struct persist *p, struct item *it)
{
	if (p->skip == &it->node)
		p->skip = it->node.next;
	list_remove(&it->node);
	p->n_queued--;
	p->n_changes -= item_is_change(it);
}

void persist_put(struct persist *p, struct item *it, struct list *before)
{
	list_append(before, &it->node);
	p->n_queued++;
	p->n_changes += item_is_change(it);
}

void persist_drop(struct worker *wk, struct item *it, enum proto_error error, const char *detail)
{
	judge_forget(wk, it);
	persist_take(wk->persist, it);
	it->error = error;
	if (!repeat_ask_item(wk, it, error, detail))
		item_answer(wk, it, NULL, detail);
	item_free(it);
}

static int enqueue(struct worker *wk, struct item *it, const struct uuid *session,
		   persist_done_fn *done, void *arg)
{
	struct persist *p = wk->persist;
	uint64_t expires;

	if (session)
		it->session = *session;
	it->queued_ms = clock_mono_ms();
	it->done = done;
	it->arg = arg;
	if (p->skip == &p->queue)
		p->skip = &it->node;
	persist_put(p, it, &p->queue);
	judge_enter(wk, it);
	persist_show(wk);
	expires = item_expires_at(wk, it);
	p->expire_ms = MIN(p->expire_ms, expires);
	return 0;
}

/* Returns 0, or why nothing more is queued. */
static int check_queue(const struct worker *wk)
{
	if ((int64_t)wk->persist->n_queued >= wk->settings->persist_queue_max)
		return -ERR_FULL;
	return dbio_is_given_up(wk) ? -ERR_UNAVAILABLE : 0;
}

int persist_send(struct worker *wk, const struct event *ev, const struct uuid *session,
		 persist_done_fn *done, void *arg)
{
	int r = check_queue(wk);

	return r < 0 ? r : enqueue(wk, item_new_message(ev), session, done, arg);
}

int persist_change(struct worker *wk, const struct log_change *change, struct str actor_name,
		   const struct uuid *session, persist_done_fn *done, void *arg)
{
	int r = check_queue(wk);

	return r < 0 ? r : enqueue(wk, item_new_change(change, actor_name), session, done, arg);
}

static bool is_speech(const struct item *it, int64_t conv, int64_t user)
{
	return it->event.conv == conv && (!user || it->event.actor == user) && item_text(it).p;
}

bool persist_waits(const struct worker *wk, int64_t conv, int64_t user)
{
	struct list *node, *next;

	list_each_safe (node, next, &wk->persist->queue)
		if (is_speech(list_entry(node, struct item, node), conv, user))
			return true;
	return false;
}

static bool is_by(const struct item *it, int64_t user, const struct uuid *session)
{
	if (session && memcmp(&it->session, session, sizeof(*session)) != 0)
		return false;
	return !user || it->event.actor == user;
}

void persist_revoke(struct worker *wk, int64_t user, const struct uuid *session)
{
	struct persist *p = wk->persist;
	struct round *r = p->round;
	struct list *node, *next;

	if (session ? uuid_is_zero(session) : user <= 0)
		return;
	for (size_t i = 0; r && i < r->n_rows + r->n_changes; i++)
		r->items[i]->is_revoked |= is_by(r->items[i], user, session);
	list_each_safe (node, next, &p->queue) {
		struct item *it = list_entry(node, struct item, node);

		if (is_by(it, user, session))
			persist_drop(wk, it, E_UNAUTHORIZED, NULL);
	}
	persist_show(wk);
}

void persist_recheck(struct worker *wk, int64_t conv, int64_t user, persist_may_fn *may_speak)
{
	struct persist *p = wk->persist;
	struct list *node, *next;

	if (!p->n_queued || (user && may_speak(wk, conv, user) == E_NONE))
		return;
	list_each_safe (node, next, &p->queue) {
		struct item *it = list_entry(node, struct item, node);
		enum proto_error error;

		if (!is_speech(it, conv, user))
			continue;
		error = may_speak(wk, conv, it->event.actor);
		if (error)
			persist_drop(wk, it, error, NULL);
	}
	persist_show(wk);
}
