/* SPDX-License-Identifier: MIT */
/*
 * Hops of requests as proxies write them into fields: nodes and the elements of Forwarded.
 * Which of the hops is the client is worker/peer's to say.
 */
#include "proto/http_field.h"
#include "proto/proxy.h"

/* Without the port behind the last colon; the brackets of IPv6 go too. */
static struct str without_port(struct str node)
{
	const char *bracket, *colon;

	if (node.len && node.p[0] == '[') {
		bracket = memchr(node.p, ']', node.len);
		if (!bracket)
			return (struct str){node.p, 0};
		if (bracket + 1 < node.p + node.len && bracket[1] != ':')
			return (struct str){node.p, 0};
		return (struct str){node.p + 1, (size_t)(bracket - node.p - 1)};
	}
	colon = node.len ? memchr(node.p, ':', node.len) : NULL;
	/* two colons: an IPv6 address without brackets, and then without a port */
	if (colon && !memchr(colon + 1, ':', (size_t)(node.p + node.len - colon - 1)))
		node.len = (size_t)(colon - node.p);
	return node;
}

int forwarded_addr(struct str node, struct addr *ret)
{
	struct addr a;

	if (addr_parse(without_port(node), &a) < 0 || addr_is_zero(&a))
		return -ERR_INVAL;
	*ret = a;
	return 0;
}

static struct str trimmed(struct str s)
{
	while (s.len && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* A value without its quotes; nodes and schemes have nothing in them that needs an escape. */
static struct str unquoted(struct str s)
{
	if (s.len < 2 || s.p[0] != '"' || s.p[s.len - 1] != '"')
		return s;
	s = (struct str){s.p + 1, s.len - 2};
	return s.len && memchr(s.p, '\\', s.len) ? (struct str){s.p, 0} : s;
}

static void take_pair(struct str pair, struct forwarded_hop *ret)
{
	const char *eq = pair.len ? memchr(pair.p, '=', pair.len) : NULL;
	struct str name, value;

	if (!eq)
		return;
	name = trimmed((struct str){pair.p, (size_t)(eq - pair.p)});
	value = unquoted(trimmed((struct str){eq + 1, pair.len - (size_t)(eq + 1 - pair.p)}));
	if (str_ieq(name, STR("for")))
		ret->node = value;
	else if (str_ieq(name, STR("proto")))
		ret->proto = value;
}

/*
 * Cuts off what is in front of the next semicolon outside of quotes. False when a quote stays open:
 * then a client's text may have swallowed what a proxy added, and none of it can be believed.
 */
static bool cut_pair(struct str *element, struct str *ret_pair)
{
	bool is_quoted = false;
	size_t n = 0;

	for (; n < element->len && (is_quoted || element->p[n] != ';'); n++) {
		if (element->p[n] == '"')
			is_quoted = !is_quoted;
		else if (is_quoted && element->p[n] == '\\' && n + 1 < element->len)
			n++;
	}
	*ret_pair = (struct str){element->p, n};
	n += n < element->len;
	*element = (struct str){element->p + n, element->len - n};
	return !is_quoted;
}

bool forwarded_next(struct str value, size_t *pos, struct forwarded_hop *ret)
{
	const struct forwarded_hop nothing = {{"", 0}, {"", 0}};
	struct str element, pair;

	if (!http_list_next(value, pos, &element))
		return false;
	*ret = nothing;
	while (element.len) {
		if (!cut_pair(&element, &pair)) {
			*ret = nothing;
			break;
		}
		take_pair(trimmed(pair), ret);
	}
	return true;
}
