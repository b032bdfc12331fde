/* SPDX-License-Identifier: MIT */
/*
 * Which web origins may do what: same-origin checks, the list http.origins, CORS fields.
 * Requests that carry no Origin do not come from a page of another site, unless they say so, and
 * pass.
 */
#ifndef WORKER_ORIGIN_H
#define WORKER_ORIGIN_H

#include "base/base.h"
#include "base/buf.h"
#include "base/settings.h"
#include "proto/http.h"

/*
 * True without an Origin field, unless Sec-Fetch-Site is cross-site; when Origin's host and port
 * are the request's own (RFC 6454 section 5; the scheme is not compared because a proxy may end
 * TLS); or when http.origins lists it or has "*".
 */
bool origin_is_allowed(const struct settings *s, const struct http_request *req);

/*
 * Whether REQ may act with a cookie that came with it (cross-site request forgery, cross-site
 * hijacking of sockets). True when the browser says that a page of this very origin asks, or the
 * person himself (Fetch Metadata, Sec-Fetch-Site same-origin or none), when Origin is the request's
 * own, when http.origins names it ("*" names nobody), and for clients that send none of these
 * fields and no foreign Referer, which are no browsers of today.
 */
bool origin_allows_cookie(const struct settings *s, const struct http_request *req);

/*
 * Header lines for an answer to REQ: Access-Control-Allow-Origin for an origin that http.origins
 * allows, with Vary. NULL when the list is empty or the request has no Origin and the answer
 * does not depend on it. Owned by the caller.
 */
char *origin_cors(const struct settings *s, const struct http_request *req);

/*
 * Appends the fields that answer a preflight (Fetch standard, "CORS-preflight fetch") when REQ is
 * one from a listed origin; ALLOW has the path's methods.
 */
void origin_add_preflight(const struct settings *s, const struct http_request *req,
			  const char *allow, struct buf *fields);

#endif
