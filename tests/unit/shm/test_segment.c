/* SPDX-License-Identifier: MIT */
/*
 * Creating, mapping and refusing segments.
 * The parts inside have tests of their own.
 */
#include "harness.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct shm_geometry usual = {.n_slots = 2,
					  .rooms_max = 65536,
					  .members_max = 1 << 20,
					  .users_max = 1 << 20,
					  .typing_max = 65536,
					  .ring_bytes = 32 << 20};

static void test_large_limits_cost_no_memory(void **state)
{
	struct shm *shm = NULL;
	uint64_t mapped, used;

	(void)state;
	assert_int_equal(shm_create(&usual, &shm), 0);
	shm_size(shm, &mapped, &used);
	assert_true(mapped > 200u << 20);
	assert_true(used < 64 << 10);
	segment_done(&shm);
}

static void test_ring_is_rounded_up(void **state)
{
	struct shm_geometry geo = usual;
	struct shm *shm = NULL;

	(void)state;
	geo.ring_bytes = 1000000;
	assert_int_equal(shm_create(&geo, &shm), 0);
	assert_int_equal(shm_geometry(shm)->ring_bytes, 1 << 20);
	segment_done(&shm);
}

static void expect_refused(struct shm_geometry geo)
{
	struct shm *shm = NULL;

	assert_int_equal(shm_create(&geo, &shm), -ERR_INVAL);
	assert_null(shm);
}

static void test_bad_geometry_is_refused(void **state)
{
	struct shm_geometry geo;

	(void)state;
	geo = usual, geo.n_slots = 0, expect_refused(geo);
	geo = usual, geo.n_slots = SLOT_MAX + 1, expect_refused(geo);
	geo = usual, geo.rooms_max = 63, expect_refused(geo);
	geo = usual, geo.members_max = (1u << 26) + 1, expect_refused(geo);
	geo = usual, geo.users_max = 0, expect_refused(geo);
	geo = usual, geo.typing_max = 1, expect_refused(geo);
	geo = usual, geo.ring_bytes = 65535, expect_refused(geo);
	geo = usual, geo.revoked_max = (1u << 24) + 1, expect_refused(geo);
	geo = usual, geo.limits_max = (1u << 24) + 1, expect_refused(geo);
}

static void test_another_view_sees_the_same(void **state)
{
	struct shm *a = segment_opened(2), *b = NULL;
	struct people p = {0};

	(void)state;
	(void)join(a, 0, 7, 70);
	assert_int_equal(shm_map(shm_fd(a), &b), 0);
	assert_true(shm_boot_id(a) != 0);
	assert_true(shm_boot_id(a) == shm_boot_id(b));
	assert_int_equal(roster_read(b, 1, 7, on_person, &p), 1);
	assert_int_equal(p.ids[0], 70);
	segment_done(&b);
	segment_done(&a);
}

static void test_boot_ids_differ(void **state)
{
	struct shm *a = segment_new(1), *b = segment_new(1);

	(void)state;
	assert_true(shm_boot_id(a) != shm_boot_id(b));
	shm_detach(&a);
	shm_detach(&b);
}

static void test_handle_is_closed_on_exec_and_sealed(void **state)
{
	struct shm *shm = segment_new(1);

	(void)state;
	assert_true(fcntl(shm_fd(shm), F_GETFD) & FD_CLOEXEC);
	assert_int_equal(ftruncate(shm_fd(shm), 4096), -1);
	shm_detach(&shm);
}

static void test_foreign_files_are_refused(void **state)
{
	struct shm *shm = NULL, *good = segment_new(1);
	int fd = memfd_create("x", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(shm_map(fd, &shm), -ERR_IO); /* shorter than a header */
	assert_int_equal(ftruncate(fd, (off_t)good->bytes), 0);
	assert_int_equal(shm_map(fd, &shm), -ERR_CORRUPT);
	assert_int_equal(shm_map(-1, &shm), -ERR_IO);
	good->header->version++;
	assert_int_equal(shm_map(shm_fd(good), &shm), -ERR_CORRUPT);
	good->header->version--;
	good->header->total_bytes++;
	assert_int_equal(shm_map(shm_fd(good), &shm), -ERR_CORRUPT);
	good->header->total_bytes--;
	good->header->geo.rooms_max *= 2;
	assert_int_equal(shm_map(shm_fd(good), &shm), -ERR_CORRUPT);
	assert_null(shm);
	(void)close(fd);
	shm_detach(&good);
	shm_detach(&good); /* of nothing */
}

static void test_usage_counts_records(void **state)
{
	struct shm *shm = segment_opened(1);
	struct shm_usage u;

	(void)state;
	(void)join(shm, 0, 1, 10);
	(void)join(shm, 0, 1, 11);
	(void)join(shm, 0, 2, 11);
	shm_usage(shm, &u);
	assert_int_equal(u.rooms, 2);
	assert_int_equal(u.members, 3);
	assert_int_equal(u.users, 2);
	assert_int_equal(u.typing, 0);
	assert_int_equal(u.members_max, 1000);
	segment_done(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_large_limits_cost_no_memory),
		cmocka_unit_test(test_ring_is_rounded_up),
		cmocka_unit_test(test_bad_geometry_is_refused),
		cmocka_unit_test(test_another_view_sees_the_same),
		cmocka_unit_test(test_boot_ids_differ),
		cmocka_unit_test(test_handle_is_closed_on_exec_and_sealed),
		cmocka_unit_test(test_foreign_files_are_refused),
		cmocka_unit_test(test_usage_counts_records),
	};

	return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
