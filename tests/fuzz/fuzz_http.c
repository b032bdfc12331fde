/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: requests on one connection. The first byte seeds the cuts, the rest is the wire.
 * However the wire is cut, the same requests and the same refusal must come out.
 */
#include "fuzz.h"
#include "proto/http.h"
#include "proto/http_field.h"
#include "proto/utf8.h"
#include "proto/ws.h"

static const struct http_limits limits = {
    .header_max = 1024, .target_max = 256, .body_max = 512, .fields_max = 20};

/* Every parser of values is tried on every value. */
static void check_value(struct str v)
{
	struct buf b = BUF_INIT, back = BUF_INIT;
	struct str item;
	uint64_t first, last;
	size_t pos = 0;
	int64_t t;

	while (http_list_next(v, &pos, &item))
		MUST(item.len > 0 && item.p >= v.p && item.p + item.len <= v.p + v.len);
	if (http_range(v, 1000, &first, &last) == 0)
		MUST(first <= last && last < 1000);
	http_etag_match(v, STR("\"abc\""), true);
	MUST(http_encoding_quality(v, "gzip") <= 1000);
	MUST(http_type_quality(v, "text/html") <= 1000);
	http_is_type(v, "application/json");
	if (http_date_parse(v, &t) == 0) {
		char text[HTTP_DATE_LEN + 1];

		http_date_format(t, text);
	}
	http_add_escaped(&b, v);
	if (!memchr(v.p, '\0', v.len) && utf8_valid(v.p, v.len)) {
		MUST(http_unescape(buf_str(&b), false, &back) == 0);
		MUST(str_eq(buf_str(&back), v));
	}
	buf_done(&b);
	buf_done(&back);
}

static void check_request(const struct http_request *r)
{
	char accept[WS_ACCEPT_LEN + 1];
	struct buf b = BUF_INIT;
	struct str key;

	MUST(r->path.len && (r->path.p[0] == '/' || str_eq(r->path, STR("*"))));
	MUST(utf8_valid(r->path.p, r->path.len) && !memchr(r->path.p, '\0', r->path.len));
	MUST(!memmem(r->path.p, r->path.len, "/../", 4) &&
	     !memmem(r->path.p, r->path.len, "/./", 3));
	MUST(!r->minor || r->host.len);
	MUST(r->body.len <= limits.body_max && r->target.len <= limits.target_max);
	MUST(r->nfields <= limits.fields_max);
	for (size_t i = 0; i < r->nfields; i++) {
		MUST(r->fields[i].name.len &&
		     !memchr(r->fields[i].value.p, '\r', r->fields[i].value.len));
		if (r->fields[i].value.len)
			check_value(r->fields[i].value);
	}
	if (http_query_get(r, "q", &b) == 0)
		MUST(utf8_valid(b.p ? (const char *)b.p : "", b.len));
	http_cookie(r, "session", 0);
	http_header_join(r, "accept", &b);
	if (http_websocket(r, &key) == 0 && ws_accept_key(key, accept) == 0)
		MUST(strlen(accept) == WS_ACCEPT_LEN);
	buf_done(&b);
}

static void note(const struct http_request *r, struct buf *log)
{
	buf_add_str(log, r->method_name);
	buf_add_char(log, ' ');
	buf_add_str(log, r->path);
	buf_add_char(log, '?');
	buf_add_str(log, r->query);
	buf_add_char(log, '@');
	buf_add_str(log, r->host);
	buf_printf(log, " %d %zu %d%d%d ", r->minor, r->nfields, r->keep_alive, r->upgrade,
		   r->expect_continue);
	buf_add_str(log, r->body);
	buf_add_char(log, '\n');
}

static void run(const uint8_t *data, size_t size, struct cutter *cut, struct buf *log)
{
	struct http_in *in = http_in_new(&limits);
	size_t at = 0, end = 0, used;
	int r = -ERR_AGAIN;

	while (at < size && r != -ERR_PROTO) {
		if (at == end)
			end += cutter_next(cut, size - at);
		r = http_feed(in, data + at, end - at, &used);
		MUST(used <= end - at && (r != -ERR_AGAIN || used == end - at));
		at += used;
		http_wants_continue(in);
		if (r)
			continue;
		check_request(http_request(in));
		note(http_request(in), log);
		if (http_request(in)->upgrade)
			break;
		http_next(in);
	}
	if (r == -ERR_PROTO)
		buf_printf(log, "refused %d", http_fault(in)->error);
	else
		buf_printf(log, "rest %zu phase %d", size - at, http_phase(in));
	http_in_free(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT, cut = BUF_INIT;
	struct cutter cutter;

	if (size < 2)
		return 0;
	cutter.state = data[0];
	run(data + 1, size - 1, NULL, &whole);
	run(data + 1, size - 1, &cutter, &cut);
	MUST(str_eq(buf_str(&whole), buf_str(&cut)));
	buf_done(&whole);
	buf_done(&cut);
	return 0;
}
