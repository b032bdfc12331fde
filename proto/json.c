/* SPDX-License-Identifier: MIT */
/*
 * Reading JSON through jansson: strict parsing, bounded depth, typed members with faults that name
 * them. Writing is json_out.c's, what a document means is the dialects'.
 */
#include "proto/json.h"

#include <jansson.h>

#include "proto/utf8.h"

struct json_doc {
	json_t *root; /* owned reference */
};

static const json_t *peek(const struct json_value *v)
{
	return (const json_t *)v;
}

static const struct json_value *wrap(const json_t *j)
{
	return (const struct json_value *)j;
}

/* The index behind the string whose opening quote is at I. */
static size_t string_end(struct str s, size_t i)
{
	for (i++; i < s.len && s.p[i] != '"'; i++)
		if (s.p[i] == '\\')
			i++;
	return i + 1;
}

/* Whether S has at most MAX brackets of this kind; fewer than a level each cannot be too deep. */
static bool has_few(struct str s, char bracket, uint32_t max)
{
	const char *p = s.p, *end = s.p + s.len;

	for (uint32_t n = 0; p < end && (p = memchr(p, bracket, (size_t)(end - p))); p++)
		if (++n > max)
			return false;
	return true;
}

/* The parser recurses, so depth is counted first; broken text may pass here and fails there. */
static bool is_flat_enough(struct str s, uint32_t depth_max)
{
	uint32_t depth = 0;

	if (has_few(s, '{', depth_max / 2) && has_few(s, '[', depth_max / 2))
		return true;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (c == '"')
			i = string_end(s, i) - 1;
		else if ((c == '[' || c == '{') && ++depth > depth_max)
			return false;
		else if ((c == ']' || c == '}') && depth)
			depth--;
	}
	return true;
}

static int refuse(struct fault *ret, enum fault_kind kind, const char *text)
{
	if (ret) {
		fault_set(ret, E_BAD_JSON);
		ret->kind = kind;
		snprintf(ret->text, sizeof(ret->text), "%s", text);
	}
	return -ERR_INVAL;
}

#define NO_JSON "The text is not valid JSON."
#define NO_UTF8 "The text is not valid UTF-8."

static const char *reason_of(const json_error_t *e)
{
	switch (json_error_code(e)) {
	case json_error_duplicate_key:
		return "The text has an object with two members of one name.";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "The text has a NUL character.";
	case json_error_numeric_overflow:
		return "The text has a number that is too large.";
	case json_error_invalid_utf8:
		return NO_UTF8;
	case json_error_invalid_syntax:
		/* the library has no code of its own for half a pair of surrogates */
		if (strstr(e->text, "invalid Unicode '"))
			return "The text has half a character.";
		return NO_JSON;
	default:
		return NO_JSON;
	}
}

static int refuse_text(struct fault *ret, const char *reason)
{
	bool is_json = strcmp(reason, NO_JSON) && strcmp(reason, NO_UTF8);

	return refuse(ret, is_json ? FAULT_VALUE : FAULT_OTHER, reason);
}

int json_parse(struct str text, uint32_t depth_max, struct json_doc **ret, struct fault *ret_fault)
{
	json_error_t error;
	json_t *root;

	/* the library takes U+0000 behind a value for the end of the text */
	if (text.len && memchr(text.p, '\0', text.len))
		return refuse(ret_fault, FAULT_OTHER, "The text has a NUL character.");
	if (!is_flat_enough(text, depth_max))
		return refuse(ret_fault, FAULT_VALUE, "The text is nested too deeply.");
	root = json_loadb(text.p ? text.p : "", text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
			  &error);
	if (!root)
		return refuse_text(ret_fault, reason_of(&error));
	*ret = xmalloc(sizeof(**ret));
	(*ret)->root = root;
	return 0;
}

void json_doc_free(struct json_doc **doc)
{
	if (!*doc)
		return;
	json_decref((*doc)->root);
	free(*doc);
	*doc = NULL;
}

const struct json_value *json_root(const struct json_doc *doc)
{
	return wrap(doc->root);
}

bool json_check(struct str text, uint32_t depth_max)
{
	struct json_doc *doc;

	if (json_parse(text, depth_max, &doc, NULL) < 0)
		return false;
	json_doc_free(&doc);
	return true;
}

enum json_kind json_kind_of(const struct json_value *v)
{
	switch (json_typeof(peek(v))) {
	case JSON_OBJECT:
		return JSON_KIND_OBJECT;
	case JSON_ARRAY:
		return JSON_KIND_ARRAY;
	case JSON_STRING:
		return JSON_KIND_STRING;
	case JSON_INTEGER:
		return JSON_KIND_INT;
	case JSON_REAL:
		return JSON_KIND_REAL;
	case JSON_TRUE:
	case JSON_FALSE:
		return JSON_KIND_BOOL;
	default:
		return JSON_KIND_NULL;
	}
}

const struct json_value *json_get(const struct json_value *v, const char *key)
{
	const json_t *member = v ? json_object_get(peek(v), key) : NULL;

	return json_is_null(member) ? NULL : wrap(member);
}

size_t json_count(const struct json_value *v)
{
	return v ? json_array_size(peek(v)) : 0;
}

const struct json_value *json_at(const struct json_value *v, size_t i)
{
	return v ? wrap(json_array_get(peek(v), i)) : NULL;
}

size_t json_members(const struct json_value *v)
{
	return v ? json_object_size(peek(v)) : 0;
}

/* The position is the library's iterator, which is NULL behind the last member. */
bool json_next(const struct json_value *v, size_t *pos, struct str *ret_key,
	       const struct json_value **ret_member)
{
	json_t *object = (json_t *)v;
	void *it = (void *)*pos;

	it = it ? json_object_iter_next(object, it) : json_object_iter(object);
	*pos = (size_t)it;
	if (!it)
		return false;
	*ret_key = (struct str){json_object_iter_key(it), json_object_iter_key_len(it)};
	*ret_member = wrap(json_object_iter_value(it));
	return true;
}

bool json_to_str(const struct json_value *v, struct str *ret)
{
	if (!v || !json_is_string(peek(v)))
		return false;
	*ret = (struct str){json_string_value(peek(v)), json_string_length(peek(v))};
	return true;
}

struct str json_set_str(const struct json_value *v, struct str s)
{
	json_t *string = (json_t *)v;

	if (json_string_setn_nocheck(string, s.p ? s.p : "", s.len) < 0)
		abort(); /* for want of memory: V is a string */
	return (struct str){json_string_value(string), json_string_length(string)};
}

bool json_to_i64(const struct json_value *v, int64_t *ret)
{
	if (!v || !json_is_integer(peek(v)))
		return false;
	*ret = json_integer_value(peek(v));
	return true;
}

bool json_to_bool(const struct json_value *v, bool *ret)
{
	if (!v || !json_is_boolean(peek(v)))
		return false;
	*ret = json_is_true(peek(v));
	return true;
}

/* With the digits that it takes to be read as the same number. */
static void add_real(struct buf *b, double x)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, x);
		if (strtod(text, NULL) == x)
			break;
	}
	buf_add_cstr(b, text);
}

void json_add_scalar(struct buf *b, const struct json_value *v)
{
	struct str s;
	int64_t n;

	if (json_to_str(v, &s))
		json_add_str(b, s);
	else if (json_to_i64(v, &n))
		buf_add_i64(b, n);
	else if (json_is_real(peek(v)))
		add_real(b, json_real_value(peek(v)));
}

static void add_array(struct buf *b, const struct json_value *v)
{
	buf_add_char(b, '[');
	for (size_t i = 0; i < json_count(v); i++) {
		json_add_sep(b);
		json_add_value(b, json_at(v, i));
	}
	buf_add_char(b, ']');
}

static void add_object(struct buf *b, const struct json_value *v)
{
	const struct json_value *member;
	struct str key;

	buf_add_char(b, '{');
	for (size_t pos = 0; json_next(v, &pos, &key, &member);) {
		json_add_sep(b);
		json_add_str(b, key);
		buf_add_char(b, ':');
		json_add_value(b, member);
	}
	buf_add_char(b, '}');
}

void json_add_value(struct buf *b, const struct json_value *v)
{
	bool on;

	switch (json_kind_of(v)) {
	case JSON_KIND_OBJECT:
		add_object(b, v);
		break;
	case JSON_KIND_ARRAY:
		add_array(b, v);
		break;
	case JSON_KIND_NULL:
		buf_add_cstr(b, "null");
		break;
	case JSON_KIND_BOOL:
		buf_add_cstr(b, json_to_bool(v, &on) && on ? "true" : "false");
		break;
	default:
		json_add_scalar(b, v);
	}
}

static int bad(struct fault *ret, enum fault_kind kind, const char *key, int64_t bound)
{
	fault_field(ret, kind, key, bound);
	return -ERR_INVAL;
}

static int absent(struct fault *ret, const char *key, bool required)
{
	return required ? bad(ret, FAULT_MISSING, key, 0) : -ERR_NOENT;
}

int json_get_str(const struct json_value *v, const char *key, const struct json_str_rule *rule,
		 struct str *ret, struct fault *ret_fault)
{
	const struct json_value *member = json_get(v, key);
	struct str s;
	size_t n;

	if (!member)
		return absent(ret_fault, key, rule->required);
	if (!json_to_str(member, &s))
		return bad(ret_fault, FAULT_TYPE, key, 0);
	n = utf8_length(s);
	if (n < rule->min)
		return bad(ret_fault, FAULT_TOO_SHORT, key, rule->min);
	if (n > rule->max)
		return bad(ret_fault, FAULT_TOO_LONG, key, rule->max);
	*ret = s;
	return 0;
}

int json_get_i64(const struct json_value *v, const char *key, const struct json_int_rule *rule,
		 int64_t *ret, struct fault *ret_fault)
{
	const struct json_value *member = json_get(v, key);
	struct str text;
	int64_t n;

	if (!member)
		return absent(ret_fault, key, rule->required);
	if (!json_to_i64(member, &n) &&
	    !(rule->or_text && json_to_str(member, &text) && str_to_i64(text, &n) == 0))
		return bad(ret_fault, FAULT_TYPE, key, 0);
	if (n < rule->min)
		return bad(ret_fault, FAULT_TOO_SMALL, key, rule->min);
	if (n > rule->max)
		return bad(ret_fault, FAULT_TOO_LARGE, key, rule->max);
	*ret = n;
	return 0;
}

int json_get_bool(const struct json_value *v, const char *key, bool required, bool *ret,
		  struct fault *ret_fault)
{
	const struct json_value *member = json_get(v, key);

	if (!member)
		return absent(ret_fault, key, required);
	if (!json_to_bool(member, ret))
		return bad(ret_fault, FAULT_TYPE, key, 0);
	return 0;
}
