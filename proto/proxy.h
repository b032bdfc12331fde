/* SPDX-License-Identifier: MIT */
/*
 * The PROXY protocol, versions 1 and 2 (the specification that HAProxy publishes), and the hops
 * that X-Forwarded-For and Forwarded (RFC 7239) list: pure decoding. Whose word is taken is
 * worker/peer's.
 */
#ifndef PROTO_PROXY_H
#define PROTO_PROXY_H

#include "base/addr.h"
#include "base/base.h"

/* Longest header of version 2 that is read: addresses and a certificate's names, with room. */
#define PROXY_HEADER_MAX 4096

struct proxy_header {
	bool is_local;	    /* says nothing of a client: a check of the proxy's own, or UNKNOWN */
	struct addr client; /* unless is_local */
	bool is_tls;	    /* version 2: the client speaks TLS with the proxy */
};

/*
 * Reads the header at the front of DATA. Returns 0 with the bytes it takes; -ERR_AGAIN when it is
 * not complete; -ERR_PROTO when it is none, is malformed, has a bad checksum or is too long.
 */
int proxy_decode(const uint8_t *data, size_t len, size_t *ret_used,
		 struct proxy_header *ret) MUST_CHECK;

/* One hop of a forwarding field. */
struct forwarded_hop {
	struct str node;  /* who sent it, as written and without quotes; empty when not said */
	struct str proto; /* "http", "https"; empty when not said */
};

/*
 * The address of a node: IPv4 or IPv6, with or without port, IPv6 with or without brackets. Returns
 * 0, or -ERR_INVAL for anything else ("unknown", "_hidden").
 */
int forwarded_addr(struct str node, struct addr *ret) MUST_CHECK;

/*
 * Walks the elements of a Forwarded field (several fields joined by commas), first to last: *POS
 * starts at 0; false at the end. What cannot be read of an element is empty in *RET.
 */
bool forwarded_next(struct str value, size_t *pos, struct forwarded_hop *ret);

#endif
