/* SPDX-License-Identifier: MIT */
/*
 * llhttp wrapped: one request's bytes to tokens, its errors to ours.
 * The rules beyond syntax are http.c's.
 */
#include <llhttp.h>

#include "proto/http_priv.h"

struct http_machine {
	llhttp_t parser;
	llhttp_settings_t settings;
	struct http_sink sink;
	void *arg; /* not owned */
	unsigned version_len; /* bytes of "1.1" seen */
	bool is_complete;
};

static int give(llhttp_t *p, enum http_token token, const char *at, size_t len)
{
	struct http_machine *m = p->data;

	return m->sink.token(m->arg, token, at, len) ? 0 : HPE_USER;
}

static int on_method(llhttp_t *p, const char *at, size_t len)
{
	return give(p, HTTP_TOKEN_METHOD, at, len);
}

static int on_url(llhttp_t *p, const char *at, size_t len)
{
	return give(p, HTTP_TOKEN_TARGET, at, len);
}

static int on_version(llhttp_t *p, const char *at, size_t len)
{
	struct http_machine *m = p->data;

	(void)at;
	m->version_len += len;
	return 0;
}

static int on_header_field(llhttp_t *p, const char *at, size_t len)
{
	return give(p, HTTP_TOKEN_NAME, at, len);
}

static int on_header_field_complete(llhttp_t *p)
{
	return give(p, HTTP_TOKEN_NAME_END, NULL, 0);
}

static int on_header_value(llhttp_t *p, const char *at, size_t len)
{
	return give(p, HTTP_TOKEN_VALUE, at, len);
}

static int on_body(llhttp_t *p, const char *at, size_t len)
{
	return give(p, HTTP_TOKEN_BODY, at, len);
}

static int on_headers_complete(llhttp_t *p)
{
	struct http_machine *m = p->data;
	struct http_head_facts facts = {
		.major = p->http_major,
		.minor = p->http_minor,
		.chunked = p->flags & F_CHUNKED,
		.has_length = p->flags & F_CONTENT_LENGTH,
		.upgrade = p->upgrade,
		.length = p->content_length,
	};

	return m->sink.head(m->arg, &facts) ? 0 : -1;
}

/* Stops behind the request: what follows belongs to the next one or to another protocol. */
static int on_message_complete(llhttp_t *p)
{
	struct http_machine *m = p->data;

	m->is_complete = true;
	return HPE_PAUSED;
}

struct http_machine *http_machine_new(const struct http_sink *sink, void *arg)
{
	struct http_machine *m = xcalloc(1, sizeof(*m));

	m->sink = *sink;
	m->arg = arg;
	llhttp_settings_init(&m->settings);
	m->settings.on_method = on_method;
	m->settings.on_url = on_url;
	m->settings.on_version = on_version;
	m->settings.on_header_field = on_header_field;
	m->settings.on_header_field_complete = on_header_field_complete;
	m->settings.on_header_value = on_header_value;
	m->settings.on_headers_complete = on_headers_complete;
	m->settings.on_body = on_body;
	m->settings.on_message_complete = on_message_complete;
	http_machine_reset(m);
	return m;
}

void http_machine_free(struct http_machine **m)
{
	free(*m);
	*m = NULL;
}

/* A fresh parser for each request: nothing of one can colour the next. */
void http_machine_reset(struct http_machine *m)
{
	llhttp_init(&m->parser, HTTP_REQUEST, &m->settings);
	m->parser.data = m;
	m->version_len = 0;
	m->is_complete = false;
}

/*
 * A method that is a token but known to nobody is 501, a version in digits 505; anything else at
 * that place is no HTTP at all. Only the byte that failed is looked at: the next ones may not be
 * here yet.
 */
static enum proto_error error_of(const struct http_machine *m, llhttp_errno_t e, const char *end)
{
	const char *pos = llhttp_get_error_pos(&m->parser);
	char c = pos && pos < end ? *pos : '\0';

	if (e == HPE_INVALID_METHOD)
		return http_is_tchar(c) ? E_NOT_IMPLEMENTED : E_BAD_REQUEST;
	if (e == HPE_INVALID_VERSION)
		return m->version_len == strlen("1.1") ? E_VERSION_NOT_SUPPORTED : E_BAD_REQUEST;
	return E_BAD_REQUEST;
}

int http_machine_feed(struct http_machine *m, const uint8_t *p, size_t len, size_t *ret_used,
		      enum proto_error *ret_error)
{
	const char *at = (const char *)p;
	llhttp_errno_t e = llhttp_execute(&m->parser, at, len);

	if (m->is_complete) {
		*ret_used = (size_t)(llhttp_get_error_pos(&m->parser) - at);
		return 0;
	}
	if (e == HPE_OK) {
		*ret_used = len;
		return -ERR_AGAIN;
	}
	if (e == HPE_USER || e == HPE_CB_HEADERS_COMPLETE)
		return -ERR_DENIED;
	*ret_error = error_of(m, e, at + len);
	return -ERR_PROTO;
}
