/* SPDX-License-Identifier: MIT */
/*
 * Requests of HTTP/1.1, incrementally: limits, the rules against smuggling, the finished request.
 * Syntax is llhttp's (http_machine.c) and http_scan.c's, the target http_target.c's.
 */
#include "proto/http.h"

#include "proto/http_field.h"
#include "proto/http_priv.h"

#define FIELDS_DEFAULT 100

/* A chunk of one byte costs six: more than this factor is no honest chunking. */
#define CHUNK_OVERHEAD 8

struct span {
	size_t off, len;
};

struct field_span {
	struct span name, value;
};

struct http_in {
	struct http_machine *machine; /* owned */
	struct http_limits lim;
	enum http_phase phase;
	struct http_scan scan;
	struct buf text;	     /* method, target, names and values, one after the other */
	struct buf path, body;
	struct span method, target;
	struct field_span *spans;    /* owned, fields_max long */
	struct http_field *fields;   /* owned, same length: the views that callers see */
	size_t nfields;
	bool name_is_open;	     /* the next piece of a name continues the last field's */
	bool head_is_over;	     /* fields that still come are trailers */
	bool continue_is_asked;
	size_t head_bytes, body_raw; /* consumed, framing included */
	size_t body_raw_max;
	bool is_refused;
	struct fault fault;
	struct http_request req;
};

static bool refuse(struct http_in *in, enum proto_error e)
{
	if (!in->is_refused)
		fault_set(&in->fault, e);
	in->is_refused = true;
	in->phase = HTTP_PHASE_DONE;
	return false;
}

static void extend(struct http_in *in, struct span *s, const char *p, size_t len)
{
	if (!s->len)
		s->off = in->text.len;
	buf_add(&in->text, p, len);
	s->len += len;
}

static bool take_name(struct http_in *in, const char *p, size_t len)
{
	if (!in->name_is_open) {
		if (in->nfields == in->lim.fields_max)
			return refuse(in, E_HEADER_TOO_LARGE);
		in->spans[in->nfields++] = (struct field_span){0};
		in->name_is_open = true;
	}
	extend(in, &in->spans[in->nfields - 1].name, p, len);
	return true;
}

static bool take_target(struct http_in *in, const char *p, size_t len)
{
	if (in->target.len + len > in->lim.target_max)
		return refuse(in, E_URI_TOO_LONG);
	extend(in, &in->target, p, len);
	return true;
}

static bool take_body(struct http_in *in, const char *p, size_t len)
{
	if (in->body.len + len > in->lim.body_max)
		return refuse(in, E_TOO_LARGE);
	buf_add(&in->body, p, len);
	return true;
}

static bool on_token(void *arg, enum http_token token, const char *p, size_t len)
{
	struct http_in *in = arg;

	if (token == HTTP_TOKEN_BODY)
		return take_body(in, p, len);
	if (in->head_is_over)
		return true; /* trailers are read and dropped */
	switch (token) {
	case HTTP_TOKEN_METHOD:
		extend(in, &in->method, p, len);
		return true;
	case HTTP_TOKEN_TARGET:
		return take_target(in, p, len);
	case HTTP_TOKEN_NAME:
		return take_name(in, p, len);
	case HTTP_TOKEN_NAME_END:
		in->name_is_open = false;
		return true;
	case HTTP_TOKEN_VALUE:
		extend(in, &in->spans[in->nfields - 1].value, p, len);
		return true;
	default:
		return true;
	}
}

static struct str view(const struct http_in *in, struct span s)
{
	return s.len ? (struct str){(const char *)in->text.p + s.off, s.len} : STR("");
}

static struct str trim_blanks(struct str s)
{
	while (s.len && (s.p[0] == ' ' || s.p[0] == '\t'))
		s.p++, s.len--;
	while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static enum http_method method_of(struct str name)
{
	for (int m = 0; m < HTTP_METHOD_COUNT; m++)
		if (str_eq(str_of(http_method_name(m)), name))
			return m;
	return HTTP_OTHER;
}

/* The text buffer has its final place now: views into it may be made. */
static void build_request(struct http_in *in, const struct http_head_facts *facts)
{
	struct http_request *r = &in->req;

	for (size_t i = 0; i < in->nfields; i++) {
		in->fields[i].name = view(in, in->spans[i].name);
		in->fields[i].value = trim_blanks(view(in, in->spans[i].value));
	}
	*r = (struct http_request){
		.method_name = view(in, in->method),
		.target = view(in, in->target),
		.minor = facts->minor,
		.fields = in->fields,
		.nfields = in->nfields,
		.upgrade = facts->upgrade,
	};
	r->method = method_of(r->method_name);
	r->keep_alive = facts->minor ? !http_header_has(r, "connection", "close")
				     : http_header_has(r, "connection", "keep-alive") &&
					       !http_header_has(r, "connection", "close");
	r->expect_continue = facts->minor && str_ieq(http_header(r, "expect"), STR("100-continue"));
}

/* RFC 9110 sections 5.1 and 5.5: names are tokens, values have no control characters but tab. */
static bool is_sound(const struct http_field *f)
{
	for (size_t i = 0; i < f->name.len; i++)
		if (!http_is_tchar(f->name.p[i]))
			return false;
	for (size_t i = 0; i < f->value.len; i++) {
		uint8_t c = (uint8_t)f->value.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return f->name.len > 0;
}

static bool check_fields(struct http_in *in)
{
	for (size_t i = 0; i < in->nfields; i++)
		if (!is_sound(&in->fields[i]))
			return refuse(in, E_BAD_REQUEST);
	return true;
}

/* RFC 9112 section 3.2: one Host field in 1.1, at most one in 1.0; an absolute target wins. */
static bool check_target(struct http_in *in)
{
	struct http_request *r = &in->req;
	size_t hosts = http_header_count(r, "host");
	struct http_target t;

	if (hosts > 1 || (r->minor && !hosts))
		return refuse(in, E_BAD_REQUEST);
	r->host = http_header(r, "host");
	if (hosts && !http_host_valid(r->host))
		return refuse(in, E_BAD_REQUEST);
	if (str_eq(r->method_name, STR("CONNECT")))
		return refuse(in, E_NOT_IMPLEMENTED);
	if (http_target_parse(r->target, r->method == HTTP_OPTIONS, &in->path, &t) < 0)
		return refuse(in, E_BAD_REQUEST);
	r->path = buf_str(&in->path);
	r->query = t.query;
	if (t.host.p)
		r->host = t.host;
	return true;
}

/*
 * RFC 9112 section 6: how the body is delimited, and everything that two parsers could see
 * differently.
 */
static bool check_framing(struct http_in *in, const struct http_head_facts *facts)
{
	const struct http_request *r = &in->req;
	size_t codings = http_header_count(r, "transfer-encoding");

	if (http_header_count(r, "content-length") + codings > 1 || (codings && !r->minor))
		return refuse(in, E_BAD_REQUEST);
	if (codings && !str_ieq(http_header(r, "transfer-encoding"), STR("chunked")))
		return refuse(in, E_NOT_IMPLEMENTED);
	if (in->lim.large_path && str_eq(r->path, str_of(in->lim.large_path)))
		in->lim.body_max = in->lim.large_max;
	if (facts->has_length && facts->length > in->lim.body_max)
		return refuse(in, E_TOO_LARGE);
	in->body_raw_max = codings ? CHUNK_OVERHEAD * in->lim.body_max + in->lim.header_max
				   : in->lim.body_max;
	return true;
}

static bool on_head(void *arg, const struct http_head_facts *facts)
{
	struct http_in *in = arg;

	in->head_is_over = true;
	if (facts->major != 1 || facts->minor > 1)
		return refuse(in, E_VERSION_NOT_SUPPORTED);
	build_request(in, facts);
	if (!check_fields(in) || !check_target(in) || !check_framing(in, facts))
		return false;
	in->phase = HTTP_PHASE_BODY;
	return true;
}

struct http_in *http_in_new(const struct http_limits *lim)
{
	static const struct http_sink sink = {on_token, on_head};
	struct http_in *in = xcalloc(1, sizeof(*in));

	in->lim = *lim;
	if (!in->lim.fields_max)
		in->lim.fields_max = FIELDS_DEFAULT;
	/* not cleared: of both only what NFIELDS counts is ever looked at */
	in->spans = xmalloc(in->lim.fields_max * sizeof(*in->spans));
	in->fields = xmalloc(in->lim.fields_max * sizeof(*in->fields));
	in->machine = http_machine_new(&sink, in);
	return in;
}

void http_in_free(struct http_in **in)
{
	struct http_in *i = *in;

	if (!i)
		return;
	http_machine_free(&i->machine);
	buf_done(&i->text);
	buf_done(&i->path);
	buf_done(&i->body);
	free(i->spans);
	free(i->fields);
	free(i);
	*in = NULL;
}

void http_next(struct http_in *in)
{
	http_machine_reset(in->machine);
	buf_done(&in->text);
	buf_done(&in->path);
	buf_done(&in->body);
	in->phase = HTTP_PHASE_IDLE;
	in->scan = (struct http_scan){0};
	in->method = in->target = (struct span){0};
	in->nfields = 0;
	in->name_is_open = in->head_is_over = in->continue_is_asked = in->is_refused = false;
	in->head_bytes = in->body_raw = in->body_raw_max = 0;
	in->req = (struct http_request){0};
}

/* Gives bytes to the machine. True while the request is neither complete nor refused. */
static bool feed(struct http_in *in, const uint8_t *p, size_t len, size_t *ret_used)
{
	enum proto_error e = E_BAD_REQUEST;
	int r;

	*ret_used = len;
	if (!len)
		return true;
	r = http_machine_feed(in->machine, p, len, ret_used, &e);
	if (r == -ERR_AGAIN)
		return true;
	if (r == 0) {
		in->req.body = in->body.len ? buf_str(&in->body) : STR("");
		in->phase = HTTP_PHASE_DONE;
		return false;
	}
	return refuse(in, e);
}

static size_t feed_head(struct http_in *in, const uint8_t *p, size_t len)
{
	size_t room = in->lim.header_max - in->head_bytes, n, used;
	enum proto_error e;

	if (!room) {
		refuse(in, in->scan.fields ? E_HEADER_TOO_LARGE : E_URI_TOO_LONG);
		return 0;
	}
	n = http_scan(&in->scan, &in->lim, p, MIN(len, room), &e);
	in->head_bytes += n;
	if (!feed(in, p, n, &used))
		return used;
	if (e)
		refuse(in, e);
	/* the two readers of the head must agree on its end */
	else if ((in->scan.state == HTTP_SCAN_END) != in->head_is_over)
		refuse(in, E_BAD_REQUEST);
	return used;
}

static size_t feed_body(struct http_in *in, const uint8_t *p, size_t len)
{
	size_t n = MIN(len, in->body_raw_max - in->body_raw), used;

	if (!n) {
		refuse(in, E_TOO_LARGE);
		return 0;
	}
	feed(in, p, n, &used);
	in->body_raw += used;
	return used;
}

int http_feed(struct http_in *in, const uint8_t *data, size_t len, size_t *ret_used)
{
	size_t pos = 0;

	if (len && in->phase == HTTP_PHASE_IDLE)
		in->phase = HTTP_PHASE_HEAD;
	while (pos < len && in->phase != HTTP_PHASE_DONE)
		pos += in->phase == HTTP_PHASE_HEAD ? feed_head(in, data + pos, len - pos)
						    : feed_body(in, data + pos, len - pos);
	*ret_used = in->is_refused ? len : pos;
	if (in->is_refused)
		return -ERR_PROTO;
	return in->phase == HTTP_PHASE_DONE ? 0 : -ERR_AGAIN;
}

const struct http_request *http_request(const struct http_in *in)
{
	return in->phase == HTTP_PHASE_DONE && !in->is_refused ? &in->req : NULL;
}

const struct fault *http_fault(const struct http_in *in)
{
	return in->is_refused ? &in->fault : NULL;
}

enum http_phase http_phase(const struct http_in *in)
{
	return in->phase;
}

bool http_wants_continue(struct http_in *in)
{
	if (in->phase != HTTP_PHASE_BODY || !in->req.expect_continue || in->body_raw ||
	    in->continue_is_asked)
		return false;
	in->continue_is_asked = true;
	return true;
}
