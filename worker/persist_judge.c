/* SPDX-License-Identifier: MIT */
/*
 * Texts on their way into the log before the content filters: blocked, masked, flagged or as they
 * are; and those that are too long for where they go. What has to wait keeps its place; that
 * nothing overtakes it is persist.c's.
 */
#include "base/clock.h"
#include "proto/utf8.h"
#include "worker/filter.h"
#include "worker/filter_hook.h"
#include "worker/persist_priv.h"
#include "worker/roles.h"

static void set_judgement(struct persist *p, struct item *it, enum judgement judgement)
{
	p->n_due += (judgement == JUDGE_DUE) - (size_t)(it->judgement == JUDGE_DUE);
	p->n_held += (judgement != JUDGE_DONE) - (size_t)(it->judgement != JUDGE_DONE);
	if (judgement == JUDGE_DONE && it->judgement != JUDGE_DONE)
		persist_look_again(p);
	it->judgement = judgement;
}

/* Decoders know the limit of all conversations, not that of this one. Bytes are no fewer. */
static bool is_too_long(const struct worker *wk, const struct item *it)
{
	const struct str text = item_text(it);

	return text.p && text.len > (size_t)wk->settings->chat_code_message_max &&
	       utf8_length(text) > roles_text_max(wk, it->event.conv);
}

void judge_enter(struct worker *wk, struct item *it)
{
	if (is_too_long(wk, it) ||
	    (item_text(it).p && filter_is_wanted(wk, it->event.conv)))
		set_judgement(wk->persist, it, JUDGE_DUE);
}

void judge_forget(struct worker *wk, struct item *it)
{
	if (it->judgement == JUDGE_ASKED)
		filter_hook_forget(wk, it->ticket);
	set_judgement(wk->persist, it, JUDGE_DONE);
}

static void block(struct worker *wk, struct item *it, const char *reason)
{
	worker_count(wk, M_FILTER_BLOCKED, 1);
	persist_drop(wk, it, E_BLOCKED, reason[0] ? reason : NULL);
}

static void refuse_length(struct worker *wk, struct item *it)
{
	char text[80];

	snprintf(text, sizeof(text), "A message here must have at most %zu characters.",
		 roles_text_max(wk, it->event.conv));
	persist_drop(wk, it, E_INVALID, text);
}

static void mask(struct worker *wk, struct item *it, struct str text)
{
	worker_count(wk, M_FILTER_MASKED, 1);
	item_set_text(it, text);
}

static void flag(struct worker *wk, struct item *it, int64_t rule, struct str reason)
{
	worker_count(wk, M_FILTER_FLAGGED, 1);
	item_set_note(it, rule, reason);
}

/* At most FILTER_REASON_MAX bytes, cut between characters. */
static struct str cut(struct str reason)
{
	size_t len = MIN(reason.len, FILTER_REASON_MAX);

	while (len < reason.len && len && ((uint8_t)reason.p[len] & 0xc0) == 0x80)
		len--;
	return (struct str){reason.p, len};
}

static void on_hook(struct worker *wk, void *arg, const struct filter_hook_answer *a)
{
	const struct str reason = cut(a->reason);
	struct item *it = arg;
	char text[FILTER_REASON_MAX + 1];

	set_judgement(wk->persist, it, JUDGE_DONE);
	worker_kick(wk);
	switch (a->result) {
	case HOOK_PASS:
		break;
	case HOOK_BLOCK:
		snprintf(text, sizeof(text), "%.*s", (int)reason.len,
			 reason.len ? reason.p : "");
		block(wk, it, text);
		break;
	case HOOK_MASK:
		mask(wk, it, a->text);
		break;
	case HOOK_FLAG:
		flag(wk, it, 0, reason);
		break;
	case HOOK_FAILED:
		if (str_eq(settings_choice(wk->settings, "filters.fail"), STR("closed")))
			persist_drop(wk, it, E_UNAVAILABLE,
				     "The content filter does not answer; try again.");
		break;
	}
}

static void ask(struct worker *wk, struct item *it)
{
	const struct filter_question q = {.conv = it->event.conv,
					  .user = it->event.actor,
					  .is_edit = item_is_change(it),
					  .name = it->event.actor_name,
					  .text = item_text(it),
					  .attachment = item_attachment(it)};

	set_judgement(wk->persist, it, JUDGE_ASKED);
	it->ticket = filter_hook_ask(wk, &q, on_hook, it);
}

/*
 * An address cannot be masked: what would be is blocked. False: it was, and the item has gone.
 */
static bool judge_attachment(struct worker *wk, struct item *it)
{
	struct filter_verdict v = {0};
	bool is_let;

	if (!item_attachment(it).len)
		return true;
	filter_apply(wk, it->event.conv, item_attachment(it), &v);
	is_let = !v.is_blocked && !v.is_masked;
	if (!is_let)
		block(wk, it, v.reason);
	else if (v.is_flagged)
		flag(wk, it, v.rule, str_of(v.reason));
	filter_verdict_done(&v);
	return is_let;
}

static void judge(struct worker *wk, struct item *it)
{
	struct filter_verdict v = {0};

	if (is_too_long(wk, it)) {
		refuse_length(wk, it);
		return;
	}
	if (!judge_attachment(wk, it))
		return;
	filter_apply(wk, it->event.conv, item_text(it), &v);
	if (v.is_blocked) {
		block(wk, it, v.reason);
		filter_verdict_done(&v);
		return;
	}
	if (v.is_masked)
		mask(wk, it, buf_str(&v.text));
	if (v.is_flagged)
		flag(wk, it, v.rule, str_of(v.reason));
	filter_verdict_done(&v);
	if (filter_hook_is_on(wk))
		ask(wk, it);
	else
		set_judgement(wk->persist, it, JUDGE_DONE);
}

/* What is due lies at the end of the queue: the first of it. */
static struct list *first_due(const struct persist *p)
{
	struct list *node = p->queue.prev, *first = node;

	for (size_t left = p->n_due; left && node != &p->queue; node = node->prev)
		if (list_entry(node, struct item, node)->judgement == JUDGE_DUE) {
			first = node;
			left--;
		}
	return first;
}

void judge_run(struct worker *wk)
{
	struct persist *p = wk->persist;
	struct list *node, *next;
	uint64_t end;

	if (!p->n_due || !filter_is_ready(wk))
		return;
	end = clock_mono_ns() + (uint64_t)wk->settings->filters_turn_max * 1000000;
	for (node = first_due(p); p->n_due && node != &p->queue; node = next) {
		struct item *it = list_entry(node, struct item, node);

		next = node->next;
		if (it->judgement != JUDGE_DUE)
			continue;
		judge(wk, it);
		if (clock_mono_ns() >= end)
			break;
	}
	if (p->n_due)
		worker_kick(wk);
}
