/* SPDX-License-Identifier: MIT */
/*
 * Writing to the ring: a batch is gathered in private memory, then copied under one lock.
 * Reading is in ring_read.c; targets come from rooms.c.
 */
#include "shm/ring.h"

#include "base/clock.h"
#include "shm/view_priv.h"

#define HEADER sizeof(struct shm_ring_rec)

uint64_t ring_tail(const struct shm *shm)
{
	return atomic_load_explicit(&shm->ring->tail, memory_order_acquire);
}

/* Bytes from OFFSET to the end of the buffer. */
uint64_t ring_room_left(const struct shm *shm, uint64_t offset)
{
	return shm->geo.ring_bytes - (offset & shm->ring_mask);
}

static struct shm_ring_rec *record_at(const struct shm *shm, uint64_t offset)
{
	return (struct shm_ring_rec *)(shm->ring_data + (offset & shm->ring_mask));
}

static uint64_t record_check(const struct shm *shm, uint64_t offset)
{
	return hash64(shm, offset);
}

static uint64_t record_bytes(uint32_t len)
{
	return (HEADER + len + RING_ALIGN - 1) & ~(uint64_t)(RING_ALIGN - 1);
}

void ring_header_read(const struct shm *shm, uint64_t offset, struct shm_ring_rec *ret)
{
	memcpy(ret, record_at(shm, offset), HEADER);
}

bool ring_header_is_sound(const struct shm *shm, uint64_t offset, const struct shm_ring_rec *h)
{
	return h->check == record_check(shm, offset) && h->total >= HEADER &&
	       h->total % RING_ALIGN == 0 && h->total <= ring_room_left(shm, offset) &&
	       h->len <= h->total - HEADER;
}

/*
 * Whether no writer has begun to overwrite what lies at OFFSET. Everything read before is then
 * valid.
 */
bool ring_is_kept(const struct shm *shm, uint64_t offset)
{
	atomic_thread_fence(memory_order_acquire);
	return offset + shm->geo.ring_bytes >=
	       atomic_load_explicit(&shm->ring->reserve, memory_order_relaxed);
}

void ring_bounds(const struct shm *shm, uint64_t *ret_oldest, uint64_t *ret_tail)
{
	uint64_t reserve = atomic_load(&shm->ring->reserve);

	*ret_tail = ring_tail(shm);
	*ret_oldest = MAX(reserve - shm->geo.ring_bytes, shm->geo.ring_bytes);
}

size_t ring_payload_max(const struct shm *shm)
{
	return shm->geo.ring_bytes / 8 - HEADER;
}

void ring_publish_begin(struct shm *shm, unsigned me)
{
	(void)me;
	shm->batch_n = 0;
}

static void batch_add(struct shm *shm, const struct ring_pending *p)
{
	if (shm->batch_n == shm->batch_cap) {
		shm->batch_cap = shm->batch_cap ? shm->batch_cap * 2 : 64;
		shm->batch = xrealloc(shm->batch, shm->batch_cap * sizeof(*shm->batch));
	}
	shm->batch[shm->batch_n++] = *p;
}

int ring_publish_add(struct shm *shm, unsigned me, int64_t conv, int64_t rev, unsigned flags,
		     const void *payload, size_t len, uint64_t *ret_targets)
{
	struct ring_pending p = {.conv = conv,
				 .rev = rev,
				 .payload = payload,
				 .len = (uint32_t)len,
				 .flags = (uint16_t)flags};
	int r;

	if (len > ring_payload_max(shm))
		return -ERR_TOOBIG;
	r = rooms_lock(shm, me, conv);
	if (r < 0)
		return r;
	p.room = room_find(shm, conv);
	if (p.room) {
		struct shm_room *room = room_at(shm, p.room);

		p.targets = atomic_load_explicit(&room->slots, memory_order_relaxed);
		room->targeted = MAX(room->targeted, rev);
	}
	rooms_unlock(shm, me, conv);
	if (p.room)
		batch_add(shm, &p);
	if (ret_targets)
		*ret_targets = p.targets;
	return 0;
}

int ring_publish_to(struct shm *shm, unsigned me, uint64_t targets, int64_t conv, int64_t rev,
		    unsigned flags, const void *payload, size_t len)
{
	struct ring_pending p = {.conv = conv,
				 .rev = rev,
				 .targets = targets,
				 .payload = payload,
				 .len = (uint32_t)len,
				 .flags = (uint16_t)flags};
	int r;

	if (len > ring_payload_max(shm))
		return -ERR_TOOBIG;
	if (conv > 0) {
		r = rooms_lock(shm, me, conv);
		if (r < 0)
			return r;
		p.room = room_find(shm, conv);
		rooms_unlock(shm, me, conv);
	}
	batch_add(shm, &p);
	return 0;
}

/*
 * Where a record of TOTAL bytes goes when the head is at OFFSET: behind the wrap if it does not
 * fit.
 */
static uint64_t place(const struct shm *shm, uint64_t offset, uint64_t total)
{
	uint64_t left = ring_room_left(shm, offset);

	return total <= left ? offset : offset + left;
}

/*
 * Gives offsets to records from FIRST on, up to a quarter of the ring. Returns the one behind the
 * last.
 */
static uint32_t part_place(struct shm *shm, uint32_t first, uint64_t tail, uint64_t *ret_head)
{
	uint64_t head = tail;
	uint32_t i;

	for (i = first; i < shm->batch_n; i++) {
		struct ring_pending *p = &shm->batch[i];
		uint64_t at = place(shm, head, record_bytes(p->len));

		if (i > first && at + record_bytes(p->len) - tail > shm->geo.ring_bytes / 4)
			break;
		p->offset = at;
		head = at + record_bytes(p->len);
	}
	*ret_head = head;
	return i;
}

/* The bytes up to the wrap; too few for a header are skipped by readers without one. */
static void filler_write(struct shm *shm, uint64_t offset, uint64_t bytes)
{
	struct shm_ring_rec *h = record_at(shm, offset);

	if (bytes < HEADER)
		return;
	memset(h, 0, HEADER);
	h->check = record_check(shm, offset);
	h->total = (uint32_t)bytes;
	h->flags = RING_F_FILLER;
}

/* The room's chain. A room that was freed meanwhile is another's by now, or nobody's. */
static uint64_t room_chain(struct shm *shm, const struct ring_pending *p)
{
	struct shm_room *room;
	uint64_t prev;

	if (!p->room)
		return 0;
	room = room_at(shm, p->room);
	if (rec_key(&room->rec) != p->conv)
		return 0;
	prev = atomic_load_explicit(&room->newest, memory_order_relaxed);
	atomic_store_explicit(&room->newest, p->offset, memory_order_relaxed);
	/* A dead writer may have left the offset of a record that never appeared. */
	return prev < p->offset ? prev : 0;
}

static void record_write(struct shm *shm, unsigned me, const struct ring_pending *p,
			 uint64_t now_ns)
{
	struct shm_ring_rec *h = record_at(shm, p->offset);

	*h = (struct shm_ring_rec){
		.check = record_check(shm, p->offset),
		.prev = room_chain(shm, p),
		.conv = p->conv,
		.rev = p->rev,
		.targets = p->targets,
		.stamp_ns = now_ns,
		.total = (uint32_t)record_bytes(p->len),
		.len = p->len,
		.generation =
			atomic_load_explicit(&shm->slots[me].generation, memory_order_relaxed),
		.origin = (uint16_t)me,
		.flags = p->flags,
	};
	FAULT_POINT("ring.half_written");
	if (p->len)
		memcpy(h->payload, p->payload, p->len);
}

/* Readers with nothing new may jump over records that are not for them: see reader_look. */
static void targets_note(struct shm *shm, const struct ring_pending *p)
{
	for (uint64_t left = p->targets; left; left &= left - 1) {
		unsigned slot = (unsigned)__builtin_ctzll(left);

		if (slot < shm->geo.n_slots)
			atomic_store_explicit(&shm->slots[slot].last_target, p->offset,
					      memory_order_relaxed);
	}
}

static void part_write(struct shm *shm, unsigned me, uint32_t first, uint32_t end, uint64_t tail,
		       uint64_t now_ns)
{
	for (uint32_t i = first; i < end; i++) {
		const struct ring_pending *p = &shm->batch[i];

		if (p->offset != tail)
			filler_write(shm, tail, p->offset - tail);
		record_write(shm, me, p, now_ns);
		targets_note(shm, p);
		tail = p->offset + record_bytes(p->len);
	}
}

/* Publishes records from FIRST on. Returns the index behind the last, or a negative code. */
static int64_t publish_part(struct shm *shm, unsigned me, uint32_t first)
{
	struct shm_ring *ring = shm->ring;
	uint64_t tail, head, now_ns = clock_mono_ns();
	uint32_t end;
	int r = lock_wait(shm, LOCK_RING, 0, me);

	if (r == -ERR_DIRTY) /* the tail had not moved, or had: either way what lies behind it is
				scratch */
		lock_clean(shm, LOCK_RING, 0, me);
	else if (r < 0)
		return r;
	tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	end = part_place(shm, first, tail, &head);
	if (head > atomic_load_explicit(&ring->reserve, memory_order_relaxed))
		atomic_store_explicit(&ring->reserve, head, memory_order_relaxed);
	atomic_thread_fence(
		memory_order_seq_cst); /* the reservation is seen before the first byte */
	FAULT_POINT("ring.locked");
	part_write(shm, me, first, end, tail, now_ns);
	FAULT_POINT("ring.written");
	atomic_store_explicit(&ring->tail, head, memory_order_release);
	FAULT_POINT("ring.published");
	lock_drop(shm, LOCK_RING, 0, me);
	metric_add(shm, me, M_RING_RECORDS, end - first);
	metric_add(shm, me, M_RING_BYTES, (int64_t)(head - tail));
	return end;
}

static void revs_note(struct shm *shm, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++) {
		const struct ring_pending *p = &shm->batch[i];

		if (p->room && p->rev && rec_key(&room_at(shm, p->room)->rec) == p->conv)
			room_published_max(room_at(shm, p->room), p->rev);
	}
}

/* The sleepers among TARGETS, marked awake: whoever clears the mark rings the bell. */
static uint64_t sleepers_take(struct shm *shm, uint64_t targets)
{
	uint64_t wake = 0;

	for (uint64_t left = targets; left; left &= left - 1) {
		unsigned slot = (unsigned)__builtin_ctzll(left);
		_Atomic uint32_t *asleep;

		if (slot >= shm->geo.n_slots)
			continue;
		asleep = &shm->slots[slot].asleep;
		if (atomic_load_explicit(asleep, memory_order_relaxed) &&
		    atomic_exchange(asleep, 0))
			wake |= slot_bit(slot);
	}
	return wake;
}

int ring_publish_end(struct shm *shm, unsigned me, uint64_t *ret_wake)
{
	uint64_t targets = 0, wake;
	uint32_t done = 0;
	int r = 0;

	while (done < shm->batch_n) {
		int64_t end = publish_part(shm, me, done);

		if (end < 0) {
			r = (int)end;
			break;
		}
		revs_note(shm, done, (uint32_t)end);
		while (done < (uint32_t)end)
			targets |= shm->batch[done++].targets;
	}
	shm->batch_n = 0;
	FAULT_POINT("ring.unlocked");
	atomic_thread_fence(memory_order_seq_cst); /* with the one in ring_sleep_prepare */
	wake = sleepers_take(shm, targets);
	metric_add(shm, me, M_WAKEUPS, __builtin_popcountll(wake));
	*ret_wake = wake; /* also on failure: a part may have been published */
	return r;
}

/*
 * A publisher may also have died between clearing a mark and ringing the bell: so marks do not
 * matter here.
 */
uint64_t ring_wake_forgotten(struct shm *shm)
{
	uint64_t waiting = 0;

	for (unsigned i = 0; i < shm->geo.n_slots; i++) {
		struct shm_slot *s = &shm->slots[i];
		uint64_t cursor = atomic_load(&s->ring_cursor);

		if (cursor && atomic_load(&s->last_target) >= cursor)
			waiting |= slot_bit(i);
	}
	(void)sleepers_take(shm, waiting);
	return waiting;
}
