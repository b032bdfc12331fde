/* SPDX-License-Identifier: MIT */
/*
 * Recovery after a worker's death, as its survivors see it. The shared structures repair themselves in shm/;
 * here the database is asked for what was committed but never announced.
 */
#include "worker/heir.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "shm/recover.h"
#include "shm/slots.h"
#include "worker/chan.h"
#include "worker/fanout.h"

#define OPEN_TRIES 500	     /* while a survivor recovers the slot, 10 ms each */
#define INHERITED_MAX 4096   /* conversations looked at in one go */

static void on_typing(void *arg, int64_t conv)
{
	fanout_typing(arg, conv, 0, false);
}

static int recover(struct worker *wk, unsigned dead)
{
	const struct recover_calls calls = {wk, on_typing};
	uint64_t grace = clock_mono_ms() + (uint64_t)wk->settings->presence_grace_lost;
	struct recover_result res = {0};
	int r = recover_slot(wk->shm, (unsigned)wk->slot, dead, grace, &calls, &res);

	fanout_wake(wk, res.wake);
	if (r == 0)
		log_notice("recovered what a dead worker left", LF_INT("dead_slot", dead),
			   LF_INT("members", res.members), LF_INT("in_flight", res.inflight));
	return r;
}

/* Every inherited conversation is read from the log; done ones take themselves off the list. */
void heir_announce(struct worker *wk)
{
	int64_t convs[INHERITED_MAX];
	bool is_all = false;
	uint32_t n = recover_inherited(wk->shm, (unsigned)wk->slot, convs, INHERITED_MAX, &is_all);

	for (uint32_t i = 0; i < n; i++)
		fanout_republish(wk, convs[i]);
	if (is_all) {
		chan_refill_all(wk);
		recover_announced(wk->shm, (unsigned)wk->slot, 0);
	}
}

void heir_look(struct worker *wk)
{
	unsigned dead;
	bool is_any = false;

	while (recover_next(wk->shm, (unsigned)wk->slot, &dead) == 0) {
		if (recover(wk, dead) < 0)
			break; /* another survivor is at it */
		is_any = true;
	}
	if (is_any) {
		worker_tick_on(wk);
		heir_announce(wk);
	}
}

int heir_take_over_own_slot(struct worker *wk)
{
	unsigned slot = (unsigned)wk->slot;
	int r = slot_open(wk->shm, slot, getpid(), wk->boot->generation);

	for (int i = 0; i < OPEN_TRIES && r == -ERR_DIRTY; i++) {
		if (recover(wk, slot) < 0)
			usleep(10000);
		r = slot_open(wk->shm, slot, getpid(), wk->boot->generation);
	}
	if (r < 0) {
		log_error("the worker's slot cannot be opened", LF_STR("error", err_text(r)));
		return r;
	}
	worker_tick_on(wk);
	return 0;
}
