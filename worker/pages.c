/* SPDX-License-Identifier: MIT */
/*
 * What pages share. Their words stand in web/pages; what is wrong with a form, in page_forms.c.
 */
#include "worker/pages.h"

#include "proto/http_field.h"
#include "worker/authn.h"
#include "worker/cookie.h"
#include "worker/origin.h"
#include "worker/routes.h"
#include "worker/site.h"

#define HTML_TYPE "text/html; charset=utf-8"

static const struct {
	const char *where, *text;
} notices[NOTICE_COUNT] = {
	[NOTICE_NONE] = {"/", NULL},
	[NOTICE_EXPIRED] = {"/?notice=expired", "Your session has ended. Say your name to go on."},
	[NOTICE_CLOSED] = {"/?notice=closed", "The room that you were in is closed."},
};

struct str pages_notice_text(const struct http_request *req)
{
	struct buf b = BUF_INIT;
	struct str text = {NULL, 0};

	if (http_query_get(req, "notice", &b) == 0)
		for (int i = NOTICE_NONE + 1; i < NOTICE_COUNT; i++)
			if (str_eq(buf_str(&b), str_of(strchr(notices[i].where, '=') + 1)))
				text = str_of(notices[i].text);
	buf_done(&b);
	return text;
}

bool pages_fill(const struct call *call, struct buf *b, const char *name,
	       const struct html_value *values, size_t n)
{
	struct str template = site_template(call->wk->site, name);

	if (!template.p)
		return false;
	html_fill(b, template, values, n);
	return true;
}

void pages_answer(struct call *call, int status, const char *name, const struct html_value *values,
		 size_t n)
{
	char fields[128] = "Cache-Control: no-store\r\n";
	struct buf html = BUF_INIT;
	int64_t retry_ms = call->limit.retry_ms;

	if ((status == 429 || status == 503) && !retry_ms)
		retry_ms = worker_retry_ms(call->wk);
	if (status == 429 || status == 503)
		snprintf(fields, sizeof(fields),
			 "Cache-Control: no-store\r\nRetry-After: %" PRId64 "\r\n",
			 (retry_ms + 999) / 1000);
	if (pages_fill(call, &html, name, values, n))
		call_answer(call, status, HTML_TYPE, fields, buf_str(&html));
	else
		call_error(call, E_NOT_FOUND, NULL);
	buf_done(&html);
}

void pages_redirect(struct call *call, int status, const char *where)
{
	char fields[128];

	snprintf(fields, sizeof(fields), "Location: %s\r\nCache-Control: no-store\r\n", where);
	call_answer(call, status, NULL, fields, STR(""));
}

void pages_go_home(struct call *call, enum page_notice notice)
{
	pages_redirect(call, 302, notices[notice].where);
}

bool pages_needs_room(struct call *call)
{
	bool has_cookie = http_cookie(call->req, COOKIE_FIELD, 0).p != NULL;

	if (call->who.user && call->who.room)
		return true;
	if (call->who.user || !has_cookie) {
		pages_go_home(call, NOTICE_NONE);
		return false;
	}
	authn_clear_cookie(call);
	pages_go_home(call, NOTICE_EXPIRED);
	return false;
}

void pages_set_room(struct call *call, int64_t room)
{
	call->who.room = room;
	authn_set_cookie(call, &call->who);
}

bool pages_is_own_form(struct call *call)
{
	if (origin_allows_cookie(call->wk->settings, call->req))
		return true;
	call_error(call, E_BAD_ORIGIN, NULL);
	return false;
}

struct buf pages_field(const struct call *call, const char *name, bool *ret_is_good)
{
	struct buf b = BUF_INIT;

	*ret_is_good = http_form_get(call->req->body, name, &b) != -ERR_INVAL;
	return b;
}

int pages_status(enum proto_error error)
{
	int status = error_info(error)->http_status;

	return status == 409 || status == 422 ? 400 : status;
}

enum proto_error pages_db_error(int err)
{
	switch (err) {
	case -ERR_UNAVAILABLE:
	case -ERR_FULL:
	case -ERR_TIMEOUT:
		return E_UNAVAILABLE;
	case -ERR_NOENT:
		return E_NO_SUCH_ROOM;
	default:
		return E_INTERNAL;
	}
}

void pages_add_notice(const struct call *call, struct buf *b, const char *kind, struct str text)
{
	const struct html_value values[] = {{"kind", str_of(kind), false}, {"text", text, false}};

	if (text.len)
		pages_fill(call, b, "notice.html", values, ARRAY_LEN(values));
}
