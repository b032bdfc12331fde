/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests of worker/ share: cmocka's includes in their order and comparisons of text.
 * Holds no expectations.
 */
#ifndef TESTS_WORKER_TEST_H
#define TESTS_WORKER_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/buf.h"

/* The bytes of S are the characters of TEXT. */
static inline void check_text(struct str s, const char *text, const char *file, int line)
{
	if (str_eq(s, str_of(text)))
		return;
	print_error("got      \"%.*s\"\nexpected \"%s\"\n", (int)s.len, s.len ? s.p : "", text);
	_fail(file, line);
}
#define assert_text(s, text) check_text((s), (text), __FILE__, __LINE__)

/* B holds exactly TEXT; B is emptied. */
static inline void check_buffer(struct buf *b, const char *text, const char *file, int line)
{
	check_text(buf_str(b), text, file, line);
	buf_done(b);
}
#define assert_buffer(b, text) check_buffer((b), (text), __FILE__, __LINE__)

/* TEXT occurs in S. */
static inline void check_contains(struct str s, const char *text, const char *file, int line)
{
	if (s.len && memmem(s.p, s.len, text, strlen(text)))
		return;
	print_error("\"%s\"\nis not in \"%.*s\"\n", text, (int)s.len, s.len ? s.p : "");
	_fail(file, line);
}
#define assert_contains(s, text) check_contains((s), (text), __FILE__, __LINE__)

static inline void check_lacks(struct str s, const char *text, const char *file, int line)
{
	if (!s.len || !memmem(s.p, s.len, text, strlen(text)))
		return;
	print_error("\"%s\"\nis in \"%.*s\"\n", text, (int)s.len, s.p);
	_fail(file, line);
}
#define assert_lacks(s, text) check_lacks((s), (text), __FILE__, __LINE__)

#endif
