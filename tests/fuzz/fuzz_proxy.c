/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: what proxies write of clients. An even first byte: the rest is the start of a
 * connection, cut at every place; an odd one: a value of Forwarded.
 */
#include "fuzz.h"
#include "proto/proxy.h"

/* A header is complete at one length only, and says the same whatever follows it. */
static void check_header(const uint8_t *data, size_t size)
{
	struct proxy_header h = {0}, again;
	size_t used = 0, used_again;
	int r = proxy_decode(data, size, &used, &h);

	MUST(r == 0 || r == -ERR_AGAIN || r == -ERR_PROTO);
	if (r < 0) {
		MUST(used == 0);
		MUST(r != -ERR_AGAIN || size < PROXY_HEADER_MAX);
	} else {
		MUST(used > 0 && used <= size && used <= PROXY_HEADER_MAX);
		MUST(h.is_local == addr_is_zero(&h.client));
		MUST(proxy_decode(data, used, &used_again, &again) == 0 && used_again == used);
		MUST(addr_eq(&h.client, &again.client) && h.is_tls == again.is_tls);
	}
	for (size_t n = 0; n < MIN(size, 300); n++) {
		int early = proxy_decode(data, n, &used_again, &again);

		MUST(early == -ERR_AGAIN || (r == 0 ? early == 0 && n >= used : early == r));
	}
}

static bool is_inside(struct str part, struct str whole)
{
	return part.len == 0 || (part.p >= whole.p && part.p + part.len <= whole.p + whole.len);
}

/* Hops lie in the value; an address among them is one in its usual notation too. */
static void check_hops(struct str value)
{
	struct forwarded_hop hop;
	struct addr a, same;
	char text[ADDR_TEXT_MAX];
	size_t pos = 0, before = 0;

	while (forwarded_next(value, &pos, &hop)) {
		MUST(pos > before && pos <= value.len);
		before = pos;
		MUST(is_inside(hop.node, value) && is_inside(hop.proto, value));
		if (forwarded_addr(hop.node, &a) < 0)
			continue;
		addr_format(&a, text);
		MUST(addr_parse(str_of(text), &same) == 0 && addr_eq(&a, &same));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	if (data[0] % 2 == 0)
		check_header(data + 1, size - 1);
	else
		check_hops((struct str){(const char *)data + 1, size - 1});
	return 0;
}
