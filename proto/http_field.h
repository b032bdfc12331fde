/* SPDX-License-Identifier: MIT */
/*
 * Values of HTTP header fields and of form data: pure parsing of one string.
 * Finding the field is http.h's, acting on it is worker's.
 */
#ifndef PROTO_HTTP_FIELD_H
#define PROTO_HTTP_FIELD_H

#include "base/base.h"
#include "base/buf.h"

/*
 * Walks a comma-separated list (RFC 9110 section 5.6.1): *POS starts at 0; false at the end. Quoted
 * strings are kept whole, empty elements skipped, blanks trimmed.
 */
bool http_list_next(struct str value, size_t *pos, struct str *ret_item);

/*
 * The byte range to send of a file of SIZE bytes (RFC 9110 section 14.2). Returns 0 with first and
 * last byte; -ERR_NOENT: answer with the whole file (another unit, bad syntax, more than one
 * range); -ERR_INVAL: 416.
 */
int http_range(struct str value, uint64_t size, uint64_t *ret_first, uint64_t *ret_last) MUST_CHECK;

/*
 * True when the list of If-None-Match or If-Match has ETAG, or is "*" (RFC 9110 section 13.1). ETAG
 * is in its wire form with quotes. WEAK: compare weakly (If-None-Match); else strongly (If-Match,
 * If-Range).
 */
bool http_etag_match(struct str list, struct str etag, bool weak);

/*
 * Quality 0..1000 that Accept-Encoding gives to CODING ("gzip", "br"); the value of "*" when it is
 * not named, 0 without either. p NULL (no field): 0, because identity is always good enough.
 */
int http_encoding_quality(struct str accept, const char *coding);

/* Quality 0..1000 that Accept gives to "type/subtype"; 1000 when there is no field. */
int http_type_quality(struct str accept, const char *type);

/*
 * True when Content-Type names TYPE in any case, whatever its parameters, except a charset other
 * than UTF-8.
 */
bool http_is_type(struct str content_type, const char *type);

/* Longest IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT". */
#define HTTP_DATE_LEN 29

/* Seconds since 1970 to IMF-fixdate and a NUL; years 1 to 9999. */
void http_date_format(int64_t seconds, char ret[HTTP_DATE_LEN + 1]);

/* Reads the three forms of RFC 9110 section 5.6.7. Returns 0 or -ERR_INVAL. */
int http_date_parse(struct str value, int64_t *ret_seconds) MUST_CHECK;

/* Appends S with everything but RFC 3986's unreserved characters escaped. */
void http_add_escaped(struct buf *b, struct str s);

/*
 * Decodes percent escapes, and '+' as blank when PLUS. Appends; returns 0, or -ERR_INVAL as
 * http_query_get.
 */
int http_unescape(struct str s, bool plus, struct buf *b) MUST_CHECK;

/*
 * The first field NAME of application/x-www-form-urlencoded text, decoded and appended. Returns as
 * http_query_get.
 */
int http_form_get(struct str form, const char *name, struct buf *ret) MUST_CHECK;

#endif
