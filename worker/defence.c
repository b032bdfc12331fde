/* SPDX-License-Identifier: MIT */
/*
 * Security fields of HTTP answers: content policy, framing, isolation, referrer, transport.
 */
#include "worker/defence.h"

#include "proto/http.h"
#include "worker/conn.h"

/*
 * Referrers stay on this site, so that forms of the page keep a true Origin (the Fetch standard
 * makes it "null" under no-referrer); X-Frame-Options is for browsers that do not know
 * frame-ancestors.
 */
#define COMMON                                                                                     \
	"X-Content-Type-Options: nosniff\r\n"                                                      \
	"X-Frame-Options: DENY\r\n"                                                                \
	"Referrer-Policy: same-origin\r\n"                                                         \
	"Cross-Origin-Resource-Policy: same-origin\r\n"

/* Types that a browser shows as a document, in which scripts could run. */
static bool is_document(const char *type)
{
	return type && (strncmp(type, "text/html", 9) == 0 || strcmp(type, "image/svg+xml") == 0);
}

/* Letters, digits and what addresses and ports need: nothing that could end a directive. */
static bool is_plain(struct str host)
{
	for (size_t i = 0; i < host.len; i++)
		if (!(host.p[i] >= 'a' && host.p[i] <= 'z') &&
		    !(host.p[i] >= 'A' && host.p[i] <= 'Z') &&
		    !(host.p[i] >= '0' && host.p[i] <= '9') && !strchr(".-:[]", host.p[i]))
			return false;
	return host.len > 0;
}

/*
 * A page may load from here only, and nobody may frame it. Its own sockets are named with their
 * host, because browsers differ in whether 'self' is for them too.
 */
static void add_page_policy(struct buf *fields, const struct http_request *req)
{
	buf_add_cstr(fields, "Content-Security-Policy: default-src 'none'; script-src 'self'; "
			     "style-src 'self'; img-src 'self' data:; connect-src 'self'");
	if (req && is_plain(req->host))
		buf_printf(fields, " ws://%.*s wss://%.*s", (int)req->host.len, req->host.p,
			   (int)req->host.len, req->host.p);
	buf_add_cstr(fields, "; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
			     "frame-ancestors 'none'\r\n"
			     "Cross-Origin-Opener-Policy: same-origin\r\n"
			     "Permissions-Policy: camera=(), geolocation=(), microphone=(), "
			     "payment=(), usb=()\r\n");
}

void defence_add_fields(struct buf *fields, const struct conn *c, const struct http_request *req,
			const char *type)
{
	int64_t hsts_s = conn_worker(c)->settings->http_hsts / 1000;

	buf_add_cstr(fields, COMMON);
	if (is_document(type))
		add_page_policy(fields, req);
	else if (type) /* a 304 would change the policy of the page that the browser keeps */
		buf_add_cstr(fields, "Content-Security-Policy: default-src 'none'; "
				     "frame-ancestors 'none'; sandbox\r\n");
	if (hsts_s && c->is_tls) /* RFC 6797 section 7.2: only where TLS was spoken */
		buf_printf(fields, "Strict-Transport-Security: max-age=%" PRId64 "\r\n", hsts_s);
}
