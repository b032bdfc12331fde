/* SPDX-License-Identifier: MIT */
/*
 * One-dimensional arrays in PostgreSQL's binary form, written as parameters and read from results.
 * Which statement takes which array is its wrapper's.
 */
#ifndef SQL_ARRAY_H
#define SQL_ARRAY_H

#include "base/base.h"
#include "base/ids.h"
#include "sql/db.h"

/* Type numbers of PostgreSQL's catalogue; fixed for ever. */
#define OID_BYTEA 17
#define OID_INT8 20
#define OID_INT4 23
#define OID_TEXT 25
#define OID_UUID 2950

/* Opens a parameter that is an array of N elements; add exactly N, then db_args_close. */
struct buf *array_open(struct db_args *a, int32_t oid, size_t n);

void array_add_i64(struct buf *b, int64_t v);
void array_add_i32(struct buf *b, int32_t v);
void array_add_str(struct buf *b, struct str s);
void array_add_uuid(struct buf *b, const struct uuid *u);
void array_add_null(struct buf *b);

/* A whole parameter. */
void array_i64(struct db_args *a, const int64_t *v, size_t n);
void array_uuid(struct db_args *a, const struct uuid *v, size_t n);

/*
 * Reads a bigint array out of BYTES (a column as db_get_str gives it) into a new array, freed by
 * the caller. Returns its length; 0 and NULL for anything else than such an array without NULL of
 * at most MAX elements.
 */
size_t array_read_i64(struct str bytes, size_t max, int64_t **ret);

#endif
