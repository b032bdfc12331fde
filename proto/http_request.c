/* SPDX-License-Identifier: MIT */
/*
 * Questions to a complete request: fields, query, cookies, the WebSocket handshake.
 * Values are taken apart by http_field.c.
 */
#include "proto/http.h"
#include "proto/http_field.h"

static const char *const method_names[HTTP_METHOD_COUNT] = {
	[HTTP_GET] = "GET",	[HTTP_HEAD] = "HEAD",	  [HTTP_POST] = "POST",
	[HTTP_PUT] = "PUT",	[HTTP_PATCH] = "PATCH",	  [HTTP_DELETE] = "DELETE",
	[HTTP_OPTIONS] = "OPTIONS",
};

const char *http_method_name(enum http_method m)
{
	return (unsigned)m < HTTP_METHOD_COUNT ? method_names[m] : "";
}

/* The next field of that name from *POS on, or NULL. */
static const struct http_field *next_field(const struct http_request *r, const char *name,
					   size_t *pos)
{
	while (*pos < r->nfields) {
		const struct http_field *f = &r->fields[(*pos)++];

		if (str_ieq(f->name, str_of(name)))
			return f;
	}
	return NULL;
}

struct str http_header(const struct http_request *r, const char *name)
{
	size_t pos = 0;
	const struct http_field *f = next_field(r, name, &pos);

	return f ? f->value : (struct str){0};
}

size_t http_header_count(const struct http_request *r, const char *name)
{
	size_t pos = 0, n = 0;

	while (next_field(r, name, &pos))
		n++;
	return n;
}

bool http_header_has(const struct http_request *r, const char *name, const char *token)
{
	const struct http_field *f;
	size_t pos = 0;

	while ((f = next_field(r, name, &pos))) {
		size_t at = 0;
		struct str item;

		while (http_list_next(f->value, &at, &item))
			if (str_ieq(item, str_of(token)))
				return true;
	}
	return false;
}

bool http_header_join(const struct http_request *r, const char *name, struct buf *b)
{
	const struct http_field *f;
	size_t pos = 0, n = 0;

	while ((f = next_field(r, name, &pos))) {
		if (n++)
			buf_add_cstr(b, ", ");
		buf_add_str(b, f->value);
	}
	return n > 0;
}

int http_query_get(const struct http_request *r, const char *name, struct buf *ret)
{
	return http_form_get(r->query, name, ret);
}

static struct str unquote(struct str s)
{
	if (s.len >= 2 && s.p[0] == '"' && s.p[s.len - 1] == '"')
		return (struct str){s.p + 1, s.len - 2};
	return s;
}

/* Counts *NTH down by those that come before. */
static struct str cookie_in(struct str value, struct str name, size_t *nth)
{
	size_t i = 0;

	while (i < value.len) {
		size_t start, end;

		while (i < value.len && (value.p[i] == ' ' || value.p[i] == ';'))
			i++;
		for (start = end = i; end < value.len && value.p[end] != ';'; end++)
			;
		i = end;
		while (end > start && value.p[end - 1] == ' ')
			end--;
		if (end - start > name.len && value.p[start + name.len] == '=' &&
		    str_eq((struct str){value.p + start, name.len}, name) && (*nth)-- == 0)
			return unquote((struct str){value.p + start + name.len + 1,
						    end - start - name.len - 1});
	}
	return (struct str){0};
}

struct str http_cookie(const struct http_request *r, const char *name, size_t nth)
{
	const struct http_field *f;
	struct str found = {0};
	size_t pos = 0;

	while (!found.p && (f = next_field(r, "cookie", &pos)))
		found = cookie_in(f->value, str_of(name), &nth);
	return found;
}

int http_websocket(const struct http_request *r, struct str *ret_key)
{
	struct str key;

	if (!http_header_has(r, "upgrade", "websocket"))
		return -ERR_NOENT;
	if (r->method != HTTP_GET || r->minor < 1 || r->body.len ||
	    !http_header_has(r, "connection", "upgrade") ||
	    http_header_count(r, "sec-websocket-version") > 1)
		return -ERR_INVAL;
	if (!str_eq(http_header(r, "sec-websocket-version"), STR("13")))
		return -ERR_UNSUPPORTED;
	key = http_header(r, "sec-websocket-key");
	if (http_header_count(r, "sec-websocket-key") != 1)
		return -ERR_INVAL;
	*ret_key = key;
	return 0;
}
