/* SPDX-License-Identifier: MIT */
/*
 * Internet addresses and networks as values: 16 bytes, IPv4 in its mapped form (RFC 4291 section
 * 2.5.5.2). Opens no socket and asks no resolver.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include "base/base.h"

struct sockaddr;

#define ADDR_LEN 16
#define ADDR_TEXT_MAX 46 /* with the NUL: INET6_ADDRSTRLEN */

/* All zero: no address. */
struct addr {
	uint8_t b[ADDR_LEN];
};

/* A network: the first BITS of its address, 0 to 128. */
struct addr_net {
	struct addr addr;
	uint8_t bits;
};

/*
 * An address without port, zone or brackets, in IPv4 or IPv6 notation. Returns 0 or -ERR_INVAL.
 */
int addr_parse(struct str text, struct addr *ret) MUST_CHECK;

/* The address of a socket; all zero when it is of another family than IPv4 and IPv6. */
struct addr addr_of(const struct sockaddr *sa);

/* The usual notation, IPv4 dotted; "-" for no address. */
void addr_format(const struct addr *a, char ret[ADDR_TEXT_MAX]);

bool addr_is_zero(const struct addr *a);
bool addr_is_v4(const struct addr *a);
bool addr_is_loopback(const struct addr *a); /* 127.0.0.0/8, ::1 */
bool addr_eq(const struct addr *a, const struct addr *b);

/*
 * The part of an address that stands for one customer: all of an IPv4 address, the /64 of an IPv6
 * address, within which a host may choose freely.
 */
struct addr addr_site(const struct addr *a);

/* "ADDRESS" or "ADDRESS/BITS"; bits behind the prefix must be 0. Returns 0 or -ERR_INVAL. */
int addr_net_parse(struct str text, struct addr_net *ret) MUST_CHECK;

bool addr_net_has(const struct addr_net *net, const struct addr *a);

#endif
