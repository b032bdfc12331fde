/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests of proto/ share: cmocka's includes in their order and comparisons of struct
 * str. Holds no expectations.
 */
#ifndef TESTS_PROTO_TEST_H
#define TESTS_PROTO_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/buf.h"

/* The bytes of S are the characters of TEXT. */
static inline void check_str(struct str s, const char *text, const char *file, int line)
{
	size_t len = strlen(text);

	if (s.len == len && (!len || !memcmp(s.p, text, len)))
		return;
	print_error("got      \"%.*s\"\nexpected \"%s\"\n", (int)s.len, s.len ? s.p : "", text);
	_fail(file, line);
}
#define assert_str(s, text) check_str((s), (text), __FILE__, __LINE__)

/* B holds exactly TEXT; B is cleared. */
static inline void check_buf(struct buf *b, const char *text, const char *file, int line)
{
	check_str((struct str){(const char *)b->p, b->len}, text, file, line);
	buf_clear(b);
}
#define assert_buf(b, text) check_buf((b), (text), __FILE__, __LINE__)

#endif
