/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/cursor.c. The expected texts were put together apart from it, from the description
 * of the form: bytes, CRC-32 and base64url by another program.
 */
#include "proto_test.h"

#include "proto/cursor.h"

/* session 00112233-4455-6677-8899-aabbccddeeff, user 7, positions 7:300, 42:119 and the largest */
#define NORMAL "AQARIjNEVWZ3iJmqu8zd7v8HAwesAiN31f___wf_____D7ToqpM"
/* no session, user or position */
#define EMPTY "AQAAAAAAAAAAAAAAAAAAAAAAAA3qSTc"
/* the largest user, position 1:0 */
#define LARGE_USER "AQARIjNEVWZ3iJmqu8zd7v___________38BAQDt2c2n"

static struct uuid session(void)
{
	struct uuid u;

	assert_int_equal(uuid_parse(STR("00112233-4455-6677-8899-aabbccddeeff"), &u), 0);
	return u;
}

static void test_encode(void **state)
{
	struct cursor_pos pos[] = {
		{2147483647, 4294967295}, {42, 118}, {7, 300}, {42, 119}, {7, 0}};
	struct cursor c = {.session = session(), .user = 7, .pos = pos, .n = ARRAY_LEN(pos)};
	struct buf b = BUF_INIT;

	(void)state;
	cursor_encode(&b, &c);
	assert_buf(&b, NORMAL);
	assert_int_equal(pos[0].conv, 2147483647);
	cursor_encode(&b, &(struct cursor){0});
	assert_buf(&b, EMPTY);
	c.user = INT64_MAX;
	c.n = 1;
	pos[0] = (struct cursor_pos){1, 0};
	cursor_encode(&b, &c);
	assert_buf(&b, LARGE_USER);
	buf_done(&b);
}

static void test_decode(void **state)
{
	struct uuid u = session();
	struct cursor c;

	(void)state;
	assert_int_equal(cursor_decode(STR(NORMAL), 3, &c), 0);
	assert_memory_equal(c.session.b, u.b, sizeof(u.b));
	assert_int_equal(c.user, 7);
	assert_int_equal(c.n, 3);
	assert_int_equal(c.pos[0].conv, 7);
	assert_int_equal(c.pos[0].rev, 300);
	assert_int_equal(c.pos[1].conv, 42);
	assert_int_equal(c.pos[1].rev, 119);
	assert_int_equal(c.pos[2].conv, 2147483647);
	assert_true(c.pos[2].rev == 4294967295);
	assert_ptr_equal(cursor_find(&c, 7), &c.pos[0]);
	assert_ptr_equal(cursor_find(&c, 42), &c.pos[1]);
	assert_ptr_equal(cursor_find(&c, 2147483647), &c.pos[2]);
	assert_null(cursor_find(&c, 8));
	assert_null(cursor_find(&c, 1));
	cursor_done(&c);
	assert_null(c.pos);
	assert_int_equal(cursor_decode(STR(EMPTY), 0, &c), 0);
	assert_true(uuid_is_zero(&c.session));
	assert_int_equal(c.user, 0);
	assert_int_equal(c.n, 0);
	assert_null(cursor_find(&c, 1));
	cursor_done(&c);
	assert_int_equal(cursor_decode(STR(LARGE_USER), 1, &c), 0);
	assert_true(c.user == INT64_MAX);
	cursor_done(&c);
}

/* Each has a right checksum and one thing that no encoder writes. */
static void test_malformed(void **state)
{
	static const struct {
		const char *text;
		int error;
	} cases[] = {
		{"AgARIjNEVWZ3iJmqu8zd7v8HAHXl1o4", -ERR_UNSUPPORTED}, /* version 2 */
		{"AAARIjNEVWZ3iJmqu8zd7v8HAAFR0H8", -ERR_INVAL},       /* version 0 */
		{"AQARIjNEVWZ3iJmqu8zd7v8HAgcBAALYnoxz", -ERR_INVAL},  /* 7 twice */
		{"AQARIjNEVWZ3iJmqu8zd7v8HAv____8HAQEC8IS8QA", -ERR_INVAL}, /* conversation 2^31 */
		{"AQARIjNEVWZ3iJmqu8zd7v8HAQGAgICAEOMuvgc", -ERR_INVAL},    /* rev 2^32 */
		{"AQARIjNEVWZ3iJmqu8zd7v8HAgEBne_yZA", -ERR_INVAL},   /* count 2 of 1 */
		{"AQARIjNEVWZ3iJmqu8zd7v8HAQEBAQE6R8mE", -ERR_INVAL}, /* count 1 of 2 */
		{"AQARIjNEVWZ3iJmqu8zd7v8HAAB33um2", -ERR_INVAL},     /* a byte too many */
		{"AQARIjNEVWZ3iJmqu8zd7v-HAACW6_I2", -ERR_INVAL},     /* user 7 in two bytes */
		{"AQARIjNEVWZ3iJmqu8zd7v____________8BAPgW3LA", -ERR_INVAL}, /* user 2^64-1 */
		{"AQARIjNEVWZ3iJliKgWS", -ERR_INVAL},		      /* half a session */
		{"AQARIjNEVWZ3iJmqu8zd7v8H_____w95J_nC", -ERR_INVAL}, /* count 2^32-1 */
	};
	struct cursor c = {.user = 99};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int r = cursor_decode(str_of(cases[i].text), 100, &c);

		if (r != cases[i].error)
			fail_msg("%s: %s", cases[i].text, err_name(r));
	}
	assert_int_equal(c.user, 99);
}

/* No character can be changed, left out or added, and no value has a second text. */
static void test_every_character_counts(void **state)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= ";
	char text[] = NORMAL;
	size_t len = sizeof(text) - 1;
	struct cursor c;

	(void)state;
	for (size_t i = 0; i < len; i++) {
		for (const char *a = alphabet; *a; a++) {
			if (*a == NORMAL[i])
				continue;
			text[i] = *a;
			assert_int_equal(cursor_decode((struct str){text, len}, 3, &c), -ERR_INVAL);
		}
		text[i] = NORMAL[i];
		assert_int_equal(cursor_decode((struct str){text, i}, 3, &c), -ERR_INVAL);
	}
	assert_int_equal(cursor_decode(STR(NORMAL "="), 3, &c), -ERR_INVAL);
	assert_int_equal(cursor_decode(STR(NORMAL "A"), 3, &c), -ERR_INVAL);
	assert_int_equal(cursor_decode((struct str){0}, 3, &c), -ERR_INVAL);
	assert_int_equal(cursor_decode(STR("A"), 3, &c), -ERR_INVAL);
}

static void test_limits(void **state)
{
	struct cursor_pos pos[1000];
	struct cursor c = {.session = session(), .user = INT64_MAX, .pos = pos, .n = 1000}, back;
	struct buf b = BUF_INIT;

	(void)state;
	/* as far apart as a thousand conversations can be */
	for (size_t i = 0; i < ARRAY_LEN(pos); i++)
		pos[i] = (struct cursor_pos){(int64_t)(i + 1) * 2147483, UINT32_MAX};
	cursor_encode(&b, &c);
	assert_in_range(b.len, 1, cursor_text_max(ARRAY_LEN(pos)));
	assert_int_equal(cursor_decode(buf_str(&b), 999, &back), -ERR_TOOBIG);
	assert_int_equal(cursor_decode(buf_str(&b), 1, &back), -ERR_TOOBIG);
	assert_int_equal(cursor_decode(buf_str(&b), 1000, &back), 0);
	assert_int_equal(back.n, 1000);
	assert_memory_equal(back.pos, pos, sizeof(pos));
	cursor_done(&back);
	buf_done(&b);
	assert_int_equal(cursor_decode(STR(NORMAL), 2, &back), -ERR_TOOBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode),	  cmocka_unit_test(test_decode),
		cmocka_unit_test(test_malformed), cmocka_unit_test(test_every_character_counts),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
