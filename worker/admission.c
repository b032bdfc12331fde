/* SPDX-License-Identifier: MIT */
/*
 * A token bucket per worker before handshakes, and hints that spread the return of those turned
 * away. The refusals themselves are written by the protocols.
 */
#include "worker/admission.h"

#include "base/clock.h"
#include "worker/worker.h"

#define RETRY_MIN_MS 500

uint64_t worker_jitter(struct worker *wk, uint64_t limit)
{
	uint64_t x = wk->admission.random;

	if (x == 0) /* workers that start together must differ */
		x = clock_mono_ns() ^ ((uint64_t)wk->slot + 1) * 0x9e3779b97f4a7c15ull;
	x ^= x << 13; /* xorshift64, Marsaglia 2003 */
	x ^= x >> 7;
	x ^= x << 17;
	wk->admission.random = x;
	return x % (limit + 1);
}

/* Handshakes per second that are this worker's part; the kernel spreads connections evenly. */
static double share_of(const struct worker *wk, int64_t of_node)
{
	return (double)of_node / wk->boot->n_slots;
}

static void bring_up_to_date(struct worker *wk)
{
	struct admission *a = &wk->admission;
	uint64_t now = clock_mono_ns();
	double rate = share_of(wk, wk->settings->admission_rate);
	double burst = share_of(wk, wk->settings->admission_burst);

	burst = MAX(burst, 1.0);
	if (a->at_ns == 0) {
		a->tokens = burst;
	} else {
		double gained = (double)(now - a->at_ns) * rate / 1e9;

		a->tokens = MIN(burst, a->tokens + gained);
		a->turned_away = MAX(0.0, a->turned_away - gained);
	}
	a->at_ns = now;
}

bool admission_pass(struct worker *wk)
{
	struct admission *a = &wk->admission;

	if (wk->settings->admission_rate == 0)
		return true;
	bring_up_to_date(wk);
	if (a->tokens >= 1) {
		a->tokens -= 1;
		return true;
	}
	a->turned_away += 1;
	worker_count(wk, M_CONNECTIONS_REFUSED, 1);
	return false;
}

int64_t worker_retry_ms(struct worker *wk)
{
	uint64_t spread = (uint64_t)wk->settings->database_retry_max;

	if (wk->settings->admission_rate > 0 && wk->admission.turned_away >= 1) {
		double rate = share_of(wk, wk->settings->admission_rate);

		/* twice the time that letting them all in takes: others come too */
		spread = MAX(spread, (uint64_t)(wk->admission.turned_away * 2000 / rate));
	}
	return RETRY_MIN_MS + (int64_t)worker_jitter(wk, spread);
}

void admission_add_refusal(struct worker *wk, struct buf *b)
{
	buf_printf(b,
		   "HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nContent-Length: 0\r\n"
		   "Connection: close\r\n\r\n",
		   1 + (int)(worker_retry_ms(wk) / 1000));
}
