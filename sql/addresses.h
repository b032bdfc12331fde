/* SPDX-License-Identifier: MIT */
/*
 * Where logins come from, by what the database kept. Synchronous: for the check of the
 * configuration, never for a worker. What is made of it is the caller's.
 */
#ifndef SQL_ADDRESSES_H
#define SQL_ADDRESSES_H

#include "base/addr.h"
#include "base/base.h"

struct addresses_seen {
	int64_t logins, users; /* of the last day */
	char only[ADDR_TEXT_MAX]; /* the one address all came from if it is private, else empty */
};

/*
 * Looks at the logins of the last day. Private is what no client on the internet has: this host,
 * RFC 1918, RFC 6598, RFC 4193 and link-local addresses. Returns 0; -ERR_UNAVAILABLE when it
 * cannot connect, -ERR_DB when the schema is not there.
 */
int addresses_look(const char *url, struct addresses_seen *ret) MUST_CHECK;

#endif
