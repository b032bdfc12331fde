/* SPDX-License-Identifier: MIT */
/*
 * Publishing: batches, targets, limits, and many writers with many readers in real processes.
 * Reading step by step is in test_ring_read.c.
 */
#include "harness.h"

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "shm/ring.h"
#include "shm/rooms.h"

/* Publishes one record of LEN bytes C to the room. Returns the slots to wake. */
static uint64_t publish(struct shm *shm, unsigned me, int64_t conv, int64_t rev, char c, size_t len)
{
	uint8_t payload[8192];
	uint64_t wake = 0;

	memset(payload, c, len);
	ring_publish_begin(shm, me);
	CHECK(ring_publish_add(shm, me, conv, rev, 0, payload, len, NULL) == 0);
	CHECK(ring_publish_end(shm, me, &wake) == 0);
	return wake;
}

static void test_batch_appears_in_order(void **state)
{
	struct shm *shm = segment_opened(2);
	struct ring_reader r;
	struct ring_rec rec;
	uint64_t wake = 1, targets;
	char text[3][8] = {"one", "two", "three"};

	(void)state;
	(void)join(shm, 1, 7, 70);
	ring_reader_init(shm, 1, &r);
	ring_publish_begin(shm, 0);
	for (int64_t i = 0; i < 3; i++) {
		assert_int_equal(ring_publish_add(shm, 0, 7, i + 5, RING_F_REMOTE, text[i],
						  strlen(text[i]), &targets),
				 0);
		assert_int_equal(targets, 2);
	}
	assert_int_equal(ring_peek(&r, &rec), -ERR_AGAIN); /* not before the end */
	assert_int_equal(ring_publish_end(shm, 0, &wake), 0);
	assert_int_equal(wake, 0); /* nobody slept */
	for (int64_t i = 0; i < 3; i++) {
		assert_int_equal(ring_peek(&r, &rec), 0);
		assert_int_equal(rec.conv, 7);
		assert_int_equal(rec.rev, i + 5);
		assert_int_equal(rec.origin, 0);
		assert_int_equal(rec.generation, 1);
		assert_int_equal(rec.targets, 2);
		assert_int_equal(rec.flags, RING_F_REMOTE);
		assert_int_equal(rec.len, strlen(text[i]));
		assert_memory_equal(rec.payload, text[i], rec.len);
		assert_int_equal(ring_check(&r), 0);
		ring_advance(&r);
	}
	assert_int_equal(ring_peek(&r, &rec), -ERR_AGAIN);
	segment_done(&shm);
}

static void test_unknown_room_writes_nothing(void **state)
{
	struct shm *shm = segment_opened(1);
	uint64_t oldest, tail, tail2, wake, targets = 9;

	(void)state;
	ring_bounds(shm, &oldest, &tail);
	ring_publish_begin(shm, 0);
	assert_int_equal(ring_publish_add(shm, 0, 1, 1, 0, "x", 1, &targets), 0);
	assert_int_equal(targets, 0);
	assert_int_equal(ring_publish_end(shm, 0, &wake), 0);
	ring_bounds(shm, &oldest, &tail2);
	assert_true(tail == tail2);
	segment_done(&shm);
}

static void test_published_revision_only_grows(void **state)
{
	struct shm *shm = segment_opened(1);
	struct room_info i;

	(void)state;
	(void)join(shm, 0, 1, 10);
	assert_int_equal(room_read(shm, 0, 1, &i), 0);
	assert_int_equal(i.published_rev, 0);
	(void)publish(shm, 0, 1, 9, 'a', 10);
	(void)publish(shm, 0, 1, 5, 'b', 10);
	(void)publish(shm, 0, 1, 0, 'c', 10);
	assert_int_equal(room_read(shm, 0, 1, &i), 0);
	assert_int_equal(i.published_rev, 9);
	assert_int_equal(room_publish_rev(shm, 0, 1, 12), 0);
	assert_int_equal(room_publish_rev(shm, 0, 1, 11), 0);
	assert_int_equal(room_read(shm, 0, 1, &i), 0);
	assert_int_equal(i.published_rev, 12);
	segment_done(&shm);
}

static void test_size_limit(void **state)
{
	struct shm *shm = segment_opened(1);
	size_t max = ring_payload_max(shm);
	uint8_t big[8192] = {0};
	struct ring_reader r;
	struct ring_rec rec;
	uint64_t wake;

	(void)state;
	assert_int_equal(max, 65536 / 8 - 64);
	(void)join(shm, 0, 1, 10);
	ring_reader_init(shm, 0, &r);
	ring_publish_begin(shm, 0);
	assert_int_equal(ring_publish_add(shm, 0, 1, 1, 0, big, max + 1, NULL), -ERR_TOOBIG);
	assert_int_equal(ring_publish_to(shm, 0, 1, 1, 1, 0, big, max + 1), -ERR_TOOBIG);
	assert_int_equal(ring_publish_add(shm, 0, 1, 1, 0, big, max, NULL), 0);
	assert_int_equal(ring_publish_end(shm, 0, &wake), 0);
	assert_int_equal(ring_peek(&r, &rec), 0);
	assert_int_equal(rec.len, max);
	segment_done(&shm);
}

static void test_explicit_targets(void **state)
{
	struct shm *shm = segment_opened(3);
	struct ring_reader r[3];
	struct ring_rec rec;
	uint64_t wake;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		ring_reader_init(shm, i, &r[i]);
	ring_publish_begin(shm, 0);
	assert_int_equal(ring_publish_to(shm, 0, 5, 0, 0, 0, "all", 3), 0);
	assert_int_equal(ring_publish_end(shm, 0, &wake), 0);
	assert_int_equal(ring_peek(&r[0], &rec), 0);
	assert_int_equal(ring_peek(&r[1], &rec), -ERR_AGAIN);
	assert_int_equal(ring_peek(&r[2], &rec), 0);
	assert_int_equal(rec.conv, 0);
	segment_done(&shm);
}

/* A batch larger than a quarter of the ring comes in parts; none is lost to a reader that keeps up.
 */
static void test_large_batch(void **state)
{
	struct shm *shm = segment_opened(1);
	uint8_t payload[1000] = {0};
	struct ring_reader r;
	struct ring_rec rec;
	uint64_t wake;

	(void)state;
	(void)join(shm, 0, 1, 10);
	ring_reader_init(shm, 0, &r);
	ring_publish_begin(shm, 0);
	for (int64_t i = 1; i <= 50; i++)
		assert_int_equal(ring_publish_add(shm, 0, 1, i, 0, payload, sizeof(payload), NULL),
				 0);
	assert_int_equal(ring_publish_end(shm, 0, &wake), 0);
	for (int64_t i = 1; i <= 50; i++) {
		assert_int_equal(ring_peek(&r, &rec), 0);
		assert_int_equal(rec.rev, i);
		ring_advance(&r);
	}
	segment_done(&shm);
}

#define WRITERS 4
#define READERS 4
#define RECORDS 30000 /* of each writer */

struct crowd {
	struct shm *shm;
	unsigned slot;
	int *bell; /* eventfd per slot */
	_Atomic uint32_t *ready;
	_Atomic uint64_t *seen; /* records each reader has had */
};

/* A record tells its writer and number, and every byte follows from them. */
static void payload_fill(uint8_t *p, size_t len, unsigned writer, uint32_t n)
{
	memcpy(p, &n, sizeof(n));
	for (size_t i = sizeof(n); i < len; i++)
		p[i] = (uint8_t)(n * 31 + writer * 7 + i);
}

static size_t payload_len(uint32_t n)
{
	return 4 + n * 37 % 500;
}

/* So that nobody is lapped: a writer waits until all readers are within half of the ring. */
static void wait_for_readers(struct crowd *c, uint64_t written)
{
	uint64_t end = clock_mono_ms() + 60000;

	for (unsigned i = 0; i < READERS; i++)
		while (written > atomic_load(&c->seen[i * WRITERS + c->slot]) + 8) {
			CHECK(clock_mono_ms() < end);
			(void)sched_yield();
		}
}

static void write_many(void *arg)
{
	struct crowd *c = arg;
	uint8_t payload[4][512];
	uint32_t n = 0;

	(void)slot_enter(c->shm, c->slot);
	flag_await(c->ready, READERS);
	while (n < RECORDS) {
		uint64_t wake = 0;

		ring_publish_begin(c->shm, c->slot);
		for (unsigned k = 0; k < 4; k++, n++) {
			payload_fill(payload[k], payload_len(n), c->slot, n);
			CHECK(ring_publish_add(c->shm, c->slot, 1, n + 1, 0, payload[k],
					       payload_len(n), NULL) == 0);
		}
		CHECK(ring_publish_end(c->shm, c->slot, &wake) == 0);
		for (unsigned s = 0; s < WRITERS + READERS; s++)
			if (wake & slot_bit(s))
				CHECK(eventfd_write(c->bell[s], 1) == 0);
		wait_for_readers(c, n);
	}
}

static void record_check(struct crowd *c, const struct ring_rec *rec, uint32_t next[WRITERS])
{
	uint8_t want[512];
	uint32_t n;

	CHECK(rec->origin < WRITERS && rec->len >= 4 && rec->len <= sizeof(want));
	memcpy(&n, rec->payload, sizeof(n));
	CHECK(n == next[rec->origin]++); /* each writer's in its order, none missing, none twice */
	CHECK(rec->len == payload_len(n) && rec->rev == n + 1);
	payload_fill(want, rec->len, rec->origin, n);
	CHECK(memcmp(rec->payload, want, rec->len) == 0); /* not torn */
	atomic_store(&c->seen[(c->slot - WRITERS) * WRITERS + rec->origin], n + 1);
}

/* Sleeps whenever it may: a wake-up that is lost would let it sleep for ever. */
static void read_many(void *arg)
{
	struct crowd *c = arg;
	struct pollfd p = {.fd = c->bell[c->slot], .events = POLLIN};
	uint32_t next[WRITERS] = {0};
	unsigned had = 0;
	struct ring_reader r;
	struct ring_rec rec;

	(void)slot_enter(c->shm, c->slot);
	ring_reader_init(c->shm, c->slot, &r);
	(void)join(c->shm, c->slot, 1, c->slot);
	atomic_fetch_add(c->ready, 1);
	while (had < WRITERS * RECORDS) {
		int e = ring_peek(&r, &rec);
		eventfd_t count;

		if (e == 0) {
			record_check(c, &rec, next);
			CHECK(ring_check(&r) == 0);
			ring_advance(&r);
			had++;
			continue;
		}
		CHECK(e == -ERR_AGAIN);
		if (!ring_sleep_prepare(&r))
			continue;
		CHECK(poll(&p, 1, 30000) == 1);
		CHECK(eventfd_read(p.fd, &count) == 0);
		ring_sleep_cancel(&r);
	}
}

static void test_many_writers_many_readers(void **state)
{
	struct shm *shm = segment_new(WRITERS + READERS);
	_Atomic uint32_t *ready = shared_alloc(sizeof(*ready));
	_Atomic uint64_t *seen = shared_alloc(WRITERS * READERS * sizeof(*seen));
	struct crowd c[WRITERS + READERS];
	pid_t pid[WRITERS + READERS];
	int bell[WRITERS + READERS];

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(c); i++)
		bell[i] = eventfd(0, EFD_CLOEXEC);
	for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
		c[i] = (struct crowd){shm, i, bell, ready, seen};
		pid[i] = child_start(i < WRITERS ? write_many : read_many, &c[i]);
	}
	for (unsigned i = 0; i < ARRAY_LEN(c); i++)
		assert_int_equal(child_wait(pid[i]), 0);
	assert_int_equal(metric_sum(shm, M_RING_RECORDS), WRITERS * RECORDS);
	assert_int_equal(metric_sum(shm, M_RING_READ), READERS * WRITERS * RECORDS);
	assert_int_equal(metric_sum(shm, M_RING_LAPPED), 0);
	assert_true(metric_sum(shm, M_WAKEUPS) > 0);
	for (unsigned i = 0; i < ARRAY_LEN(c); i++)
		(void)close(bell[i]);
	shm_detach(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batch_appears_in_order),
		cmocka_unit_test(test_unknown_room_writes_nothing),
		cmocka_unit_test(test_published_revision_only_grows),
		cmocka_unit_test(test_size_limit),
		cmocka_unit_test(test_explicit_targets),
		cmocka_unit_test(test_large_batch),
		cmocka_unit_test(test_many_writers_many_readers),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
