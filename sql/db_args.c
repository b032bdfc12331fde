/* SPDX-License-Identifier: MIT */
/*
 * Parameters of a query in PostgreSQL's binary formats, gathered in one buffer.
 * Sending them is db.c's work.
 */
#include "sql/db_priv.h"

#include <endian.h>

void db_args_done(struct db_args *a)
{
	buf_done(&a->data);
	a->n = 0;
}

void db_args_open(struct db_args *a)
{
	assert(a->n < DB_PARAM_MAX);
	a->p[a->n].off = a->data.len;
	a->p[a->n].is_binary = true;
}

void db_args_close(struct db_args *a)
{
	size_t len = a->data.len - a->p[a->n].off;

	assert(len <= INT32_MAX);
	a->p[a->n++].len = (int32_t)len;
}

void db_args_null(struct db_args *a)
{
	db_args_open(a);
	a->p[a->n++].len = -1;
}

void db_args_i64(struct db_args *a, int64_t v)
{
	uint64_t be = htobe64((uint64_t)v);

	db_args_open(a);
	buf_add(&a->data, &be, sizeof(be));
	db_args_close(a);
}

void db_args_i64_or_null(struct db_args *a, int64_t v)
{
	if (v)
		db_args_i64(a, v);
	else
		db_args_null(a);
}

void db_args_i32(struct db_args *a, int32_t v)
{
	uint32_t be = htobe32((uint32_t)v);

	db_args_open(a);
	buf_add(&a->data, &be, sizeof(be));
	db_args_close(a);
}

/* Text goes in binary format too: the same bytes, but with a length, so NUL bytes are seen. */
void db_args_text(struct db_args *a, struct str s)
{
	if (!s.p) {
		db_args_null(a);
		return;
	}
	db_args_open(a);
	buf_add(&a->data, s.p, s.len);
	db_args_close(a);
}

void db_args_uuid(struct db_args *a, const struct uuid *u)
{
	if (!u || uuid_is_zero(u)) {
		db_args_null(a);
		return;
	}
	db_args_open(a);
	buf_add(&a->data, u->b, sizeof(u->b));
	db_args_close(a);
}

void args_export(const struct db_args *a, const char *values[], int lengths[], int formats[])
{
	for (int i = 0; i < a->n; i++) {
		const char *p = a->data.p ? (const char *)a->data.p + a->p[i].off : "";

		values[i] = a->p[i].len < 0 ? NULL : p;
		lengths[i] = MAX(a->p[i].len, 0);
		formats[i] = a->p[i].is_binary;
	}
}
