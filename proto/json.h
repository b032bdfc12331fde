/* SPDX-License-Identifier: MIT */
/*
 * JSON (RFC 8259): a strict reader with typed access and a writer into a struct buf.
 * The parser behind it is jansson, which nobody else in the tree sees.
 */
#ifndef PROTO_JSON_H
#define PROTO_JSON_H

#include "base/base.h"
#include "base/buf.h"
#include "proto/errors.h"

/* Reading -------------------------------------------------------------------- */

struct json_doc;   /* opaque: owns every value and string of one text */
struct json_value; /* opaque: borrowed from its document */

enum json_kind {
	JSON_KIND_NULL,
	JSON_KIND_BOOL,
	JSON_KIND_INT,
	JSON_KIND_REAL,
	JSON_KIND_STRING,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT,
};

/*
 * Parses one JSON text. Refused with -ERR_INVAL: bad syntax, duplicate keys, U+0000, invalid UTF-8,
 * lone surrogates, numbers beyond int64_t or double, nesting over DEPTH_MAX (found before anything
 * is parsed). *RET_FAULT (may be NULL) then tells what; its kind is FAULT_VALUE for what JSON
 * itself would allow, else FAULT_OTHER.
 */
int json_parse(struct str text, uint32_t depth_max, struct json_doc **ret,
	       struct fault *ret_fault) MUST_CHECK;
void json_doc_free(struct json_doc **doc); /* NULL allowed; clears the pointer */
const struct json_value *json_root(const struct json_doc *doc);

/* Whether json_parse would take it. */
bool json_check(struct str text, uint32_t depth_max);

enum json_kind json_kind_of(const struct json_value *v);

/*
 * The member of an object, or NULL when absent or when V is no object. A member that is null counts
 * as absent.
 */
const struct json_value *json_get(const struct json_value *v, const char *key);

size_t json_count(const struct json_value *v); /* elements of an array; 0 for anything else */
size_t json_members(const struct json_value *v); /* members of an object; 0 for anything else */
const struct json_value *json_at(const struct json_value *v, size_t i); /* NULL behind the end */

/*
 * The members of an object one after the other: start with *POS 0; false after the last, and for
 * anything that is no object. Members that are null come too.
 */
bool json_next(const struct json_value *v, size_t *pos, struct str *ret_key,
	       const struct json_value **ret_member);

bool json_to_str(const struct json_value *v, struct str *ret);
bool json_to_i64(const struct json_value *v, int64_t *ret);

/*
 * Puts S, valid UTF-8, in the place of the text of V, a string, and returns it as its document
 * keeps it. What was read of V before is gone.
 */
struct str json_set_str(const struct json_value *v, struct str s);
bool json_to_bool(const struct json_value *v, bool *ret);

/*
 * Typed members. All return 0; -ERR_NOENT when the member is absent or null and not REQUIRED (*RET
 * is left alone); -ERR_INVAL with *RET_FAULT naming KEY (static) otherwise.
 */
struct json_str_rule {
	uint32_t min, max; /* code points */
	bool required;
};
int json_get_str(const struct json_value *v, const char *key, const struct json_str_rule *rule,
		 struct str *ret, struct fault *ret_fault) MUST_CHECK;

struct json_int_rule {
	int64_t min, max;
	bool required;
	bool or_text; /* a string of decimal digits is taken as well (ids) */
};
int json_get_i64(const struct json_value *v, const char *key, const struct json_int_rule *rule,
		 int64_t *ret, struct fault *ret_fault) MUST_CHECK;
int json_get_bool(const struct json_value *v, const char *key, bool required, bool *ret,
		  struct fault *ret_fault) MUST_CHECK;

/* Writing -------------------------------------------------------------------- */

/*
 * Commas come by themselves: json_add_key and json_add_sep look at the last byte of B and put a ','
 * unless it is '{', '[', ',' or ':'. So an object is: buf_add_char(b, '{'); json_add_key(...); ...;
 * buf_add_char(b, '}').
 */
void json_add_sep(struct buf *b);
void json_add_key(struct buf *b, const char *key); /* KEY needs no escapes */
void json_add_str(struct buf *b, struct str s);	   /* quoted and escaped; S valid UTF-8 */

/* A string or number as read, as JSON text again; nothing for any other kind. */
void json_add_scalar(struct buf *b, const struct json_value *v);

/*
 * Any value as JSON text again, members in the order that they had. Calls itself as deep as the
 * text was nested.
 */
void json_add_value(struct buf *b, const struct json_value *v);

void json_add_key_str(struct buf *b, const char *key, struct str s);
void json_add_key_cstr(struct buf *b, const char *key, const char *s); /* NULL: null */
void json_add_key_i64(struct buf *b, const char *key, int64_t v);
void json_add_key_bool(struct buf *b, const char *key, bool v);
void json_add_key_null(struct buf *b, const char *key);
void json_add_key_raw(struct buf *b, const char *key, struct str json); /* JSON text as it is */
/* Milliseconds printed as seconds: 1200 is 1.2. */
void json_add_key_ms(struct buf *b, const char *key, int64_t ms);
/* RFC 3339 in UTC with milliseconds. */
void json_add_key_time(struct buf *b, const char *key, int64_t wall_ms);

#endif
