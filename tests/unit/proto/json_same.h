/* SPDX-License-Identifier: MIT */
/*
 * Whether two documents hold the same value: for what two readers made of one thing.
 * Not for texts: the order of members and the form of numbers do not count.
 */
#ifndef TESTS_JSON_SAME_H
#define TESTS_JSON_SAME_H

#include "base/buf.h"
#include "proto/json.h"

static inline bool json_same(const struct json_value *a, const struct json_value *b);

static inline bool json_same_members(const struct json_value *a, const struct json_value *b)
{
	const struct json_value *x, *y;
	size_t at = 0, i;
	struct str key, other;

	if (json_members(a) != json_members(b))
		return false;
	while (json_next(a, &at, &key, &x)) {
		bool found = false;

		for (i = 0; !found && json_next(b, &i, &other, &y);)
			found = str_eq(key, other);
		if (!found || !json_same(x, y))
			return false;
	}
	return true;
}

static inline bool json_same_scalars(const struct json_value *a, const struct json_value *b)
{
	struct buf x = BUF_INIT, y = BUF_INIT;
	bool p = false, q = false, is_same;

	json_add_scalar(&x, a);
	json_add_scalar(&y, b);
	is_same = json_to_bool(a, &p) == json_to_bool(b, &q) && p == q &&
		  str_eq(buf_str(&x), buf_str(&y));
	buf_done(&x);
	buf_done(&y);
	return is_same;
}

static inline bool json_same(const struct json_value *a, const struct json_value *b)
{
	enum json_kind kind = json_kind_of(a);

	if (kind != json_kind_of(b) || json_count(a) != json_count(b))
		return false;
	if (kind == JSON_KIND_NULL)
		return true;
	if (kind == JSON_KIND_OBJECT)
		return json_same_members(a, b);
	if (kind != JSON_KIND_ARRAY)
		return json_same_scalars(a, b);
	for (size_t i = 0; i < json_count(a); i++)
		if (!json_same(json_at(a, i), json_at(b, i)))
			return false;
	return true;
}

#endif
