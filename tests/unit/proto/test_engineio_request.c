/* SPDX-License-Identifier: MIT */
/*
 * Engine.IO's handshake, its refusals, and which requests are taken.
 * Expected codes and texts are those that its clients know.
 */
#include "proto/engineio.h"

#include "proto_test.h"

#include "proto/http.h"

#define BOTH (1u << EIO_POLLING | 1u << EIO_WEBSOCKET)

static enum eio_error read_one(const char *method, const char *query, unsigned transports,
			       bool is_upgrade, struct eio_query *ret)
{
	static const struct http_limits limits = {
		.header_max = 4096, .target_max = 2048, .body_max = 4096};
	struct http_in *in = http_in_new(&limits);
	struct buf b = BUF_INIT;
	enum eio_error e;
	size_t used;

	buf_printf(&b, "%s /socket.io/%s HTTP/1.1\r\nHost: h\r\n\r\n", method, query);
	assert_int_equal(http_feed(in, b.p, b.len, &used), 0);
	e = eio_query_read(http_request(in), transports, is_upgrade, ret);
	http_in_free(&in);
	buf_done(&b);
	return e;
}

static void test_taken(void **state)
{
	struct eio_query q;

	(void)state;
	assert_int_equal(read_one("GET", "?EIO=4&transport=polling", BOTH, false, &q), EIO_E_NONE);
	assert_int_equal(q.transport, EIO_POLLING);
	assert_int_equal(q.sid_len, 0);
	assert_int_equal(
		read_one("GET", "?EIO=4&transport=polling&t=N8hyd6w&b64=1", BOTH, false, &q),
		EIO_E_NONE);
	assert_int_equal(read_one("POST", "?transport=polling&sid=lv_VI97HAXpY6yYW-AAC&EIO=4", BOTH,
				  false, &q),
			 EIO_E_NONE);
	assert_str(((struct str){q.sid, q.sid_len}), "lv_VI97HAXpY6yYW-AAC");
	assert_int_equal(read_one("GET", "?EIO=4&transport=websocket", BOTH, true, &q), EIO_E_NONE);
	assert_int_equal(q.transport, EIO_WEBSOCKET);
	assert_int_equal(read_one("GET", "?EIO=4&transport=websocket&sid=", BOTH, true, &q),
			 EIO_E_NONE);
	assert_int_equal(q.sid_len, 0);
	assert_int_equal(read_one("GET", "?EIO=%34&transport=%70olling", BOTH, false, &q),
			 EIO_E_NONE);
}

static void test_refused(void **state)
{
	static const struct {
		const char *method, *query;
		bool is_upgrade;
		enum eio_error error;
	} cases[] = {
		{"GET", "", false, EIO_E_TRANSPORT},
		{"GET", "?EIO=4", false, EIO_E_TRANSPORT},
		{"GET", "?EIO=4&transport=abc", false, EIO_E_TRANSPORT},
		{"GET", "?EIO=4&transport=Polling", false, EIO_E_TRANSPORT},
		{"GET", "?EIO=4&transport=webtransport", false, EIO_E_TRANSPORT},
		{"GET", "?transport=polling", false, EIO_E_VERSION},
		{"GET", "?EIO=abc&transport=polling", false, EIO_E_VERSION},
		{"GET", "?EIO=3&transport=polling", false, EIO_E_VERSION},
		{"GET", "?EIO=40&transport=polling", false, EIO_E_VERSION},
		{"GET", "?EIO=3&transport=websocket", true, EIO_E_VERSION},
		{"POST", "?EIO=4&transport=polling", false, EIO_E_METHOD},
		{"PUT", "?EIO=4&transport=polling", false, EIO_E_METHOD},
		{"PUT", "?EIO=4&transport=polling&sid=abc", false, EIO_E_REQUEST},
		{"GET", "?EIO=4&transport=websocket", false, EIO_E_REQUEST},
		{"GET", "?EIO=4&transport=polling", true, EIO_E_REQUEST},
		{"GET", "?EIO=4&transport=polling&j=0", false, EIO_E_REQUEST},
		{"GET", "?EIO=4&transport=polling&sid=a%00", false, EIO_E_SID},
		{"GET", "?EIO=4&transport=polling&sid=a.b", false, EIO_E_SID},
		{"GET", "?EIO=4&transport=polling&sid=%2e%2e", false, EIO_E_SID},
		{"GET", "?EIO=4&transport=%ff", false, EIO_E_REQUEST},
	};
	struct eio_query q = {.sid_len = 7};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (read_one(cases[i].method, cases[i].query, BOTH, cases[i].is_upgrade, &q) !=
		    cases[i].error)
			fail_msg("%s %s", cases[i].method, cases[i].query);
	assert_int_equal(q.sid_len, 7);
	assert_int_equal(
		read_one("GET", "?EIO=4&transport=polling", 1u << EIO_WEBSOCKET, false, &q),
		EIO_E_TRANSPORT);
}

static void test_sid_length(void **state)
{
	struct buf b = BUF_INIT;
	struct eio_query q;

	(void)state;
	buf_add_cstr(&b, "?EIO=4&transport=polling&sid=");
	for (int i = 0; i < EIO_SID_MAX; i++)
		buf_add_char(&b, 'z');
	buf_add(&b, "", 1);
	assert_int_equal(read_one("GET", (char *)b.p, BOTH, false, &q), EIO_E_NONE);
	assert_int_equal(q.sid_len, EIO_SID_MAX);
	b.p[b.len - 1] = 'z';
	buf_add(&b, "", 1);
	assert_int_equal(read_one("GET", (char *)b.p, BOTH, false, &q), EIO_E_SID);
	buf_done(&b);
}

static void test_open(void **state)
{
	struct eio_handshake h = {STR("lv_VI97HAXpY6yYWAAAC"), true, 25000, 20000, 1000000};
	struct buf b = BUF_INIT;

	(void)state;
	eio_add_open(&b, &h);
	assert_buf(&b, "0{\"sid\":\"lv_VI97HAXpY6yYWAAAC\",\"upgrades\":[\"websocket\"],"
		       "\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}");
	h.can_upgrade = false;
	eio_add_open(&b, &h);
	assert_buf(&b, "0{\"sid\":\"lv_VI97HAXpY6yYWAAAC\",\"upgrades\":[],"
		       "\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}");
	buf_done(&b);
}

static void test_errors(void **state)
{
	static const struct {
		enum eio_error e;
		int status;
		const char *body;
	} cases[] = {
		{EIO_E_TRANSPORT, 400, "{\"code\":0,\"message\":\"Transport unknown\"}"},
		{EIO_E_SID, 400, "{\"code\":1,\"message\":\"Session ID unknown\"}"},
		{EIO_E_METHOD, 400, "{\"code\":2,\"message\":\"Bad handshake method\"}"},
		{EIO_E_REQUEST, 400, "{\"code\":3,\"message\":\"Bad request\"}"},
		{EIO_E_FORBIDDEN, 403, "{\"code\":4,\"message\":\"Forbidden\"}"},
		{EIO_E_VERSION, 400, "{\"code\":5,\"message\":\"Unsupported protocol version\"}"},
	};
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(eio_error_status(cases[i].e), cases[i].status);
		eio_add_error(&b, cases[i].e);
		assert_buf(&b, cases[i].body);
	}
	assert_string_equal(eio_transport_name(EIO_POLLING), "polling");
	assert_string_equal(eio_transport_name(EIO_WEBSOCKET), "websocket");
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),	   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_sid_length), cmocka_unit_test(test_open),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
