/* SPDX-License-Identifier: MIT */
/*
 * Addresses and networks: from text, from sockets, to text, compared.
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static struct addr from_v4(const void *four)
{
	struct addr a;

	memcpy(a.b, mapped, sizeof(mapped));
	memcpy(a.b + sizeof(mapped), four, 4);
	return a;
}

int addr_parse(struct str text, struct addr *ret)
{
	char copy[ADDR_TEXT_MAX];
	struct in_addr v4;
	struct in6_addr v6;

	if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.p, '\0', text.len))
		return -ERR_INVAL;
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	if (inet_pton(AF_INET, copy, &v4) == 1) {
		*ret = from_v4(&v4);
		return 0;
	}
	if (inet_pton(AF_INET6, copy, &v6) != 1)
		return -ERR_INVAL;
	memcpy(ret->b, &v6, sizeof(ret->b));
	return 0;
}

struct addr addr_of(const struct sockaddr *sa)
{
	struct addr a = {{0}};

	if (sa->sa_family == AF_INET)
		return from_v4(&((const struct sockaddr_in *)(const void *)sa)->sin_addr);
	if (sa->sa_family == AF_INET6)
		memcpy(a.b, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr,
		       sizeof(a.b));
	return a;
}

void addr_format(const struct addr *a, char ret[ADDR_TEXT_MAX])
{
	bool is_v4 = addr_is_v4(a);

	if (addr_is_zero(a) || !inet_ntop(is_v4 ? AF_INET : AF_INET6, a->b + (is_v4 ? 12 : 0),
					  ret, ADDR_TEXT_MAX))
		memcpy(ret, "-", 2);
}

bool addr_is_zero(const struct addr *a)
{
	static const struct addr zero;

	return addr_eq(a, &zero);
}

bool addr_is_v4(const struct addr *a)
{
	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

bool addr_is_loopback(const struct addr *a)
{
	static const struct addr six = {{[15] = 1}};

	return addr_is_v4(a) ? a->b[12] == 127 : addr_eq(a, &six);
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/* Clears what is behind the first BITS. */
static void cut(struct addr *a, unsigned bits)
{
	unsigned whole = bits / 8;

	if (whole >= ADDR_LEN)
		return;
	a->b[whole] &= (uint8_t)(0xff00u >> bits % 8);
	memset(a->b + whole + 1, 0, ADDR_LEN - whole - 1);
}

struct addr addr_site(const struct addr *a)
{
	struct addr site = *a;

	if (!addr_is_v4(a))
		cut(&site, 64);
	return site;
}

int addr_net_parse(struct str text, struct addr_net *ret)
{
	const char *slash = text.len ? memchr(text.p, '/', text.len) : NULL;
	struct str head = {text.p, slash ? (size_t)(slash - text.p) : text.len};
	struct addr_net net = {.bits = 128};
	struct addr whole;
	int64_t bits, skipped;

	if (addr_parse(head, &net.addr) < 0)
		return -ERR_INVAL;
	if (slash) {
		/* in the mapped form the prefix counts from the front of all 16 bytes */
		skipped = memchr(head.p, ':', head.len) ? 0 : 96;
		if (slash[1] == '-' || text.len - head.len > 4 ||
		    str_to_i64((struct str){slash + 1, text.len - head.len - 1}, &bits) < 0 ||
		    bits > 128 - skipped)
			return -ERR_INVAL;
		net.bits = (uint8_t)(bits + skipped);
	}
	whole = net.addr;
	cut(&net.addr, net.bits);
	if (!addr_eq(&whole, &net.addr))
		return -ERR_INVAL;
	*ret = net;
	return 0;
}

bool addr_net_has(const struct addr_net *net, const struct addr *a)
{
	struct addr head = *a;

	cut(&head, net->bits);
	return addr_eq(&head, &net->addr);
}
