/* SPDX-License-Identifier: MIT */
/*
 * Recovery after a worker's death, as its survivors see it. The shared structures repair
 * themselves in shm/; here the database is asked for what was committed but never announced.
 */
#include "worker/heir.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "shm/recover.h"
#include "shm/slots.h"
#include "worker/fanout.h"
#include "worker/presence.h"

#define OPEN_TRIES 500	   /* while a survivor recovers the slot, 10 ms each */
#define INHERITED_MAX (2 * SLOT_INFLIGHT_MAX) /* what the list holds */
#define SLICE_NS 3000000   /* of a turn, for recovery: clients wait meanwhile */
#define SLICE_RECORDS 2048 /* between two looks at the clock: well under a millisecond */

/* The recovery that is under way. */
struct heir {
	bool is_running;
	struct recover_run run;
	bool is_all; /* every room of the node is being announced */
	uint32_t all_pos;
};

static void on_typing(void *arg, int64_t conv)
{
	fanout_typing(arg, conv, 0, false);
}

static struct heir *heir_of(struct worker *wk)
{
	if (!wk->heir)
		wk->heir = xcalloc(1, sizeof(*wk->heir));
	return wk->heir;
}

static uint64_t grace_end(const struct worker *wk)
{
	return clock_mono_ms() + (uint64_t)wk->settings->presence_grace_lost;
}

static void tell_recovered(struct worker *wk, unsigned dead, const struct recover_result *res)
{
	fanout_wake(wk, res->wake);
	log_notice("recovered what a dead worker left", LF_INT("dead_slot", dead),
		   LF_INT("members", res->members), LF_INT("in_flight", res->inflight));
	worker_tick_on(wk);
}

/* ---- Announcing ---- */

void heir_announce(struct worker *wk)
{
	int64_t convs[INHERITED_MAX];
	bool is_all = false;
	uint32_t n = recover_inherited(wk->shm, (unsigned)wk->slot, convs, INHERITED_MAX, &is_all);

	for (uint32_t i = 0; i < n; i++)
		fanout_republish(wk, convs[i]);
	if (is_all) {
		heir_of(wk)->is_all = true;
		heir_of(wk)->all_pos = 0;
	}
	presence_ask_resync(wk); /* it may have died between a departure and its announcement */
}

/* The next rooms, as soon as those before them are done. */
static void announce_all(struct worker *wk, struct heir *h)
{
	int64_t convs[256];
	uint32_t n;

	if (!fanout_is_idle(wk))
		return;
	n = recover_rooms(wk->shm, &h->all_pos, convs, ARRAY_LEN(convs));
	for (uint32_t i = 0; i < n; i++)
		fanout_republish(wk, convs[i]);
	if (n)
		return;
	h->is_all = false;
	recover_announced(wk->shm, (unsigned)wk->slot, 0);
}

/* ---- Recovering ---- */

/* Works until the slice is used up or the run has ended. */
static void run_slice(struct worker *wk, struct heir *h)
{
	const struct recover_calls calls = {wk, on_typing};
	uint64_t until = clock_mono_ns() + SLICE_NS;
	int r;

	do {
		bool is_claimed = h->run.step == RECOVER_CLAIMED;

		r = recover_step(wk->shm, (unsigned)wk->slot, &calls, SLICE_RECORDS, &h->run);
		if (is_claimed && r == -ERR_AGAIN)
			heir_announce(wk); /* first of all: somebody waits for an answer */
	} while (r == -ERR_AGAIN && clock_mono_ns() < until);
	if (r == -ERR_AGAIN)
		return;
	h->is_running = false;
	if (r < 0)
		return;
	tell_recovered(wk, h->run.dead, &h->run.result);
	presence_ask_resync(wk); /* now that its members linger */
}

/* Claims the next dead slot that nobody is at. */
static void begin(struct worker *wk, struct heir *h)
{
	unsigned dead;

	if (recover_next(wk->shm, (unsigned)wk->slot, &dead) < 0)
		return;
	h->is_running =
		recover_begin(wk->shm, (unsigned)wk->slot, dead, grace_end(wk), &h->run) == 0;
}

void heir_run(struct worker *wk)
{
	struct heir *h = wk->heir;

	if (!h)
		return;
	if (h->is_running) {
		run_slice(wk, h);
		if (!h->is_running)
			begin(wk, h);
	}
	if (h->is_running)
		worker_kick(wk);
	if (h->is_all)
		announce_all(wk, h);
}

void heir_look(struct worker *wk)
{
	struct heir *h = heir_of(wk);

	fanout_forget(wk);
	if (!h->is_running)
		begin(wk, h);
	heir_run(wk);
}

/* Nobody is served yet: all of it in one go. */
static int recover_own(struct worker *wk)
{
	const struct recover_calls calls = {wk, on_typing};
	unsigned slot = (unsigned)wk->slot;
	struct recover_result res = {0};
	int r = recover_slot(wk->shm, slot, slot, grace_end(wk), &calls, &res);

	if (r == 0)
		tell_recovered(wk, slot, &res);
	return r;
}

int heir_take_over_own_slot(struct worker *wk)
{
	unsigned slot = (unsigned)wk->slot;
	int r = slot_open(wk->shm, slot, getpid(), wk->boot->generation);

	for (int i = 0; i < OPEN_TRIES && r == -ERR_DIRTY; i++) {
		if (recover_own(wk) < 0)
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

void heir_close(struct worker *wk)
{
	if (wk->heir && wk->heir->is_running)
		recover_abandon(wk->shm, (unsigned)wk->slot, &wk->heir->run);
	free(wk->heir);
	wk->heir = NULL;
}
