/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/errors.c: the table's promises and the sentences of faults.
 * That each error really occurs is shown where it occurs.
 */
#include "proto_test.h"

#include "proto/errors.h"
#include "proto/http.h"
#include "proto/json.h"

static bool is_code(const char *s)
{
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || *s == '_'))
			return false;
	return true;
}

static void test_rows(void **state)
{
	(void)state;
	for (int e = E_NONE + 1; e < E_COUNT; e++) {
		const struct error_info *i = error_info(e);

		assert_true(is_code(i->code));
		assert_true(strlen(i->text) < sizeof(((struct fault *)0)->text));
		assert_string_not_equal(http_status_text(i->http_status), "Unknown");
		if (i->ws_close && i->ws_close < 4000)
			assert_in_range(i->ws_close, 1011, 1013);
		else if (i->ws_close)
			assert_in_range(i->ws_close, 4400, 4499);
		for (int k = E_NONE + 1; k < e; k++)
			assert_string_not_equal(error_info(k)->code, i->code);
	}
	assert_ptr_equal(error_info(E_NONE), error_info(E_INTERNAL));
	assert_ptr_equal(error_info(E_COUNT), error_info(E_INTERNAL));
}

/* Section 8 of the protocol. */
static void test_close_codes(void **state)
{
	(void)state;
	assert_int_equal(error_info(E_BAD_FRAME)->ws_close, 4400);
	assert_int_equal(error_info(E_UNAUTHORIZED)->ws_close, 4401);
	assert_int_equal(error_info(E_FORBIDDEN)->ws_close, 4403);
	assert_int_equal(error_info(E_NO_SUCH_ROOM)->ws_close, 4404);
	assert_int_equal(error_info(E_ROOM_DELETED)->ws_close, 4404);
	assert_int_equal(error_info(E_HELLO_TIMEOUT)->ws_close, 4408);
	assert_int_equal(error_info(E_REPLACED)->ws_close, 4409);
	assert_int_equal(error_info(E_TOO_LARGE)->ws_close, 4413);
	assert_int_equal(error_info(E_RATE_LIMITED)->ws_close, 4429);
	assert_int_equal(error_info(E_TOO_SLOW)->ws_close, 4480);
	assert_int_equal(error_info(E_OVERLOADED)->ws_close, 1013);
	assert_int_equal(error_info(E_UNKNOWN_OP)->ws_close, 0);
	assert_string_equal(error_info(E_ROOM_DELETED)->text, "room deleted");
}

static void test_faults(void **state)
{
	struct fault f;

	(void)state;
	fault_set(&f, E_NOT_FOUND);
	assert_int_equal(f.error, E_NOT_FOUND);
	assert_null(f.field);
	assert_string_equal(f.text, error_info(E_NOT_FOUND)->text);
	for (int k = FAULT_OTHER; k <= FAULT_VALUE; k++) {
		fault_field(&f, k, "content", 10);
		assert_int_equal(f.error, E_INVALID);
		assert_int_equal(f.kind, k);
		assert_non_null(strstr(f.text, "content"));
	}
	fault_field(&f, FAULT_TOO_LONG, "content", 16000);
	assert_non_null(strstr(f.text, "16000"));
}

static void test_describe(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	errors_describe(&b);
	assert_true(json_check(buf_str(&b), 2));
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_close_codes),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_describe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
