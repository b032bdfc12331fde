/* SPDX-License-Identifier: MIT */
/*
 * Finds out who the client of a connection or of a request is. Everything here starts from the
 * socket's own address: only listed proxies are asked further.
 */
#include "worker/peer.h"

#include "base/log.h"
#include "base/settings.h"
#include "proto/http.h"
#include "proto/proxy.h"
#include "worker/conn.h"

/* Hops behind this one are not looked at: no real chain is as long. */
#define HOPS_MAX 32

/* The choices of http.forwarded and server.mode in the order of settings.def. */
enum { FORWARDED_AUTO, FORWARDED_X_FOR, FORWARDED_RFC, FORWARDED_OFF };
enum { MODE_PRODUCTION, MODE_DEVELOPMENT };

/* ---- Listed proxies ---- */

void peer_reload(struct worker *wk)
{
	const char *list = wk->settings->http_trusted_proxies;
	struct str item;
	size_t pos = 0;

	peer_close(wk);
	while (settings_list_next(list, &pos, &item)) {
		struct addr_net net;

		if (addr_net_parse(item, &net) < 0) /* the master has checked them */
			continue;
		wk->trusted = xrealloc(wk->trusted, (wk->n_trusted + 1) * sizeof(*wk->trusted));
		wk->trusted[wk->n_trusted++] = net;
	}
}

void peer_close(struct worker *wk)
{
	free(wk->trusted);
	wk->trusted = NULL;
	wk->n_trusted = 0;
}

static bool is_listed(const struct worker *wk, const struct addr *a)
{
	for (size_t i = 0; i < wk->n_trusted; i++)
		if (addr_net_has(&wk->trusted[i], a))
			return true;
	return false;
}

/* ---- Connections ---- */

void peer_accepted(struct conn *c, const struct sockaddr *sa)
{
	struct worker *wk = conn_worker(c);

	c->link = c->addr = addr_of(sa);
	c->awaits_proxy = wk->settings->http_proxy_protocol && !c->is_ops &&
			  is_listed(wk, &c->link);
}

/* A listed proxy that does not say whom it speaks for. */
static void refuse(struct conn *c)
{
	static struct log_rate rate;
	char text[ADDR_TEXT_MAX];
	const char *client = text;
	uint64_t suppressed;

	addr_format(&c->link, text);
	if (log_rate_pass(&rate, 60000, &suppressed))
		log_warn("a proxy sent no header of the PROXY protocol: closed",
			 LF_STR("client", client), LF_INT("suppressed", (int64_t)suppressed));
	worker_count(conn_worker(c), M_PROTOCOL_ERRORS, 1);
	conn_kill(c, CONN_END_LOST);
}

size_t peer_input(struct conn *c, const uint8_t *data, size_t len)
{
	struct proxy_header header;
	size_t used = 0;
	int r = proxy_decode(data, len, &used, &header);

	if (r == -ERR_AGAIN) {
		if (c->wait != WAIT_HEADER)
			conn_wait(c, WAIT_HEADER);
		return 0;
	}
	if (r < 0) {
		refuse(c);
		return len;
	}
	c->awaits_proxy = false;
	conn_wait(c, WAIT_KEEPALIVE);
	if (!header.is_local) {
		c->link = c->addr = header.client;
		c->is_tls = c->is_link_tls = header.is_tls;
	}
	return used;
}

/* ---- Requests ---- */

/* What forwarding fields say, from the nearest hop on. */
struct hops {
	struct forwarded_hop hop[HOPS_MAX]; /* a ring: the newest HOPS_MAX */
	size_t n;			    /* hops so far */
};

static void hops_add(struct hops *hops, struct forwarded_hop hop)
{
	hops->hop[hops->n++ % HOPS_MAX] = hop;
}

/* Plain addresses between commas: nothing is quoted, so that no quote can hide what follows. */
static void read_x_forwarded_for(struct str value, struct hops *hops)
{
	while (value.len) {
		const char *comma = memchr(value.p, ',', value.len);
		struct str item = {value.p, comma ? (size_t)(comma - value.p) : value.len};
		size_t skip = item.len + (comma != NULL);

		while (item.len && (item.p[0] == ' ' || item.p[0] == '\t')) {
			item.p++;
			item.len--;
		}
		while (item.len &&
		       (item.p[item.len - 1] == ' ' || item.p[item.len - 1] == '\t'))
			item.len--;
		if (item.len) /* RFC 9110 section 5.6.1.2: empty elements do not count */
			hops_add(hops, (struct forwarded_hop){.node = item});
		value = (struct str){value.p + skip, value.len - skip};
	}
}

static void read_forwarded(struct str value, struct hops *hops)
{
	struct forwarded_hop hop;
	size_t pos = 0;

	while (forwarded_next(value, &pos, &hop))
		hops_add(hops, hop);
}

/*
 * From the nearest hop outwards as long as listed proxies vouch for the next one. Returns the
 * scheme that was told for the hop it ends at; empty when none was.
 */
static struct str walk(struct conn *c, const struct hops *hops)
{
	const struct worker *wk = conn_worker(c);
	struct str proto = {"", 0};

	for (size_t i = 0; i < MIN(hops->n, HOPS_MAX); i++) {
		const struct forwarded_hop *hop = &hops->hop[(hops->n - 1 - i) % HOPS_MAX];

		if (!is_listed(wk, &c->addr) || forwarded_addr(hop->node, &c->addr) < 0)
			break;
		proto = hop->proto;
	}
	return proto;
}

/* The nearest proxy's word on the scheme: the last of X-Forwarded-Proto. */
static struct str last_item(struct str value)
{
	const char *comma = value.len ? memrchr(value.p, ',', value.len) : NULL;

	if (comma)
		value = (struct str){comma + 1, value.len - (size_t)(comma + 1 - value.p)};
	while (value.len && (value.p[0] == ' ' || value.p[0] == '\t')) {
		value.p++;
		value.len--;
	}
	return value;
}

/* Which field says it; the text is all fields of the name, in their order. */
static bool read_field(const struct http_request *req, const char *name, struct buf *text)
{
	buf_clear(text);
	return http_header_join(req, name, text);
}

static void believe(struct conn *c, const struct http_request *req)
{
	int64_t field = conn_worker(c)->settings->http_forwarded;
	struct hops hops = {.n = 0};
	struct buf text = BUF_INIT;
	struct str proto = {"", 0};

	if (field != FORWARDED_RFC && read_field(req, "X-Forwarded-For", &text)) {
		read_x_forwarded_for(buf_str(&text), &hops);
		(void)walk(c, &hops);
	} else if (field != FORWARDED_X_FOR && read_field(req, "Forwarded", &text)) {
		read_forwarded(buf_str(&text), &hops);
		proto = walk(c, &hops);
	}
	if (proto.len)
		c->is_tls = str_ieq(proto, STR("https"));
	else if (field != FORWARDED_RFC && read_field(req, "X-Forwarded-Proto", &text))
		c->is_tls = str_ieq(last_item(buf_str(&text)), STR("https"));
	buf_done(&text);
}

void peer_request(struct conn *c, const struct http_request *req)
{
	c->addr = c->link;
	c->is_tls = c->is_link_tls;
	if (conn_worker(c)->settings->http_forwarded != FORWARDED_OFF && !c->is_ops &&
	    is_listed(conn_worker(c), &c->link))
		believe(c, req);
}

void peer_format(const struct conn *c, char ret[ADDR_TEXT_MAX])
{
	addr_format(&c->addr, ret);
}

enum peer_cookie peer_cookie(const struct conn *c)
{
	const struct settings *s = conn_worker(c)->settings;

	if (c->is_tls)
		return PEER_COOKIE_SECURE;
	if (s->server_mode == MODE_DEVELOPMENT || s->http_plain_cookies ||
	    addr_is_loopback(&c->addr))
		return PEER_COOKIE_PLAIN;
	return PEER_COOKIE_NONE;
}
