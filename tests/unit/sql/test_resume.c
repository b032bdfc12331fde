/* SPDX-License-Identifier: MIT */
/*
 * Resume points: what is saved comes back whole, to its user only, and old ones go.
 */
#include "fixture.h"

#include "sql/resume.h"
#include "sql/stmt.h"

struct got {
	int n, err;
	size_t n_convs;
	int64_t convs[RESUME_CONVS_MAX], revs[RESUME_CONVS_MAX];
};

static struct got got;

static void on_saved(void *arg UNUSED, int err)
{
	got.n++;
	got.err = err;
}

static void on_loaded(void *arg UNUSED, int err, const struct resume_point *points)
{
	got.n++;
	got.err = err;
	assert_true((err == 0) == (points != NULL));
	if (!points)
		return;
	if (uuid_is_zero(&points->session))
		got.err = -ERR_NOENT;
	got.n_convs = points->n;
	if (points->n) {
		memcpy(got.convs, points->convs, points->n * sizeof(*points->convs));
		memcpy(got.revs, points->revs, points->n * sizeof(*points->revs));
	}
}

static void save(const struct resume_point *points, size_t n, int keep_days)
{
	got.n = 0;
	assert_int_equal(resume_save(l.db, points, n, keep_days, 0, on_saved, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	assert_int_equal(got.err, 0);
}

static int load(const struct uuid *session, int64_t user)
{
	const struct resume_key key = {*session, user};

	got.n = 0;
	assert_int_equal(resume_load(l.db, &key, 1, 0, on_loaded, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	return got.err;
}

static void test_save_and_load(void **state UNUSED)
{
	const int64_t convs[] = {7, 3, 1ll << 30}, revs[] = {70, 0, INT64_MAX};
	struct resume_point points[] = {
		{.session = uuid_v7(), .user = 1, .n = 3, .convs = convs, .revs = revs},
		{.session = uuid_v7(), .user = 2, .n = 0},
		{.session = uuid_v7(), .user = 1, .n = 2, .convs = convs + 1, .revs = revs + 1},
		{.user = 3, .n = 1, .convs = convs, .revs = revs},
	};

	points[3].session = uuid_v7();
	save(points, 4, 7);
	assert_int_equal(load(&points[0].session, 1), 0);
	assert_int_equal(got.n_convs, 3);
	assert_memory_equal(got.convs, convs, sizeof(convs));
	assert_memory_equal(got.revs, revs, sizeof(revs));
	assert_int_equal(load(&points[1].session, 2), 0);
	assert_int_equal(got.n_convs, 0);
	assert_int_equal(load(&points[2].session, 1), 0);
	assert_int_equal(got.n_convs, 2);
	assert_int_equal(got.convs[0], 3);
	assert_int_equal(got.revs[1], INT64_MAX);
	assert_int_equal(load(&points[0].session, 2), -ERR_NOENT); /* another's */
	assert_int_equal(load(&(struct uuid){{1}}, 1), -ERR_NOENT);

	/* each save is whole; the later of two stands; nobody takes another's over */
	points[1] = points[0];
	points[1].n = 1;
	points[2].n = 0;
	points[3].user = 4;
	save(points, 4, 7);
	assert_int_equal(load(&points[0].session, 1), 0);
	assert_int_equal(got.n_convs, 1);
	assert_int_equal(load(&points[2].session, 1), 0);
	assert_int_equal(got.n_convs, 0);
	assert_int_equal(load(&points[3].session, 4), -ERR_NOENT);
	assert_int_equal(load(&points[3].session, 3), 0);
}

static void test_many(void **state UNUSED)
{
	static int64_t convs[RESUME_CONVS_MAX + 1], revs[RESUME_CONVS_MAX + 1];
	static struct resume_point points[RESUME_POINTS_MAX + 1];

	for (int i = 0; i <= RESUME_CONVS_MAX; i++) {
		convs[i] = 1 + i;
		revs[i] = 2 * i;
	}
	for (int i = 0; i <= RESUME_POINTS_MAX; i++)
		points[i] = (struct resume_point){.session = uuid_v7(),
						  .user = 1,
						  .n = i == 5 ? RESUME_CONVS_MAX : (size_t)i % 3,
						  .convs = convs + i % 7,
						  .revs = revs + i % 7};
	points[5].convs = convs;
	points[5].revs = revs;
	assert_int_equal(
		resume_save(l.db, points, RESUME_POINTS_MAX + 1, 7, 0, on_saved, NULL, NULL),
		-ERR_INVAL);
	assert_int_equal(resume_save(l.db, points, 0, 7, 0, on_saved, NULL, NULL), -ERR_INVAL);
	save(points, RESUME_POINTS_MAX, 0);
	for (int i = 0; i < RESUME_POINTS_MAX; i += i == 5 ? 1 : 5) {
		assert_int_equal(load(&points[i].session, 1), 0);
		assert_int_equal(got.n_convs, points[i].n);
		for (size_t j = 0; j < points[i].n; j++) {
			assert_int_equal(got.convs[j], points[i].convs[j]);
			assert_int_equal(got.revs[j], points[i].revs[j]);
		}
	}
	points[5].n++;
	assert_int_equal(resume_save(l.db, points, 6, 7, 0, on_saved, NULL, NULL), -ERR_INVAL);
	points[5].n = 0;
	points[5].session = (struct uuid){{0}};
	assert_int_equal(resume_save(l.db, points, 6, 7, 0, on_saved, NULL, NULL), -ERR_INVAL);
}

struct answers {
	const struct resume_key *keys;
	const struct resume_point *want; /* session zero: not to be had */
	size_t n;
};

static void on_answers(void *arg, int err, const struct resume_point *points)
{
	const struct answers *a = arg;

	got.n++;
	assert_int_equal(err, 0);
	for (size_t i = 0; i < a->n; i++) {
		const struct resume_point *p = &points[i], *want = &a->want[i];

		assert_memory_equal(&p->session, &want->session, sizeof(p->session));
		assert_int_equal(p->n, want->n);
		if (uuid_is_zero(&want->session))
			continue;
		assert_int_equal(p->user, a->keys[i].user);
		for (size_t j = 0; j < p->n; j++) {
			assert_int_equal(p->convs[j], want->convs[j]);
			assert_int_equal(p->revs[j], want->revs[j]);
		}
	}
}

static void load_all(const struct answers *a)
{
	got.n = 0;
	assert_int_equal(resume_load(l.db, a->keys, a->n, 0, on_answers, (void *)a, NULL), 0);
	link_until(&l, &got.n, 1);
}

/*
 * Everybody gets what is theirs, in the order of the question. Seen red with the user left out of
 * the condition, and with the answers in the order of the sessions.
 */
static void test_many_in_one_question(void **state UNUSED)
{
	static struct resume_point points[RESUME_LOADS_MAX], want[RESUME_LOADS_MAX];
	static struct resume_key keys[RESUME_LOADS_MAX + 1];
	const int64_t convs[] = {5, 6, 7}, revs[] = {50, 60, 70};
	size_t n = RESUME_LOADS_MAX;

	for (size_t i = 0; i < n; i++)
		points[i] = (struct resume_point){.session = uuid_v7(),
						  .user = 20 + (int64_t)i % 5,
						  .n = i % 3,
						  .convs = convs,
						  .revs = revs};
	save(points, n, 0);
	for (size_t i = 0; i < n; i++) { /* backwards; some are unknown, some another's */
		want[i] = points[n - 1 - i];
		keys[i] = (struct resume_key){want[i].session, want[i].user};
		if (i % 7 == 3)
			keys[i].session = uuid_v7();
		else if (i % 7 == 5)
			keys[i].user++;
		else
			continue;
		want[i] = (struct resume_point){.n = 0};
	}
	keys[1] = keys[0]; /* the same once more */
	want[1] = want[0];
	load_all(&(struct answers){keys, want, n});
	load_all(&(struct answers){keys, want, 9});
	assert_int_equal(resume_load(l.db, keys, n + 1, 0, on_loaded, NULL, NULL), -ERR_INVAL);
	assert_int_equal(resume_load(l.db, keys, 0, 0, on_loaded, NULL, NULL), -ERR_INVAL);
}

static void test_old_ones_go(void **state UNUSED)
{
	struct resume_point p = {.session = uuid_v7(), .user = 9};

	pg_value(pg, "TRUNCATE resume_points;"
		     "INSERT INTO resume_points SELECT uuid_v7(), 1,"
		     " now() + interval '30 minutes' - make_interval(hours => h), '{}', '{}' FROM "
		     "generate_series(1, 7 * 24 + 250) h");
	save(&p, 1, 7);
	/* 250 are too old; a hundred go at a time, the oldest first */
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM resume_points WHERE user_id = 1"),
			 7 * 24 + 150);
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM resume_points WHERE updated_at <"
				       " now() - make_interval(hours => 7 * 24 + 150)"),
			 0);
	save(&p, 1, 0); /* none */
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM resume_points WHERE user_id = 1"),
			 7 * 24 + 150);
	save(&p, 1, 7);
	save(&p, 1, 7);
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM resume_points WHERE user_id = 1"),
			 7 * 24);
}

/*
 * What others have written is not read to find what is too old. Seen red with the time compared row
 * by row: 2,000 rows are removed by a filter.
 */
static void test_young_ones_are_not_looked_at(void **state UNUSED)
{
	const char *plan, *const removed = "Rows Removed by Filter\": ";

	pg_value(pg, "TRUNCATE resume_points;"
		     "INSERT INTO resume_points SELECT uuid_v7(), 1, now(), '{}', '{}'"
		     " FROM generate_series(1, 2000);"
		     "ANALYZE resume_points; SET plan_cache_mode = force_generic_plan");
	pg_valuef(pg, "PREPARE save AS %s", stmt_get(STMT_RESUME_SAVE)->sql);
	plan = pg_value(pg, "SET enable_seqscan = off;" /* of a table that could be larger */
			    "EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE save("
			    "ARRAY[uuid_v7()], '{1}', '{0}', '{}', '{}', 7)");
	assert_non_null(strstr(plan, "resume_points_updated_idx"));
	while ((plan = strstr(plan, removed))) {
		plan += strlen(removed);
		assert_int_equal(strtol(plan, NULL, 10), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_save_and_load),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_many_in_one_question),
		cmocka_unit_test(test_old_ones_go),
		cmocka_unit_test(test_young_ones_are_not_looked_at),
	};

	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
