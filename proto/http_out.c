/* SPDX-License-Identifier: MIT */
/*
 * Heads of responses.
 * Bodies, files and the connection are worker's.
 */
#include "proto/http.h"

const char *http_status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} table[] = {
		{100, "Continue"},
		{101, "Switching Protocols"},
		{200, "OK"},
		{201, "Created"},
		{202, "Accepted"},
		{204, "No Content"},
		{206, "Partial Content"},
		{301, "Moved Permanently"},
		{302, "Found"},
		{303, "See Other"},
		{304, "Not Modified"},
		{307, "Temporary Redirect"},
		{308, "Permanent Redirect"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{406, "Not Acceptable"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{410, "Gone"},
		{411, "Length Required"},
		{412, "Precondition Failed"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{416, "Range Not Satisfiable"},
		{417, "Expectation Failed"},
		{422, "Unprocessable Content"},
		{426, "Upgrade Required"},
		{428, "Precondition Required"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].status == status)
			return table[i].text;
	return "Unknown";
}

void http_add_head(struct buf *b, const struct http_head *h)
{
	buf_printf(b, "HTTP/1.1 %d %s\r\n", h->status, http_status_text(h->status));
	if (h->date)
		http_add_field(b, "Date", str_of(h->date));
	if (h->type)
		http_add_field(b, "Content-Type", str_of(h->type));
	if (h->length >= 0)
		buf_printf(b, "Content-Length: %" PRId64 "\r\n", h->length);
	if (h->status >= 200 && !h->keep_alive)
		buf_add_cstr(b, "Connection: close\r\n");
	else if (h->status >= 200 && h->minor == 0)
		buf_add_cstr(b, "Connection: keep-alive\r\n");
	buf_add_str(b, h->fields);
	buf_add_cstr(b, "\r\n");
}

void http_add_field(struct buf *b, const char *name, struct str value)
{
	buf_add_cstr(b, name);
	buf_add_cstr(b, ": ");
	for (size_t i = 0; i < value.len; i++) {
		uint8_t c = (uint8_t)value.p[i];

		buf_add_char(b, (c < 0x20 && c != '\t') || c == 0x7f ? ' ' : (char)c);
	}
	buf_add_cstr(b, "\r\n");
}
