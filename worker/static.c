/* SPDX-License-Identifier: MIT */
/*
 * Picks the form and the part of a file that a request asks for.
 * The files are in memory already (site.c); security fields come with every answer (call.c).
 */
#include "worker/static.h"

#include "proto/http_field.h"
#include "worker/call.h"
#include "worker/routes.h"

static bool accepts_gzip(const struct http_request *req)
{
	return http_encoding_quality(http_header(req, "Accept-Encoding"), "gzip") > 0;
}

/*
 * Ranges are cut from the plain form only: few ask for both, and its numbers mean what people
 * think.
 */
static const struct variant *choose(const struct asset *a, const struct http_request *req)
{
	if (a->gzip.bytes && accepts_gzip(req) && !http_header(req, "Range").p)
		return &a->gzip;
	return &a->plain;
}

/* True when the client holds this form already (RFC 9110 section 13.2.2, steps 3 and 4). */
static bool is_unchanged(const struct asset *a, const struct variant *v,
			 const struct http_request *req)
{
	struct str since = http_header(req, "If-Modified-Since");
	struct buf list = BUF_INIT;
	int64_t seconds;
	bool has;

	if (http_header_join(req, "If-None-Match", &list)) {
		has = http_etag_match(buf_str(&list), str_of(v->etag), true);
		buf_done(&list);
		return has;
	}
	return since.p && http_date_parse(since, &seconds) == 0 && a->modified <= seconds;
}

/* If-Range: the range is wanted only of the form that the client has a part of (section 13.1.5). */
static bool range_applies(const struct asset *a, const struct variant *v,
			  const struct http_request *req)
{
	struct str if_range = http_header(req, "If-Range");
	int64_t seconds;

	if (req->method != HTTP_GET || !http_header(req, "Range").p)
		return false;
	if (!if_range.p)
		return true;
	if (if_range.len && (if_range.p[0] == '"' || if_range.p[0] == 'W'))
		return http_etag_match(if_range, str_of(v->etag), false);
	return http_date_parse(if_range, &seconds) == 0 && seconds == a->modified;
}

/* Links with the present hash may be kept for good: another content has another link. */
static bool is_versioned(const struct asset *a, const struct http_request *req)
{
	struct buf v = BUF_INIT;
	bool same;

	same = http_query_get(req, "v", &v) == 0 && str_eq(buf_str(&v), str_of(a->version));
	buf_done(&v);
	return same;
}

static const char *lifetime(const struct asset *a, const struct http_request *req)
{
	if (a->is_html)
		return "no-cache";
	if (is_versioned(a, req))
		return "public, max-age=31536000, immutable";
	return "public, max-age=3600, must-revalidate";
}

static void cut_range(const struct variant *v, const struct http_request *req,
		      struct static_answer *ret)
{
	uint64_t first, last;

	switch (http_range(http_header(req, "Range"), v->len, &first, &last)) {
	case 0:
		ret->status = 206;
		ret->body = (struct str){(const char *)v->bytes + first, last - first + 1};
		buf_printf(&ret->fields,
			   "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%zu\r\n", first, last,
			   v->len);
		break;
	case -ERR_INVAL:
		ret->status = 416;
		ret->type = NULL;
		ret->body = STR("");
		buf_clear(&ret->fields); /* an error is neither this file nor to be kept */
		buf_printf(&ret->fields, "Accept-Ranges: bytes\r\nContent-Range: bytes */%zu\r\n",
			   v->len);
		break;
	default: /* not a range that we serve: the whole file */
		break;
	}
}

void static_decide(const struct asset *a, const struct http_request *req, struct static_answer *ret)
{
	const struct variant *v = choose(a, req);

	*ret = (struct static_answer){
		.status = 200,
		.type = a->type,
		.body = {(const char *)v->bytes, v->len},
	};
	buf_printf(&ret->fields, "ETag: %s\r\nLast-Modified: %s\r\nCache-Control: %s\r\n", v->etag,
		   a->last_modified, lifetime(a, req));
	if (a->gzip.bytes)
		buf_add_cstr(&ret->fields, "Vary: Accept-Encoding\r\n");
	if (is_unchanged(a, v, req)) {
		ret->status = 304;
		ret->type = NULL;
		ret->body = STR("");
	} else {
		buf_add_cstr(&ret->fields, "Accept-Ranges: bytes\r\n");
		if (v == &a->gzip)
			buf_add_cstr(&ret->fields, "Content-Encoding: gzip\r\n");
		else if (range_applies(a, v, req))
			cut_range(v, req, ret);
	}
	buf_add_char(&ret->fields, '\0');
}

void static_page(struct call *call)
{
	const struct asset *a = site_find(call->wk->site, call->req->path);
	struct static_answer answer;
	struct fault fault;

	if (!a) {
		call_error(call, E_NOT_FOUND, NULL);
		return;
	}
	static_decide(a, call->req, &answer);
	if (answer.status == 416) {
		fault_set(&fault, E_RANGE_NOT_SATISFIABLE);
		call_fault(call, &fault, (char *)answer.fields.p);
		buf_done(&answer.fields);
		return;
	}
	call_answer(call, answer.status, answer.type, (char *)answer.fields.p, answer.body);
	buf_done(&answer.fields);
}
