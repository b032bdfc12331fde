/* SPDX-License-Identifier: MIT */
/*
 * Arrays in binary: what array_send and array_recv of PostgreSQL speak.
 * Nothing that is read is trusted: odd lengths give an empty array.
 */
#include "sql/array.h"

#include <endian.h>

static void add_be32(struct buf *b, int32_t v)
{
	uint32_t be = htobe32((uint32_t)v);

	buf_add(b, &be, sizeof(be));
}

/* Dimensions, has-null, type, length, lower bound. */
struct buf *array_open(struct db_args *a, int32_t oid, size_t n)
{
	db_args_open(a);
	add_be32(&a->data, n > 0);
	add_be32(&a->data, 1);
	add_be32(&a->data, oid);
	if (n > 0) {
		add_be32(&a->data, (int32_t)n);
		add_be32(&a->data, 1);
	}
	return &a->data;
}

void array_add_i64(struct buf *b, int64_t v)
{
	uint64_t be = htobe64((uint64_t)v);

	add_be32(b, sizeof(be));
	buf_add(b, &be, sizeof(be));
}

void array_add_i32(struct buf *b, int32_t v)
{
	add_be32(b, sizeof(v));
	add_be32(b, v);
}

void array_add_str(struct buf *b, struct str s)
{
	add_be32(b, (int32_t)s.len);
	buf_add(b, s.p, s.len);
}

void array_add_uuid(struct buf *b, const struct uuid *u)
{
	array_add_str(b, (struct str){(const char *)u->b, sizeof(u->b)});
}

void array_add_null(struct buf *b)
{
	add_be32(b, -1);
}

void array_i64(struct db_args *a, const int64_t *v, size_t n)
{
	struct buf *b = array_open(a, OID_INT8, n);

	for (size_t i = 0; i < n; i++)
		array_add_i64(b, v[i]);
	db_args_close(a);
}

void array_uuid(struct db_args *a, const struct uuid *v, size_t n)
{
	struct buf *b = array_open(a, OID_UUID, n);

	for (size_t i = 0; i < n; i++)
		array_add_uuid(b, &v[i]);
	db_args_close(a);
}

/* ---- Reading ---- */

#define HEAD_WORDS 5	 /* dimensions, has-null, type, length, lower bound */
#define ELEMENT_BYTES 12 /* a length and a bigint */

static uint32_t word_at(const char *p, size_t i)
{
	uint32_t be;

	memcpy(&be, p + i * sizeof(be), sizeof(be));
	return be32toh(be);
}

size_t array_read_i64(struct str bytes, size_t max, int64_t **ret)
{
	const char *p = bytes.p;
	size_t n;

	*ret = NULL;
	if (bytes.len < HEAD_WORDS * sizeof(uint32_t) || word_at(p, 0) != 1 ||
	    word_at(p, 2) != OID_INT8)
		return 0;
	n = word_at(p, 3);
	p += HEAD_WORDS * sizeof(uint32_t);
	if (n == 0 || n > max || bytes.len != HEAD_WORDS * sizeof(uint32_t) + n * ELEMENT_BYTES)
		return 0;
	*ret = xcalloc(n, sizeof(**ret));
	for (size_t i = 0; i < n; i++, p += ELEMENT_BYTES) {
		uint64_t be;

		memcpy(&be, p + sizeof(uint32_t), sizeof(be));
		(*ret)[i] = (int64_t)be64toh(be);
	}
	return n;
}
