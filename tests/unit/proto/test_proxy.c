/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/proxy.c and proto/forwarded.c. Headers follow the specification of the PROXY
 * protocol (sections 2.1, 2.2), checksums RFC 3720 appendix B.4, fields RFC 7239.
 */
#include "proto_test.h"

#include "proto/proxy.h"

/* "local", an address, followed by "+tls"; or the name of the error. */
static const char *decoded(const void *data, size_t len, size_t *ret_used)
{
	static char text[ADDR_TEXT_MAX + 8];
	struct proxy_header h;
	size_t used = 0;
	int r = proxy_decode(data, len, &used, &h);

	*ret_used = used;
	if (r < 0)
		return err_name(r);
	if (h.is_local)
		return "local";
	addr_format(&h.client, text);
	if (h.is_tls)
		memcpy(text + strlen(text), "+tls", 5);
	return text;
}

static void assert_header(struct str s, const char *want)
{
	size_t used;

	assert_string_equal(decoded(s.p, s.len, &used), want);
	assert_int_equal(used, strcmp(want, "PROTO") == 0 ? 0 : s.len);
	if (strcmp(want, "PROTO") == 0)
		return;
	/* every prefix is incomplete, and what follows is left alone */
	for (size_t n = 0; n < s.len; n++)
		assert_string_equal(decoded(s.p, n, &used), "AGAIN");
}

static void test_version_1(void **state)
{
	(void)state;
	assert_header(STR("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"), "192.0.2.1");
	assert_header(STR("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
		      "255.255.255.255");
	assert_header(STR("PROXY TCP6 2001:db8::1 ::1 0 1\r\n"), "2001:db8::1");
	assert_header(STR("PROXY UNKNOWN\r\n"), "local");
	assert_header(STR("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
			  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		      "local");
}

static void test_version_1_faults(void **state)
{
	static const char *const bad[] = {
		"PROXY \r\n", "PROXY TCP4\r\n", "PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n",
		"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
		"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", "PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n",
		"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", "PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n",
		"PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n", "PROXY TCP4 ::1 ::2 1 2\r\n",
		"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", "PROXY TCP4 1.1.1.1 x 1 2\r\n",
		"PROXY TCP6 :: ::1 1 2\r\n", "proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
		"GET / HTTP/1.1\r\n", "PROXX", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r \r\n",
	};
	char line[200];
	size_t used;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (strcmp(decoded(bad[i], strlen(bad[i]), &used), "PROTO") != 0)
			fail_msg("\"%s\" was taken", bad[i]);
	/* 107 bytes without an end are too many, 106 may still become a line */
	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	assert_string_equal(decoded(line, 106, &used), "AGAIN");
	assert_string_equal(decoded(line, 107, &used), "PROTO");
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\0\2\1\xc6\x33\x64\1\xdc\4\1\xbb"
#define V6 "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xdc\4\1\xbb"

static void test_version_2(void **state)
{
	char path[16 + 216] = SIGNATURE "\x21\x31\0\xd8/run/x";

	(void)state;
	assert_header(STR(SIGNATURE "\x21\x11\0\x0c" V4), "192.0.2.1");
	assert_header(STR(SIGNATURE "\x21\x21\0\x24" V6), "2001:db8::1");
	/* datagrams and paths name no client of ours, LOCAL and UNSPEC none at all */
	assert_header(STR(SIGNATURE "\x21\x12\0\x0c" V4), "local");
	assert_header((struct str){path, sizeof(path)}, "local");
	assert_header(STR(SIGNATURE "\x20\x11\0\x0c" V4), "local");
	assert_header(STR(SIGNATURE "\x20\0\0\0"), "local");
	assert_header(STR(SIGNATURE "\x21\0\0\3xyz"), "local");
	assert_header(STR(SIGNATURE "\x20\xff\0\0"), "local");
}

static void test_version_2_additions(void **state)
{
	(void)state;
	/* PP2_TYPE_AUTHORITY, PP2_TYPE_NOOP */
	assert_header(STR(SIGNATURE "\x21\x11\0\x13" V4 "\2\0\1a\4\0\0"), "192.0.2.1");
	/* PP2_TYPE_SSL: PP2_CLIENT_SSL, not verified; without the flag no TLS */
	assert_header(STR(SIGNATURE "\x21\x11\0\x14" V4 "\x20\0\5\1\0\0\0\0"), "192.0.2.1+tls");
	assert_header(STR(SIGNATURE "\x21\x11\0\x14" V4 "\x20\0\5\6\0\0\0\0"), "192.0.2.1");
}

/* Of a whole header, by the definition: one bit after the other. */
static uint32_t checksum(const uint8_t *p, size_t len)
{
	uint32_t crc = 0xffffffff;

	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	return ~crc;
}

static void test_version_2_checksum(void **state)
{
	uint8_t h[] = SIGNATURE "\x21\x11\0\x13" V4 "\3\0\4\0\0\0\0";
	const size_t len = sizeof(h) - 1;
	/* appendix B.4: 32 bytes of zeroes */
	uint8_t zeroes[32] = {0};
	uint32_t crc = checksum(h, len);

	(void)state;
	assert_int_equal(checksum(zeroes, sizeof(zeroes)), 0x8a9136aa);
	for (int i = 0; i < 4; i++)
		h[len - 4 + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
	assert_header((struct str){(char *)h, len}, "192.0.2.1");
	h[16] ^= 1;
	assert_header((struct str){(char *)h, len}, "PROTO");
}

static void test_version_2_faults(void **state)
{
	static const struct str bad[] = {
		{SIGNATURE "\x11\x11\0\x0c" V4, 28}, {SIGNATURE "\x31\x11\0\x0c" V4, 28},
		{SIGNATURE "\x22\x11\0\x0c" V4, 28}, {SIGNATURE "\x21\x13\0\x0c" V4, 28},
		{SIGNATURE "\x21\x41\0\x0c" V4, 28}, {SIGNATURE "\x21\x11\0\x0b" V4, 27},
		{SIGNATURE "\x21\x11\0\x0e" V4 "\4\0", 30},
		{SIGNATURE "\x21\x11\0\x0f" V4 "\4\0\1", 31},
		{SIGNATURE "\x21\x11\0\x13" V4 "\x20\0\4\1\0\0\0", 35},
		{SIGNATURE "\x21\x11\0\x12" V4 "\3\0\3\0\0\0", 34},
		{SIGNATURE "\x21\x11\xff\xff" V4, 28}, /* said to be too long */
	};
	size_t used;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (strcmp(decoded(bad[i].p, bad[i].len, &used), "PROTO") != 0)
			fail_msg("number %zu was taken", i);
	assert_string_equal(decoded("\r\n\r\n\0\r\nQUIX", 12, &used), "PROTO");
	assert_string_equal(decoded("\r\nGET", 5, &used), "PROTO");
}

/* ---- Fields ---- */

static const char *node(const char *text)
{
	static char shown[ADDR_TEXT_MAX];
	struct addr a;

	if (forwarded_addr(str_of(text), &a) < 0)
		return "none";
	addr_format(&a, shown);
	return shown;
}

static void test_nodes(void **state)
{
	static const char *const bad[] = {"unknown", "_hidden", "_SEVKISEK", "", "::", "0:", "[",
					  "[]", "[::1", "[::1]x", ":80", "192.0.2",
					  "\"192.0.2.1\""};

	(void)state;
	assert_string_equal(node("192.0.2.43"), "192.0.2.43");
	assert_string_equal(node("192.0.2.43:47011"), "192.0.2.43");
	assert_string_equal(node("[2001:db8:cafe::17]"), "2001:db8:cafe::17");
	assert_string_equal(node("[2001:db8:cafe::17]:47011"), "2001:db8:cafe::17");
	assert_string_equal(node("2001:db8:cafe::17"), "2001:db8:cafe::17");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_string_equal(node(bad[i]), "none");
}

static void assert_hops(const char *value, const char *want)
{
	struct buf got = BUF_INIT;
	struct forwarded_hop hop;
	size_t pos = 0;

	while (forwarded_next(str_of(value), &pos, &hop))
		buf_printf(&got, "%.*s,%.*s;", (int)hop.node.len, hop.node.p, (int)hop.proto.len,
			   hop.proto.p);
	assert_buf(&got, want);
	buf_done(&got);
}

static void test_forwarded(void **state)
{
	(void)state;
	/* section 4 */
	assert_hops("for=\"_gazonk\"", "_gazonk,;");
	assert_hops("For=\"[2001:db8:cafe::17]:4711\"", "[2001:db8:cafe::17]:4711,;");
	assert_hops("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60,http;");
	assert_hops("for=192.0.2.43, for=198.51.100.17", "192.0.2.43,;198.51.100.17,;");
	assert_hops("proto=https ; host=\"a;b,c\";for=1.2.3.4", "1.2.3.4,https;");
	assert_hops("by=1.2.3.4", ",;");
	assert_hops("for", ",;");
	assert_hops("", "");
	/* escapes have no place in what is looked for */
	assert_hops("for=\"1.2\\.3.4\"", ",;");
	/* an open quote: nothing of the element is believed */
	assert_hops("for=6.6.6.6;x=\", for=1.2.3.4", ",;");
	assert_hops("for=6.6.6.6;x=\", for=\"[2001:db8::1]\"", ",;");
	assert_hops("for=6.6.6.6;x=\"\\, for=\"[2001:db8::1]\"", ",;");
	assert_hops("for=6.6.6.6;x=\"\\\", for=\"[2001:db8::1]\"", ",;");
	assert_hops("for=6.6.6.6, x=\", for=1.2.3.4", "6.6.6.6,;,;");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_1),
		cmocka_unit_test(test_version_1_faults),
		cmocka_unit_test(test_version_2),
		cmocka_unit_test(test_version_2_additions),
		cmocka_unit_test(test_version_2_checksum),
		cmocka_unit_test(test_version_2_faults),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_forwarded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
