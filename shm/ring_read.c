/* SPDX-License-Identifier: MIT */
/*
 * Reading the ring without a lock: look, use in place, check that no writer came by; and walking
 * back a room. Writing is in ring.c. What to do after losing events is the caller's business.
 */
#include "shm/ring.h"
#include "shm/view_priv.h"

/* Others learn how far a reader is at least this often while it is busy. */
#define CURSOR_EVERY 65536

static void cursor_show(struct ring_reader *r)
{
	atomic_store_explicit(&r->shm->slots[r->me].ring_cursor, r->cursor, memory_order_relaxed);
}

void ring_reader_init(struct shm *shm, unsigned me, struct ring_reader *ret)
{
	uint64_t tail = ring_tail(shm);

	*ret = (struct ring_reader){.shm = shm, .me = me, .cursor = tail, .limit = tail};
	cursor_show(ret);
}

static int lapped(struct ring_reader *r)
{
	metric_add(r->shm, r->me, M_RING_LAPPED, 1);
	ring_reader_init(r->shm, r->me, r);
	return -ERR_LAPPED;
}

/*
 * Asks for newer records. Returns false when there are none for this slot: writers note the newest
 * record of each target before they publish, so if that one is behind us, all before the tail that
 * we just read is for others.
 */
static bool reader_look(struct ring_reader *r)
{
	r->limit = ring_tail(r->shm);
	if (r->cursor == r->limit)
		return false;
	if (atomic_load_explicit(&r->shm->slots[r->me].last_target, memory_order_relaxed) >=
	    r->cursor)
		return true;
	r->cursor = r->limit;
	return false;
}

static void rec_fill(struct ring_rec *ret, const struct shm *shm, uint64_t offset,
		     const struct shm_ring_rec *h)
{
	*ret = (struct ring_rec){
		.offset = offset,
		.prev = h->prev,
		.conv = h->conv,
		.rev = h->rev,
		.targets = h->targets,
		.stamp_ns = h->stamp_ns,
		.generation = h->generation,
		.origin = h->origin,
		.flags = h->flags,
		.len = h->len,
		.payload = shm->ring_data + (offset & shm->ring_mask) + sizeof(*h),
	};
}

int ring_peek(struct ring_reader *r, struct ring_rec *ret)
{
	const struct shm *shm = r->shm;
	struct shm_ring_rec h;

	for (;;) {
		if (r->cursor == r->limit && !reader_look(r))
			return -ERR_AGAIN;
		if (ring_room_left(shm, r->cursor) < sizeof(h)) {
			r->cursor += ring_room_left(shm, r->cursor);
			continue;
		}
		ring_header_read(shm, r->cursor, &h);
		if (!ring_is_kept(shm, r->cursor) || !ring_header_is_sound(shm, r->cursor, &h))
			return lapped(r);
		if (!(h.flags & RING_F_FILLER) && (h.targets & slot_bit(r->me)))
			break;
		r->cursor += h.total;
	}
	rec_fill(ret, shm, r->cursor, &h);
	r->current = r->cursor;
	r->step = h.total;
	return 0;
}

int ring_check(struct ring_reader *r)
{
	return ring_is_kept(r->shm, r->current) ? 0 : lapped(r);
}

void ring_advance(struct ring_reader *r)
{
	r->cursor = r->current + r->step;
	metric_add(r->shm, r->me, M_RING_READ, 1);
	if ((r->cursor ^ r->current) & ~(uint64_t)(CURSOR_EVERY - 1))
		cursor_show(r);
}

bool ring_sleep_prepare(struct ring_reader *r)
{
	_Atomic uint32_t *asleep = &r->shm->slots[r->me].asleep;

	if (r->cursor != r->limit)
		return false;
	cursor_show(r);
	atomic_store_explicit(asleep, 1, memory_order_relaxed);
	atomic_thread_fence(
		memory_order_seq_cst); /* marked asleep before the last look at the tail */
	if (!reader_look(r)) {
		cursor_show(r);
		return true;
	}
	atomic_store_explicit(asleep, 0, memory_order_relaxed);
	return false;
}

void ring_sleep_cancel(struct ring_reader *r)
{
	atomic_store_explicit(&r->shm->slots[r->me].asleep, 0, memory_order_relaxed);
}

int ring_room_newest(struct shm *shm, unsigned me, int64_t conv, uint64_t *ret_offset)
{
	struct ring_rec rec;
	uint64_t offset = 0;
	uint32_t room;
	int r = rooms_lock(shm, me, conv);

	if (r < 0)
		return r;
	room = room_find(shm, conv);
	if (room)
		offset = atomic_load_explicit(&room_at(shm, room)->newest, memory_order_acquire);
	rooms_unlock(shm, me, conv);
	r = ring_room_prev(shm, conv, offset, &rec);
	if (!r)
		*ret_offset = offset;
	return r;
}

int ring_room_prev(struct shm *shm, int64_t conv, uint64_t offset, struct ring_rec *ret)
{
	struct shm_ring_rec h;

	if (!offset || offset % RING_ALIGN || offset >= ring_tail(shm) ||
	    ring_room_left(shm, offset) < sizeof(h))
		return -ERR_NOENT;
	ring_header_read(shm, offset, &h);
	if (!ring_is_kept(shm, offset) || !ring_header_is_sound(shm, offset, &h) ||
	    h.conv != conv || (h.flags & RING_F_FILLER) || h.prev >= offset)
		return -ERR_NOENT;
	rec_fill(ret, shm, offset, &h);
	return 0;
}

int ring_room_check(struct shm *shm, const struct ring_rec *rec)
{
	return ring_is_kept(shm, rec->offset) ? 0 : -ERR_LAPPED;
}
