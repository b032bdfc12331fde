/* SPDX-License-Identifier: MIT */
/*
 * Reading: being overtaken, jumping over what is for others, sleeping, walking back a room.
 * Publishing is in test_ring.c.
 */
#include "harness.h"

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shm/ring.h"

static uint64_t publish(struct shm *shm, unsigned me, int64_t conv, int64_t rev, size_t len)
{
	uint8_t payload[8192];
	uint64_t wake = 0;

	memset(payload, (int)rev, sizeof(payload));
	ring_publish_begin(shm, me);
	CHECK(ring_publish_add(shm, me, conv, rev, 0, payload, len, NULL) == 0);
	CHECK(ring_publish_end(shm, me, &wake) == 0);
	return wake;
}

static void test_every_length_and_wrap(void **state)
{
	struct shm *shm = segment_opened(1);
	struct ring_reader r;
	struct ring_rec rec;

	(void)state;
	(void)join(shm, 0, 1, 10);
	ring_reader_init(shm, 0, &r);
	for (int64_t i = 1; i <= 3000; i++) { /* several times round, all remainders at the end */
		size_t len = (size_t)i * 7 % 1500;

		(void)publish(shm, 0, 1, i, len);
		assert_int_equal(ring_peek(&r, &rec), 0);
		assert_int_equal(rec.rev, i);
		assert_int_equal(rec.len, len);
		for (size_t k = 0; k < len; k++)
			assert_true(rec.payload[k] == (uint8_t)i);
		assert_int_equal(ring_check(&r), 0);
		ring_advance(&r);
	}
	assert_int_equal(ring_peek(&r, &rec), -ERR_AGAIN);
	segment_done(&shm);
}

static void test_overtaken_before_peek(void **state)
{
	struct shm *shm = segment_opened(1);
	struct ring_reader r;
	struct ring_rec rec;

	(void)state;
	(void)join(shm, 0, 1, 10);
	ring_reader_init(shm, 0, &r);
	for (int64_t i = 1; i <= 70; i++) /* 70 times 1,064 bytes in 65,536 */
		(void)publish(shm, 0, 1, i, 1000);
	assert_int_equal(ring_peek(&r, &rec), -ERR_LAPPED);
	assert_int_equal(ring_peek(&r, &rec), -ERR_AGAIN); /* at the tail again */
	(void)publish(shm, 0, 1, 71, 1000);
	assert_int_equal(ring_peek(&r, &rec), 0);
	assert_int_equal(rec.rev, 71);
	assert_int_equal(metric_get(shm, 0, M_RING_LAPPED), 1);
	segment_done(&shm);
}

static void test_overtaken_while_reading(void **state)
{
	struct shm *shm = segment_opened(1);
	struct ring_reader r;
	struct ring_rec rec;

	(void)state;
	(void)join(shm, 0, 1, 10);
	ring_reader_init(shm, 0, &r);
	(void)publish(shm, 0, 1, 1, 1000);
	(void)publish(shm, 0, 1, 2, 1000);
	assert_int_equal(ring_peek(&r, &rec), 0);
	for (int64_t i = 3; i <= 61; i++) /* up to the end, not over the first one */
		(void)publish(shm, 0, 1, i, 1000);
	assert_int_equal(ring_check(&r), 0);
	(void)publish(shm, 0, 1, 62, 1000);
	assert_int_equal(ring_check(&r), -ERR_LAPPED);
	assert_int_equal(ring_peek(&r, &rec), -ERR_AGAIN);
	segment_done(&shm);
}

/* What is for others only does not count as lost, however much it was. */
static void test_others_records_do_not_overtake(void **state)
{
	struct shm *shm = segment_opened(2);
	struct ring_reader r;
	struct ring_rec rec;

	(void)state;
	(void)join(shm, 0, 1, 10);
	(void)join(shm, 1, 2, 20);
	ring_reader_init(shm, 1, &r);
	(void)publish(shm, 0, 2, 1, 10);
	assert_int_equal(ring_peek(&r, &rec), 0);
	ring_advance(&r);
	for (int64_t i = 1; i <= 200; i++)
		(void)publish(shm, 0, 1, i, 1000);
	assert_int_equal(ring_peek(&r, &rec), -ERR_AGAIN);
	(void)publish(shm, 0, 1, 201, 1000);
	(void)publish(shm, 0, 2, 2, 10);
	assert_int_equal(ring_peek(&r, &rec), 0);
	assert_int_equal(rec.conv, 2);
	assert_int_equal(rec.rev, 2);
	segment_done(&shm);
}

static void test_sleep_and_wake(void **state)
{
	struct shm *shm = segment_opened(2);
	struct ring_reader r;
	struct ring_rec rec;

	(void)state;
	(void)join(shm, 0, 1, 10);
	(void)join(shm, 1, 2, 20);
	ring_reader_init(shm, 1, &r);
	assert_int_equal(publish(shm, 0, 2, 1, 10), 0); /* awake: no bell */
	assert_int_equal(ring_peek(&r, &rec), 0);
	assert_false(ring_sleep_prepare(&r)); /* there is something to read */
	ring_advance(&r);
	assert_true(ring_sleep_prepare(&r));
	assert_int_equal(publish(shm, 0, 1, 1, 10), 0); /* not for it */
	assert_int_equal(publish(shm, 0, 2, 2, 10), 2);
	assert_int_equal(publish(shm, 0, 2, 3, 10), 0); /* one bell is enough */
	assert_int_equal(ring_peek(&r, &rec), 0);
	ring_advance(&r);
	assert_int_equal(ring_peek(&r, &rec), 0);
	ring_advance(&r);
	assert_true(ring_sleep_prepare(&r));
	ring_sleep_cancel(&r);
	assert_int_equal(publish(shm, 0, 2, 4, 10), 0);
	assert_false(ring_sleep_prepare(&r));
	segment_done(&shm);
}

static void test_cursor_is_shown(void **state)
{
	struct shm *shm = segment_opened(1);
	struct slot_info i;
	struct ring_reader r;
	struct ring_rec rec;

	(void)state;
	(void)join(shm, 0, 1, 10);
	ring_reader_init(shm, 0, &r);
	(void)publish(shm, 0, 1, 1, 1000);
	assert_int_equal(slot_read(shm, 0, &i), 0);
	assert_int_equal(i.ring_behind, 1064);
	assert_int_equal(ring_peek(&r, &rec), 0);
	ring_advance(&r);
	assert_true(ring_sleep_prepare(&r));
	assert_int_equal(slot_read(shm, 0, &i), 0);
	assert_int_equal(i.ring_behind, 0);
	assert_true(i.is_asleep);
	segment_done(&shm);
}

static void test_walk_back(void **state)
{
	struct shm *shm = segment_opened(1);
	struct ring_rec rec, oldest;
	uint64_t at, end, tail;
	int64_t rev = 300;
	unsigned n = 0;

	(void)state;
	assert_int_equal(ring_room_newest(shm, 0, 1, &at), -ERR_NOENT);
	(void)join(shm, 0, 1, 10);
	(void)join(shm, 0, 2, 10);
	assert_int_equal(ring_room_newest(shm, 0, 1, &at), -ERR_NOENT);
	for (int64_t i = 1; i <= 300; i++) {
		(void)publish(shm, 0, 1, i, 500);
		(void)publish(shm, 0, 2, i, 300);
	}
	assert_int_equal(ring_room_newest(shm, 0, 1, &at), 0);
	while (ring_room_prev(shm, 1, at, &rec) == 0) {
		assert_int_equal(rec.rev, rev--);
		assert_int_equal(rec.len, 500);
		assert_int_equal(rec.payload[0], (uint8_t)rec.rev);
		assert_int_equal(ring_room_check(shm, &rec), 0);
		oldest = rec;
		at = rec.prev;
		n++;
	}
	ring_bounds(shm, &end, &tail);
	assert_true(n > 65 && n <= 70); /* 65,536 bytes hold 70 pairs of 568 and 368 bytes */
	assert_true(at < end && oldest.offset >= end);
	assert_int_equal(ring_room_prev(shm, 2, oldest.offset, &rec),
			 -ERR_NOENT); /* another room's */
	assert_int_equal(ring_room_prev(shm, 1, 0, &rec), -ERR_NOENT);
	assert_int_equal(ring_room_prev(shm, 1, tail, &rec), -ERR_NOENT);
	assert_int_equal(ring_room_prev(shm, 1, oldest.offset + 8, &rec), -ERR_NOENT);
	for (int64_t i = 1; i <= 10; i++)
		(void)publish(shm, 0, 2, i, 1000);
	assert_int_equal(ring_room_check(shm, &oldest), -ERR_LAPPED);
	segment_done(&shm);
}

/* Bytes of a payload that look like a header are not taken for one. */
static void test_walk_does_not_believe_payloads(void **state)
{
	struct shm *shm = segment_opened(1);
	struct shm_ring_rec fake = {.conv = 1, .rev = 99, .total = 72, .len = 4};
	uint64_t wake, at;
	struct ring_rec rec;

	(void)state;
	(void)join(shm, 0, 1, 10);
	ring_publish_begin(shm, 0);
	assert_int_equal(ring_publish_add(shm, 0, 1, 1, 0, &fake, sizeof(fake), NULL), 0);
	assert_int_equal(ring_publish_end(shm, 0, &wake), 0);
	assert_int_equal(ring_room_newest(shm, 0, 1, &at), 0);
	assert_int_equal(ring_room_prev(shm, 1, at + 64, &rec), -ERR_NOENT);
	segment_done(&shm);
}

struct race {
	struct shm *shm;
	_Atomic uint32_t *granted; /* the last record that may be written; STOP: end */
};

#define STOP UINT32_MAX
#define STEP 60	  /* records of 64 to 972 bytes, about half of the ring */
#define BURST 400 /* more than the ring, wherever they begin */

static void write_as_granted(void *arg)
{
	struct race *race = arg;
	uint32_t granted, i = 0;

	(void)slot_enter(race->shm, 0);
	while ((granted = atomic_load(race->granted)) != STOP) {
		if (i == granted) {
			(void)sched_yield();
			continue;
		}
		i++;
		(void)publish(race->shm, 0, 1, i, 8 + (size_t)i % 900);
	}
}

static uint32_t written(struct shm *shm)
{
	return (uint32_t)metric_get(shm, 0, M_RING_RECORDS);
}

/* Lets the writer go on to the record UP_TO, if it may not already. */
static void grant(struct race *race, uint32_t up_to)
{
	if (up_to > atomic_load(race->granted))
		atomic_store(race->granted, up_to);
}

static void record_compare(const struct ring_rec *rec, const uint8_t *copy, int64_t *last)
{
	assert_true(rec->rev > *last);
	*last = rec->rev;
	assert_int_equal(rec->len, 8 + (size_t)rec->rev % 900);
	for (size_t i = 0; i < rec->len; i++)
		assert_true(copy[i] == (uint8_t)rec->rev);
}

/*
 * A writer that goes on meanwhile overtakes its reader now and then, and the reader never takes
 * a torn record for whole. The reader says how far the writer may go, so that neither can starve
 * the other on a busy machine: half a ring ahead, and every hundredth record more than a ring,
 * once to be overtaken for sure before it has looked again, once at any moment.
 */
static void test_overtaken_by_a_running_writer(void **state)
{
	struct race race = {segment_new(2), shared_alloc(sizeof(*race.granted))};
	unsigned n_seen = 0, n_read = 0, n_lapped = 0, n_torn = 0;
	struct ring_reader r;
	struct ring_rec rec;
	int64_t last = 0;
	pid_t pid;

	(void)state;
	(void)slot_enter(race.shm, 1);
	(void)join(race.shm, 1, 1, 10);
	ring_reader_init(race.shm, 1, &r);
	pid = child_start(write_as_granted, &race);
	while (n_read < 5000 || n_torn < 10) {
		uint8_t copy[1024];
		int e = ring_peek(&r, &rec);

		n_lapped += e == -ERR_LAPPED;
		if (e < 0) {
			grant(&race, written(race.shm) + STEP);
			(void)sched_yield();
			continue;
		}
		n_seen++;
		grant(&race, (uint32_t)rec.rev + (n_seen % 100 ? STEP : BURST));
		while (n_seen % 200 == 0 && written(race.shm) < rec.rev + BURST)
			(void)sched_yield();
		memcpy(copy, rec.payload, MIN(rec.len, sizeof(copy)));
		if (ring_check(&r) < 0) {
			n_torn++;
			continue;
		}
		record_compare(&rec, copy, &last);
		ring_advance(&r);
		n_read++;
	}
	atomic_store(race.granted, STOP);
	assert_int_equal(child_wait(pid), 0);
	assert_int_equal(metric_get(race.shm, 1, M_RING_LAPPED), n_lapped + n_torn);
	shm_detach(&race.shm);
}

#define PINGS 50000

struct ping {
	struct shm *shm;
	int bell;
	_Atomic uint32_t *seen;
};

static void sleep_between_records(void *arg)
{
	struct ping *ping = arg;
	struct pollfd p = {.fd = ping->bell, .events = POLLIN};
	struct ring_reader r;
	struct ring_rec rec;
	eventfd_t count;

	(void)slot_enter(ping->shm, 1);
	(void)join(ping->shm, 1, 1, 10);
	ring_reader_init(ping->shm, 1, &r);
	atomic_store(ping->seen, 1);
	for (uint32_t n = 1; n <= PINGS;) {
		if (ring_peek(&r, &rec) == 0) {
			ring_advance(&r);
			atomic_store(ping->seen, ++n);
		} else if (ring_sleep_prepare(&r)) {
			CHECK(poll(&p, 1, 20000) == 1);
			CHECK(eventfd_read(p.fd, &count) == 0);
		}
	}
}

/* The next record comes just when the reader falls asleep, and none after it mends a loss. */
static void test_no_wake_up_is_lost(void **state)
{
	struct ping ping = {segment_new(2), eventfd(0, EFD_CLOEXEC),
			    shared_alloc(sizeof(*ping.seen))};
	uint64_t spins = 0;
	pid_t pid;

	(void)state;
	(void)slot_enter(ping.shm, 0);
	pid = child_start(sleep_between_records, &ping);
	for (uint32_t n = 1; n <= PINGS; n++) {
		while (atomic_load(ping.seen) < n)
			if (++spins % 4096 == 0) /* it may have to run on this very processor */
				(void)sched_yield();
		if (publish(ping.shm, 0, 1, n, 8))
			assert_int_equal(eventfd_write(ping.bell, 1), 0);
	}
	assert_int_equal(child_wait(pid), 0);
	(void)close(ping.bell);
	shm_detach(&ping.shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length_and_wrap),
		cmocka_unit_test(test_overtaken_before_peek),
		cmocka_unit_test(test_overtaken_while_reading),
		cmocka_unit_test(test_others_records_do_not_overtake),
		cmocka_unit_test(test_sleep_and_wake),
		cmocka_unit_test(test_cursor_is_shown),
		cmocka_unit_test(test_walk_back),
		cmocka_unit_test(test_walk_does_not_believe_payloads),
		cmocka_unit_test(test_overtaken_by_a_running_writer),
		cmocka_unit_test(test_no_wake_up_is_lost),
	};

	return cmocka_run_group_tests_name("ring_read", tests, NULL, NULL);
}
