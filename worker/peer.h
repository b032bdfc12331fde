/* SPDX-License-Identifier: MIT */
/*
 * Whom a connection belongs to: the address of the client and whether it came over TLS, by the
 * socket, by the PROXY protocol and by forwarding fields; the latter two are believed of the
 * proxies in http.trusted_proxies alone.
 * Decoding is proto/proxy.h's and proto/forwarded.h's.
 *
 * conn.link is who is connected to us (behind the PROXY protocol, whom the proxy names), conn.addr
 * the client: of the hops that forwarding fields tell, the last one that is not a listed proxy.
 */
#ifndef WORKER_PEER_H
#define WORKER_PEER_H

#include <sys/socket.h>

#include "base/addr.h"
#include "base/base.h"

struct conn;
struct http_request;
struct worker;

/* Reads http.trusted_proxies anew: at start and after settings changed. */
void peer_reload(struct worker *wk);
void peer_close(struct worker *wk);

/* A connection was accepted from SA (of the listener's family; unnamed for a UNIX socket). */
void peer_accepted(struct conn *c, const struct sockaddr *sa);

/*
 * The connection must begin with a header of the PROXY protocol, which has not come yet:
 * conn.awaits_proxy. Takes it from the front of DATA and returns the bytes that it had; 0 while
 * more are needed. What is no such header ends the connection.
 */
size_t peer_input(struct conn *c, const uint8_t *data, size_t len);

/* Sets the client of the request that C has got: each may come from another one. */
void peer_request(struct conn *c, const struct http_request *req);

/* The client's address as text, for the log. */
void peer_format(const struct conn *c, char ret[ADDR_TEXT_MAX]);

/* How a cookie that stands for a login may go to this client. */
enum peer_cookie {
	PEER_COOKIE_SECURE, /* with Secure: the client speaks TLS */
	PEER_COOKIE_PLAIN,  /* without: development, this host, or http.plain_cookies */
	PEER_COOKIE_NONE,   /* not at all: anybody on the way could read it */
};
enum peer_cookie peer_cookie(const struct conn *c);

#endif
