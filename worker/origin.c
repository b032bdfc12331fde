/* SPDX-License-Identifier: MIT */
/*
 * Decides about the Origin of a request: own, listed or foreign.
 * Refusing is left to whoever asks.
 */
#include "worker/origin.h"

static bool has_item(const struct settings *s, struct str origin)
{
	struct str item;
	size_t pos = 0;

	while (settings_list_next(s->http_origins, &pos, &item))
		if (str_ieq(item, origin))
			return true;
	return false;
}

/* By its name, which "*" is not, and neither is what sandboxed pages call themselves. */
static bool is_named(const struct settings *s, struct str origin)
{
	return !str_eq(origin, STR("*")) && !str_eq(origin, STR("null")) && has_item(s, origin);
}

static bool is_listed(const struct settings *s, struct str origin)
{
	return has_item(s, STR("*")) || is_named(s, origin);
}

static struct str without_suffix(struct str s, struct str suffix)
{
	if (s.len > suffix.len &&
	    memcmp(s.p + s.len - suffix.len, suffix.p, suffix.len) == 0)
		s.len -= suffix.len;
	return s;
}

/* The default port may be written or left out on either side. */
static bool same_authority(struct str a, struct str b, struct str default_port)
{
	return str_ieq(without_suffix(a, default_port), without_suffix(b, default_port));
}

static bool has_prefix(struct str s, struct str prefix)
{
	return s.len > prefix.len && memcmp(s.p, prefix.p, prefix.len) == 0;
}

static struct str after(struct str s, struct str prefix)
{
	return (struct str){s.p + prefix.len, s.len - prefix.len};
}

static bool is_own(struct str origin, struct str host)
{
	if (!host.len)
		return false;
	if (has_prefix(origin, STR("http://")))
		return same_authority(after(origin, STR("http://")), host, STR(":80"));
	if (has_prefix(origin, STR("https://")))
		return same_authority(after(origin, STR("https://")), host, STR(":443"));
	return false;
}

bool origin_is_allowed(const struct settings *s, const struct http_request *req)
{
	struct str origin = http_header(req, "Origin");

	if (!origin.p)
		return !str_eq(http_header(req, "Sec-Fetch-Site"), STR("cross-site")) ||
		       has_item(s, STR("*"));
	return is_own(origin, req->host) || is_listed(s, origin);
}

/* The origin of a Referer: all in front of its path. */
static struct str referer_origin(struct str referer)
{
	const char *slashes = referer.len ? memmem(referer.p, referer.len, "://", 3) : NULL;
	size_t at = slashes ? (size_t)(slashes - referer.p) + 3 : referer.len;

	while (at < referer.len && !strchr("/?#", referer.p[at]))
		at++;
	return (struct str){referer.p, at};
}

bool origin_allows_cookie(const struct settings *s, const struct http_request *req)
{
	struct str origin = http_header(req, "Origin");
	struct str site = http_header(req, "Sec-Fetch-Site");
	struct str referer = http_header(req, "Referer");

	if (origin.p && is_named(s, origin))
		return true;
	if (site.p)
		return str_eq(site, STR("same-origin")) || str_eq(site, STR("none"));
	if (!origin.p && referer.p)
		origin = referer_origin(referer);
	return !origin.p || is_own(origin, req->host) || is_named(s, origin);
}

/*
 * The fields of our answers that a page of another origin may read, beside those that it always
 * may: all that mean something to a client. tests/lint compares them with what the sources send.
 */
static const char *const exposed[] = {
	"Age",
	"Allow",
	"ETag",
	"Location",
	"RateLimit-Limit",
	"RateLimit-Policy",
	"RateLimit-Remaining",
	"RateLimit-Reset",
	"Retry-After",
	"WWW-Authenticate",
	"X-Request-Id",
	"X-Roomd-Stale",
};

static void add_exposed(struct buf *b)
{
	for (size_t i = 0; i < ARRAY_LEN(exposed); i++)
		buf_printf(b, "%s%s", i ? ", " : "Access-Control-Expose-Headers: ", exposed[i]);
	buf_add_cstr(b, "\r\n");
}

char *origin_cors(const struct settings *s, const struct http_request *req)
{
	struct str origin = http_header(req, "Origin");
	struct buf b = BUF_INIT;

	if (!s->http_origins[0])
		return NULL;
	if (origin.p && is_listed(s, origin)) {
		http_add_field(&b, "Access-Control-Allow-Origin", origin);
		add_exposed(&b);
		if (is_named(s, origin))
			buf_add_cstr(&b, "Access-Control-Allow-Credentials: true\r\n");
	}
	buf_add_cstr(&b, "Vary: Origin\r\n");
	buf_add_char(&b, '\0');
	return (char *)b.p;
}

void origin_add_preflight(const struct settings *s, const struct http_request *req,
			  const char *allow, struct buf *fields)
{
	struct str origin = http_header(req, "Origin");

	if (!origin.p || !is_listed(s, origin) ||
	    !http_header(req, "Access-Control-Request-Method").p)
		return;
	buf_printf(fields,
		   "Access-Control-Allow-Methods: %s\r\n"
		   "Access-Control-Allow-Headers: Authorization, Content-Type, Idempotency-Key, "
		   "If-Match, Last-Event-ID\r\n"
		   "Access-Control-Max-Age: 600\r\n",
		   allow);
}
