/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: bytes of another process as an event. What is taken can be written again, reads the
 * same, and shows as well-formed JSON in every dialect.
 */
#include "fuzz.h"
#include "proto/dialect_native.h"
#include "proto/dialect_raw.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf a = BUF_INIT, b = BUF_INIT;
	struct event e, again;

	if (event_decode(data, size, &e) < 0)
		return 0;
	event_encode(&e, &a);
	MUST(event_decode(a.p, a.len, &again) == 0);
	event_encode(&again, &b);
	MUST(str_eq(buf_str(&a), buf_str(&b)));
	buf_clear(&b);
	if (raw_add_event(&b, &e))
		MUST(json_check(buf_str(&b), 8) || memchr(data, '\0', size));
	buf_clear(&b);
	if (native_add_event(&b, &e))
		MUST(json_check(buf_str(&b), 8) || memchr(data, '\0', size));
	buf_done(&a);
	buf_done(&b);
	return 0;
}
