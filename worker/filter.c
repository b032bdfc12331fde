/* SPDX-License-Identifier: MIT */
/*
 * Follows the versions of the content filters and keeps one set per conversation that has any.
 * Matching is filter_set.c's, what a verdict leads to persist_judge.c's.
 */
#include "worker/filter.h"

#include "base/clock.h"
#include "base/log.h"
#include "sql/filters.h"
#include "worker/dbio.h"
#include "worker/filter_hook.h"
#include "worker/filter_set.h"

/* Everything up to a version. */
struct table {
	struct map sets; /* conversation -> struct filter_set, owned; never an empty one */
	struct filter_set *global; /* owned; NULL: there are none */
	int64_t version, removed;
	int64_t n_rules;
};

struct filters {
	struct table now;
	struct table next; /* is being read from the beginning, if is_whole */
	bool is_ready, is_reading, is_whole;
	ev_timer poll;
	struct log_rate rate;
};

/* ---- The table ---- */

static struct filter_set **place_of(struct table *t, int64_t conv, struct filter_set **spare)
{
	if (conv == 0)
		return &t->global;
	*spare = map_get(&t->sets, (uint64_t)conv);
	return spare;
}

static void table_del(struct table *t, int64_t conv, int64_t id)
{
	struct filter_set *found, **set = place_of(t, conv, &found);
	size_t n;

	if (!*set)
		return;
	n = filter_set_count(*set);
	filter_set_del(*set, id);
	t->n_rules -= (int64_t)(n - filter_set_count(*set));
	if (filter_set_count(*set) > 0)
		return;
	filter_set_free(set);
	if (conv)
		map_del(&t->sets, (uint64_t)conv);
}

static void table_put(struct table *t, int64_t conv, const struct filter_rule *rule)
{
	struct filter_set *found, **set;

	table_del(t, conv, rule->id);
	set = place_of(t, conv, &found);
	if (!*set) {
		*set = filter_set_new();
		if (conv)
			map_put(&t->sets, (uint64_t)conv, *set);
	}
	filter_set_put(*set, rule);
	t->n_rules++;
}

static void table_done(struct table *t)
{
	uint32_t pos = 0;
	uint64_t conv;
	void *set;

	while (map_next(&t->sets, &pos, &conv, &set))
		filter_set_free(&(struct filter_set *){set});
	map_done(&t->sets);
	filter_set_free(&t->global);
	*t = (struct table){0};
}

static void take_row(struct table *t, const struct filter_row *row)
{
	struct filter_rule rule = {
		.id = row->id, .pattern = row->pattern, .reason = row->reason};

	t->version = MAX(t->version, row->version);
	if (row->is_deleted)
		table_del(t, row->conv, row->id);
	else if (filter_kind_parse(row->kind, &rule.kind) == 0 &&
		 filter_action_parse(row->action, &rule.action) == 0)
		table_put(t, row->conv, &rule);
}

/* ---- Reading ---- */

static void read_on(struct worker *wk);

static void show(const struct worker *wk)
{
	metric_set(wk->shm, (unsigned)wk->slot, M_FILTER_RULES, wk->filters->now.n_rules);
}

/* From the beginning, beside the table that is in force until the new one is complete. */
static void begin_again(struct filters *f, int64_t removed)
{
	table_done(&f->next);
	f->next.removed = removed;
	f->is_whole = true;
}

static void complete(struct worker *wk)
{
	struct filters *f = wk->filters;

	if (f->is_whole) {
		table_done(&f->now);
		f->now = f->next;
		f->next = (struct table){0};
		f->is_whole = false;
	}
	if (!f->is_ready) {
		worker_kick(wk); /* for what has waited */
		/* what a process left that died between a message and its report */
		(void)!filter_hits_report(dbio_reader(wk));
	}
	f->is_ready = true;
	show(wk);
}

static void on_page(void *arg, int err, const struct filters_page *page)
{
	struct worker *wk = arg;
	struct filters *f = wk->filters;
	struct table *t;
	uint64_t held;

	if (!f) /* closing */
		return;
	f->is_reading = false;
	if (err == -ERR_DB && log_rate_pass(&f->rate, 60000, &held))
		log_error("the content filters cannot be read", LF_STR("error", err_name(err)),
			  LF_INT("suppressed", held));
	if (err < 0)
		return;
	t = f->is_whole ? &f->next : &f->now;
	if (page->removed != t->removed) {
		begin_again(f, page->removed);
		read_on(wk);
		return;
	}
	for (int i = 0; i < page->n; i++) {
		struct filter_row row;

		filters_row(page->res, i, &row);
		take_row(t, &row);
	}
	if (page->n >= FILTERS_PAGE)
		read_on(wk);
	else
		complete(wk);
}

static void read_on(struct worker *wk)
{
	struct filters *f = wk->filters;
	int64_t version = f->is_whole ? f->next.version : f->now.version;

	f->is_reading = true;
	if (filters_read(dbio_reader(wk), version, dbio_deadline(wk), on_page, wk) < 0)
		f->is_reading = false;
}

void filter_look(struct worker *wk)
{
	if (!wk->filters->is_reading && db_is_connected(dbio_reader(wk)))
		read_on(wk);
}

static void on_poll(EV_P_ ev_timer *w, int revents)
{
	struct worker *wk = w->data;

	(void)revents;
	filter_look(wk);
	w->repeat = (double)wk->settings->filters_poll / 1000.0;
	ev_timer_again(loop, w);
}

void filter_open(struct worker *wk)
{
	struct filters *f = wk->filters = xcalloc(1, sizeof(*f));

	f->now.removed = 0;
	ev_timer_init(&f->poll, on_poll, 0., (double)wk->settings->filters_poll / 1000.0);
	f->poll.data = wk;
	ev_timer_start(wk->loop, &f->poll);
	filter_hook_open(wk);
}

void filter_close(struct worker *wk)
{
	struct filters *f = wk->filters;

	filter_hook_close(wk);
	ev_timer_stop(wk->loop, &f->poll);
	table_done(&f->now);
	table_done(&f->next);
	free(f);
	wk->filters = NULL;
}

/* ---- Judging ---- */

bool filter_is_ready(const struct worker *wk)
{
	return wk->filters->is_ready;
}

bool filter_is_wanted(const struct worker *wk, int64_t conv)
{
	const struct filters *f = wk->filters;

	return !f->is_ready || f->now.global || filter_hook_is_on(wk) ||
	       (f->now.sets.count && map_get(&f->now.sets, (uint64_t)conv));
}

static void name_rule(struct filter_verdict *v, const struct filter_rule *rule)
{
	v->rule = rule->id;
	snprintf(v->reason, sizeof(v->reason), "%.*s", (int)rule->reason.len, rule->reason.p);
}

/* What nobody could decide counts as found, or as worth a look: filters.fail. */
static void judge_undecided(struct worker *wk, const struct filter_rule *rule,
			    struct filter_verdict *v)
{
	uint64_t held;

	worker_count(wk, M_FILTER_UNDECIDED, 1);
	if (log_rate_pass(&wk->filters->rate, 60000, &held))
		log_warn("a content filter reached its limits", LF_INT("filter", rule->id),
			 LF_INT("suppressed", held));
	if (str_eq(settings_choice(wk->settings, "filters.fail"), STR("closed")))
		v->is_blocked = true;
	else
		v->is_flagged = true;
	name_rule(v, rule);
}

static void judge(struct worker *wk, struct str text, const struct filter_finding *f,
		  struct filter_verdict *v)
{
	if (f->block) {
		v->is_blocked = true;
		name_rule(v, f->block);
	} else if (f->undecided) {
		judge_undecided(wk, f->undecided, v);
	} else if (f->flag) {
		v->is_flagged = true;
		name_rule(v, f->flag);
	}
	if (f->mask && !v->is_blocked) {
		v->is_masked = true;
		filter_mask_add(&v->text, text, f->mask);
	}
}

void filter_apply(struct worker *wk, int64_t conv, struct str text, struct filter_verdict *v)
{
	const struct settings *s = wk->settings;
	const struct filter_limits limits = {
		.match_max = (uint32_t)s->filters_match_max,
		.depth_max = (uint32_t)(s->filters_memory_max / 1024),
		.until_ns = clock_cpu_ns() + (uint64_t)s->filters_time_max * 1000000,
		.use_jit = s->filters_jit,
	};
	struct filters *fs = wk->filters;
	struct filter_set *own = map_get(&fs->now.sets, (uint64_t)conv);
	struct filter_finding f = {0};

	if (fs->now.global)
		filter_set_apply(fs->now.global, &limits, text, &f);
	if (own && !f.block)
		filter_set_apply(own, &limits, text, &f);
	judge(wk, text, &f, v);
	filter_finding_done(&f);
}

void filter_verdict_done(struct filter_verdict *v)
{
	buf_done(&v->text);
}
