/* SPDX-License-Identifier: MIT */
/*
 * The pace of each person in each conversation, in the limits of the node.
 */
#include "worker/pace.h"

#include "base/clock.h"
#include "base/log.h"
#include "shm/limits.h"
#include "worker/worker.h"

#define SLOW_CLASS 0x51f0 /* of limit_key: no class of limits.def */

static uint64_t pace_key(struct worker *wk, int64_t conv, int64_t user)
{
	const int64_t who[2] = {conv, user};

	return limit_key(wk->shm, SLOW_CLASS, who, sizeof(who));
}

static struct limit_rule pace_rule(int64_t slow_ms)
{
	return (struct limit_rule){.interval_ns = (uint64_t)slow_ms * 1000000, .burst = 1};
}

static void pace_failed(struct worker *wk)
{
	log_error("the table of limits cannot be used: this worker ends");
	worker_stop(wk, WORKER_EXIT_SHM);
}

bool pace_take(struct worker *wk, int64_t conv, const struct rights *r, struct pace *ret,
	       int64_t *ret_retry_ms)
{
	struct limit_rule rule;
	struct limit_state state;

	*ret = (struct pace){.conv = conv, .user = r->actor.user};
	if (r->slow_ms <= 0 || authz_allows(&r->actor, MAY_NO_SLOW))
		return true;
	rule = pace_rule(r->slow_ms);
	if (limit_take(wk->shm, (unsigned)wk->slot, pace_key(wk, conv, r->actor.user), &rule, 1,
		       clock_mono_ns(), &state) < 0) {
		pace_failed(wk);
		return true;
	}
	if (state.is_taken)
		ret->slow_ms = r->slow_ms;
	*ret_retry_ms = (int64_t)(state.retry_ns / 1000000) + 1;
	return state.is_taken;
}

void pace_give_back(struct worker *wk, struct pace *pace)
{
	struct limit_rule rule = pace_rule(pace->slow_ms);

	if (pace->slow_ms && limit_give(wk->shm, (unsigned)wk->slot,
					pace_key(wk, pace->conv, pace->user), &rule, 1,
					clock_mono_ns()) < 0)
		pace_failed(wk);
	pace->slow_ms = 0;
}
