/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/sse.c. Expected texts follow section 9.2 of the HTML standard, the stock ticker
 * among its examples.
 */
#include "proto_test.h"

#include "proto/sse.h"

static void test_events(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	sse_add_event(&b, STR(""), STR(""), STR("YHOO\n+2\n10"));
	assert_buf(&b, "data: YHOO\ndata: +2\ndata: 10\n\n");
	sse_add_event(&b, STR("add"), STR("c-1_"), STR("{\"op\":\"ev\"}"));
	assert_buf(&b, "event: add\nid: c-1_\ndata: {\"op\":\"ev\"}\n\n");
	/* the client takes one blank off: one that belongs to the text stays */
	sse_add_event(&b, STR(""), STR(""), STR(" x"));
	assert_buf(&b, "data:  x\n\n");
	buf_done(&b);
}

/* CR LF, LF and CR end a line, each once, and every line has its own field. */
static void test_line_breaks(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	sse_add_event(&b, STR(""), STR(""), STR("a\r\nb\rc\n\nd"));
	assert_buf(&b, "data: a\ndata: b\ndata: c\ndata: \ndata: d\n\n");
	sse_add_event(&b, STR(""), STR(""), STR("a\n"));
	assert_buf(&b, "data: a\ndata: \n\n");
	sse_add_event(&b, STR(""), STR(""), STR("\r"));
	assert_buf(&b, "data: \ndata: \n\n");
	sse_add_event(&b, STR(""), STR(""), STR("x\nevent: y\n\ndata: z"));
	assert_buf(&b, "data: x\ndata: event: y\ndata: \ndata: data: z\n\n");
	sse_add_event(&b, STR(""), STR(""), (struct str){0});
	assert_buf(&b, "data: \n\n");
	buf_done(&b);
}

static void test_others(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	sse_add_id(&b, STR("AQAA"));
	assert_buf(&b, "id: AQAA\n\n");
	sse_add_comment(&b, STR("still here"));
	assert_buf(&b, ": still here\n\n");
	sse_add_comment(&b, STR("a\ndata: b"));
	assert_buf(&b, ": a\n: data: b\n\n");
	sse_add_retry(&b, 3700);
	assert_buf(&b, "retry: 3700\n\n");
	assert_string_equal(SSE_CONTENT_TYPE, "text/event-stream");
	buf_done(&b);
}

static void test_last_event_id(void **state)
{
	struct str id = STR("old");

	(void)state;
	assert_int_equal(sse_last_event_id(STR(""), 10, &id), -ERR_NOENT);
	assert_int_equal(sse_last_event_id(STR(" \t "), 10, &id), -ERR_NOENT);
	assert_int_equal(sse_last_event_id(STR("abcdefghijk"), 10, &id), -ERR_TOOBIG);
	assert_int_equal(sse_last_event_id(STR("ab cd"), 10, &id), -ERR_INVAL);
	assert_int_equal(sse_last_event_id(STR("ab="), 10, &id), -ERR_INVAL);
	assert_int_equal(sse_last_event_id(STR("a\xc3\xa9"), 10, &id), -ERR_INVAL);
	assert_int_equal(sse_last_event_id(STR("a\0b"), 10, &id), -ERR_INVAL);
	assert_str(id, "old");
	assert_int_equal(sse_last_event_id(STR(" AZaz09-_ "), 10, &id), 0);
	assert_str(id, "AZaz09-_");
	assert_int_equal(sse_last_event_id(STR("abcdefghij"), 10, &id), 0);
	assert_str(id, "abcdefghij");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_line_breaks),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_last_event_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
