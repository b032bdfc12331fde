/* SPDX-License-Identifier: MIT */
/*
 * A second reader of the head beside llhttp: finds its end, its lines and the length of its target.
 * It refuses what llhttp tolerates, and counts byte by byte, so that limits do not depend on how
 * the bytes were cut. Everything else about syntax is llhttp's.
 */
#include "proto/http.h"
#include "proto/http_priv.h"

/* Counts the target: what stands between the first and the second run of blanks. */
static enum proto_error scan_request_line(struct http_scan *s, uint8_t c, size_t target_max)
{
	if (c == ' ')
		s->blanks += s->blanks == 0 || (s->blanks == 1 && s->target_len);
	else if (s->blanks == 1 && ++s->target_len > target_max)
		return E_URI_TOO_LONG;
	return E_NONE;
}

/* RFC 9112 section 2.2: lines end in CRLF, and both bytes stand nowhere else. */
static enum proto_error scan_in_line(struct http_scan *s, uint8_t c, size_t target_max)
{
	if (c == '\n')
		return E_BAD_REQUEST;
	if (c == '\r')
		s->state = HTTP_SCAN_LINE_CR;
	else if (!s->fields)
		return scan_request_line(s, c, target_max);
	return E_NONE;
}

/* Section 5.2: a line that starts with a blank would continue the one before. */
static enum proto_error scan_line_start(struct http_scan *s, uint8_t c, unsigned fields_max)
{
	if (c == '\n' || c == ' ' || c == '\t')
		return E_BAD_REQUEST;
	s->state = c == '\r' ? HTTP_SCAN_EMPTY_CR : HTTP_SCAN_IN_LINE;
	if (c == '\r')
		return E_NONE;
	return ++s->fields > fields_max ? E_HEADER_TOO_LARGE : E_NONE;
}

static enum proto_error scan_byte(struct http_scan *s, const struct http_limits *lim, uint8_t c)
{
	switch (s->state) {
	case HTTP_SCAN_START:
		s->state = c == '\r' ? HTTP_SCAN_START_CR : HTTP_SCAN_IN_LINE;
		return c == '\n' ? E_BAD_REQUEST : E_NONE;
	case HTTP_SCAN_START_CR:
		s->state = HTTP_SCAN_START;
		return c == '\n' ? E_NONE : E_BAD_REQUEST;
	case HTTP_SCAN_LINE_CR:
		s->state = HTTP_SCAN_LINE_START;
		return c == '\n' ? E_NONE : E_BAD_REQUEST;
	case HTTP_SCAN_EMPTY_CR:
		s->state = HTTP_SCAN_END;
		return c == '\n' ? E_NONE : E_BAD_REQUEST;
	case HTTP_SCAN_LINE_START:
		return scan_line_start(s, c, lim->fields_max);
	default:
		return scan_in_line(s, c, lim->target_max);
	}
}

size_t http_scan(struct http_scan *s, const struct http_limits *lim, const uint8_t *p, size_t len,
		 enum proto_error *ret_error)
{
	*ret_error = E_NONE;
	for (size_t i = 0; i < len; i++) {
		*ret_error = scan_byte(s, lim, p[i]);
		if (*ret_error)
			return i;
		if (s->state == HTTP_SCAN_END)
			return i + 1;
	}
	return len;
}
