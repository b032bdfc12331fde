/* SPDX-License-Identifier: MIT */
/*
 * A slot's timer wheel over member records and typing marks: adding and deleting are O(1), far
 * deadlines go round. Only the slot's process touches it, so it needs no lock; the entries' truth
 * is their deadline.
 */
#include "shm/view_priv.h"

void wheel_reset(struct shm_wheel *w)
{
	memset(w, 0, sizeof(*w));
}

void wheel_add(struct shm *shm, struct shm_wheel *w, enum pool pool, uint32_t idx)
{
	struct shm_entry *e = entry_at(shm, pool, idx);
	uint64_t tick = MAX(e->deadline_ms / WHEEL_TICK_MS, w->last_tick);
	unsigned spoke = tick % WHEEL_SPOKES;

	e->wheel_prev = 0;
	e->wheel_next = w->heads[spoke];
	if (e->wheel_next)
		entry_at(shm, pool, e->wheel_next)->wheel_prev = idx;
	w->heads[spoke] = idx;
	e->spoke = (uint16_t)(spoke + 1);
	w->n++;
}

void wheel_del(struct shm *shm, struct shm_wheel *w, enum pool pool, uint32_t idx)
{
	struct shm_entry *e = entry_at(shm, pool, idx);

	if (!e->spoke)
		return;
	if (e->wheel_next)
		entry_at(shm, pool, e->wheel_next)->wheel_prev = e->wheel_prev;
	if (e->wheel_prev)
		entry_at(shm, pool, e->wheel_prev)->wheel_next = e->wheel_next;
	else
		w->heads[e->spoke - 1] = e->wheel_next;
	e->spoke = 0;
	e->wheel_next = e->wheel_prev = 0;
	w->n--;
}

/*
 * Entries of the present tick may still become due: last_tick stays on it, so that it is visited
 * again. Far entries and those of the present tick are passed over once per call, which is why this
 * collects many at a time.
 */
unsigned wheel_due(struct shm *shm, struct shm_wheel *w, enum pool pool, uint64_t now,
		   uint32_t *ret, unsigned max)
{
	uint64_t tick_now = now / WHEEL_TICK_MS;
	uint64_t tick =
		MAX(w->last_tick, tick_now >= WHEEL_SPOKES ? tick_now - WHEEL_SPOKES + 1 : 0);
	unsigned n = 0;

	if (!w->n) {
		w->last_tick = MAX(tick_now, w->last_tick);
		return 0;
	}
	for (; tick <= tick_now; tick++) {
		for (uint32_t i = w->heads[tick % WHEEL_SPOKES]; i;) {
			struct shm_entry *e = entry_at(shm, pool, i);

			if (e->deadline_ms <= now) {
				ret[n++] = i;
				if (n == max)
					return n;
			}
			i = e->wheel_next;
		}
		if (!n)
			w->last_tick = tick;
	}
	return n;
}
