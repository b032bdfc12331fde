/* SPDX-License-Identifier: MIT */
/*
 * Resume points: many in one statement out, one in.
 * What a point is good for is decided above.
 */
#include "sql/resume.h"

#include "sql/array.h"

static void on_saved(const struct db_call *call, const struct db_result *res)
{
	((resume_saved_fn *)call->then)(call->arg, db_result_err(res));
}

static bool is_sound(const struct resume_point *points, size_t n)
{
	if (n < 1 || n > RESUME_POINTS_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (points[i].n > RESUME_CONVS_MAX || uuid_is_zero(&points[i].session))
			return false;
	return true;
}

/* The lists of all points, one after the other. */
static void encode_lists(const struct resume_point *points, size_t n, bool is_revs,
			 struct db_args *args)
{
	size_t total = 0;
	struct buf *b;

	for (size_t i = 0; i < n; i++)
		total += points[i].n;
	b = array_open(args, OID_INT8, total);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < points[i].n; j++)
			array_add_i64(b, is_revs ? points[i].revs[j] : points[i].convs[j]);
	db_args_close(args);
}

static void encode(const struct resume_point *points, size_t n, int keep_days, struct db_args *args)
{
	struct buf *b = array_open(args, OID_UUID, n);

	for (size_t i = 0; i < n; i++)
		array_add_uuid(b, &points[i].session);
	db_args_close(args);
	b = array_open(args, OID_INT8, n);
	for (size_t i = 0; i < n; i++)
		array_add_i64(b, points[i].user);
	db_args_close(args);
	b = array_open(args, OID_INT4, n);
	for (size_t i = 0; i < n; i++)
		array_add_i32(b, (int32_t)points[i].n);
	db_args_close(args);
	encode_lists(points, n, false, args);
	encode_lists(points, n, true, args);
	db_args_i32(args, keep_days);
}

int resume_save(struct db *db, const struct resume_point *points, size_t n, int keep_days,
		uint64_t deadline_ms, resume_saved_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	if (!is_sound(points, n))
		return -ERR_INVAL;
	encode(points, n, keep_days, &args);
	return db_ask(db, STMT_RESUME_SAVE, &args, deadline_ms, on_saved,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

/* Freed by point_done. */
static struct resume_point point_read(const struct db_result *res, int row)
{
	struct resume_point point = {0};
	int64_t *convs = NULL, *revs = NULL;
	size_t n;

	if (db_is_null(res, row, 0))
		return point;
	point.session = db_get_uuid(res, row, 0);
	point.user = db_get_i64(res, row, 1);
	n = array_read_i64(db_get_str(res, row, 2), RESUME_CONVS_MAX, &convs);
	point.n = array_read_i64(db_get_str(res, row, 3), RESUME_CONVS_MAX, &revs);
	point.n = MIN(point.n, n);
	point.convs = convs;
	point.revs = revs;
	return point;
}

static void point_done(struct resume_point *point)
{
	free((int64_t *)point->convs);
	free((int64_t *)point->revs);
}

static void on_loaded(const struct db_call *call, const struct db_result *res)
{
	resume_loaded_fn *done = (resume_loaded_fn *)call->then;
	struct resume_point points[RESUME_LOADS_MAX] = {0};
	int err = db_result_err(res), n;

	if (err < 0) {
		done(call->arg, err, NULL);
		return;
	}
	n = db_rows(res);
	n = MIN(n, RESUME_LOADS_MAX);
	for (int i = 0; i < n; i++)
		points[i] = point_read(res, i);
	done(call->arg, 0, points);
	for (int i = 0; i < n; i++)
		point_done(&points[i]);
}

int resume_load(struct db *db, const struct resume_key *keys, size_t n, uint64_t deadline_ms,
		resume_loaded_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;
	struct buf *b;

	if (n < 1 || n > RESUME_LOADS_MAX)
		return -ERR_INVAL;
	b = array_open(&args, OID_UUID, n);
	for (size_t i = 0; i < n; i++)
		array_add_uuid(b, &keys[i].session);
	db_args_close(&args);
	b = array_open(&args, OID_INT8, n);
	for (size_t i = 0; i < n; i++)
		array_add_i64(b, keys[i].user);
	db_args_close(&args);
	return db_ask(db, STMT_RESUME_LOAD, &args, deadline_ms, on_loaded,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}
