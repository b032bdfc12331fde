/* SPDX-License-Identifier: MIT */
/*
 * Which offer of permessage-deflate is accepted, and how that is said (RFC 7692 section 7.1). What
 * compresses is ws_deflate.c's.
 */
#include "proto/http_field.h"
#include "proto/http_priv.h"
#include "proto/ws_deflate.h"

#define NAME "permessage-deflate"
#define VALUE_MAX 2 /* digits of a window */

enum param {
	SERVER_NO_TAKEOVER,
	CLIENT_NO_TAKEOVER,
	SERVER_BITS,
	CLIENT_BITS,
	PARAM_COUNT,
};

static const char *const params[PARAM_COUNT] = {
	[SERVER_NO_TAKEOVER] = "server_no_context_takeover",
	[CLIENT_NO_TAKEOVER] = "client_no_context_takeover",
	[SERVER_BITS] = "server_max_window_bits",
	[CLIENT_BITS] = "client_max_window_bits",
};

/* A value, its quotes and escapes taken off. */
struct value {
	bool is_there;
	char text[VALUE_MAX];
	size_t len; /* may be more than TEXT has, which is none of ours then */
};

/* ---- The list's grammar (RFC 6455 section 9.1) ---- */

static void skip(struct str *s, size_t n)
{
	*s = (struct str){s->p + n, s->len - n};
}

static void skip_blanks(struct str *s)
{
	while (s->len && (s->p[0] == ' ' || s->p[0] == '\t'))
		skip(s, 1);
}

/* Takes CHAR and the blanks around it. */
static bool take_char(struct str *s, char c)
{
	skip_blanks(s);
	if (!s->len || s->p[0] != c)
		return false;
	skip(s, 1);
	skip_blanks(s);
	return true;
}

static bool take_token(struct str *s, struct str *ret)
{
	size_t n = 0;

	while (n < s->len && http_is_tchar(s->p[n]))
		n++;
	*ret = (struct str){s->p, n};
	skip(s, n);
	return n > 0;
}

static void value_add(struct value *v, char c)
{
	if (v->len < VALUE_MAX)
		v->text[v->len] = c;
	v->len++;
}

/* What stands between the quotes must be a token all the same. */
static bool take_quoted(struct str *s, struct value *v)
{
	skip(s, 1);
	while (s->len && s->p[0] != '"') {
		if (s->p[0] == '\\')
			skip(s, 1);
		if (!s->len || !http_is_tchar(s->p[0]))
			return false;
		value_add(v, s->p[0]);
		skip(s, 1);
	}
	if (!s->len || !v->len)
		return false;
	skip(s, 1);
	return true;
}

static bool take_value(struct str *s, struct value *v)
{
	struct str token;

	*v = (struct value){0};
	if (!take_char(s, '='))
		return true;
	v->is_there = true;
	if (s->len && s->p[0] == '"')
		return take_quoted(s, v);
	if (!take_token(s, &token))
		return false;
	for (size_t i = 0; i < token.len; i++)
		value_add(v, token.p[i]);
	return true;
}

/* ---- What parameters mean (RFC 7692 section 7.1) ---- */

/* Decimal, 8 to 15, without leading zeros; 0: anything else. */
static uint8_t bits_of(const struct value *v)
{
	int64_t n;

	if (v->len > VALUE_MAX || v->text[0] == '0' ||
	    str_to_i64((struct str){v->text, v->len}, &n) < 0 || n < 8 || n > 15)
		return 0;
	return (uint8_t)n;
}

static enum param param_of(struct str name)
{
	enum param p = 0;

	while (p < PARAM_COUNT && !str_eq(name, str_of(params[p])))
		p++;
	return p;
}

/* False: this offer cannot be accepted. */
static bool param_apply(struct ws_deflate *d, enum param p, const struct value *v)
{
	uint8_t bits = v->is_there ? bits_of(v) : 0;

	switch (p) {
	case SERVER_NO_TAKEOVER: /* what is done in any case */
	case CLIENT_NO_TAKEOVER:
		return !v->is_there;
	case SERVER_BITS:
		d->server_bits = bits;
		d->is_asked = true;
		return bits >= WS_DEFLATE_BITS_MIN;
	case CLIENT_BITS:
		d->client_bits = bits;
		return bits || !v->is_there;
	default:
		return false;
	}
}

/* One extension of the list. Returns 0, -ERR_NOENT when it is not acceptable or -ERR_INVAL. */
static int offer_read(struct str s, struct ws_deflate *ret)
{
	struct ws_deflate d = {.server_bits = WS_DEFLATE_BITS_MAX};
	bool is_good, is_seen[PARAM_COUNT + 1] = {false};
	struct str name;

	if (!take_token(&s, &name))
		return -ERR_INVAL;
	is_good = str_eq(name, STR(NAME));
	while (take_char(&s, ';')) {
		struct value v;
		enum param p;

		if (!take_token(&s, &name) || !take_value(&s, &v))
			return -ERR_INVAL;
		p = param_of(name);
		is_good = is_good && !is_seen[p] && param_apply(&d, p, &v);
		is_seen[p] = true;
	}
	if (s.len)
		return -ERR_INVAL;
	if (is_good)
		*ret = d;
	return is_good ? 0 : -ERR_NOENT;
}

int ws_deflate_negotiate(struct str offers, struct ws_deflate *ret)
{
	struct ws_deflate d, best;
	size_t pos = 0;
	bool is_found = false;
	struct str item;

	while (http_list_next(offers, &pos, &item)) {
		int r = offer_read(item, &d);

		if (r == -ERR_INVAL)
			return r;
		if (r == 0 && !is_found)
			best = d;
		is_found |= r == 0;
	}
	if (is_found)
		*ret = best;
	return is_found ? 0 : -ERR_NOENT;
}

void ws_deflate_add_answer(struct buf *b, const struct ws_deflate *d)
{
	buf_printf(b, NAME "; %s; %s", params[SERVER_NO_TAKEOVER], params[CLIENT_NO_TAKEOVER]);
	if (d->is_asked)
		buf_printf(b, "; %s=%d", params[SERVER_BITS], d->server_bits);
	if (d->client_bits)
		buf_printf(b, "; %s=%d", params[CLIENT_BITS], d->client_bits);
}
