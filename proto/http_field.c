/* SPDX-License-Identifier: MIT */
/*
 * Values of header fields: lists, ranges, entity tags, preferences, media types.
 * Escapes and forms are http_form.c's, dates http_date.c's.
 */
#include "proto/http_field.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct str trim(struct str s)
{
	while (s.len && is_blank(s.p[0]))
		s.p++, s.len--;
	while (s.len && is_blank(s.p[s.len - 1]))
		s.len--;
	return s;
}

/* Where the element that starts at I ends: at the next DELIM outside quotes. */
static size_t element_end(struct str s, size_t i, char delim)
{
	bool quoted = false;

	for (; i < s.len; i++) {
		if (quoted && s.p[i] == '\\' && i + 1 < s.len)
			i++;
		else if (s.p[i] == '"')
			quoted = !quoted;
		else if (s.p[i] == delim && !quoted)
			break;
	}
	return i;
}

static bool split_next(struct str s, char delim, size_t *pos, struct str *ret_item)
{
	while (*pos < s.len) {
		size_t end = element_end(s, *pos, delim);
		struct str item = trim((struct str){s.p + *pos, end - *pos});

		*pos = end + (end < s.len);
		if (item.len) {
			*ret_item = item;
			return true;
		}
	}
	return false;
}

bool http_list_next(struct str value, size_t *pos, struct str *ret_item)
{
	return split_next(value, ',', pos, ret_item);
}

/* Digits only; values beyond uint64_t are clipped to its largest. */
static bool parse_u64(struct str s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!s.len)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			v = UINT64_MAX;
	}
	*ret = v;
	return true;
}

int http_range(struct str value, uint64_t size, uint64_t *ret_first, uint64_t *ret_last)
{
	struct str spec, left, right;
	uint64_t first = 0, last = UINT64_MAX;
	const char *dash;

	if (value.len < 6 || !str_ieq((struct str){value.p, 6}, STR("bytes=")))
		return -ERR_NOENT;
	spec = trim((struct str){value.p + 6, value.len - 6});
	dash = spec.len ? memchr(spec.p, '-', spec.len) : NULL;
	if (!dash || memchr(spec.p, ',', spec.len))
		return -ERR_NOENT;
	left = (struct str){spec.p, (size_t)(dash - spec.p)};
	right = (struct str){dash + 1, spec.len - left.len - 1};
	if ((left.len && !parse_u64(left, &first)) || (right.len && !parse_u64(right, &last)) ||
	    (!left.len && !right.len) || (left.len && first > last))
		return -ERR_NOENT;
	if (!left.len) { /* the last so many bytes */
		if (!last || !size)
			return -ERR_INVAL;
		first = last < size ? size - last : 0;
		last = UINT64_MAX;
	}
	if (first >= size)
		return -ERR_INVAL;
	*ret_first = first;
	*ret_last = MIN(last, size - 1);
	return 0;
}

static struct str strip_weak(struct str etag, bool *ret_was_weak)
{
	*ret_was_weak = etag.len >= 2 && etag.p[0] == 'W' && etag.p[1] == '/';
	return *ret_was_weak ? (struct str){etag.p + 2, etag.len - 2} : etag;
}

bool http_etag_match(struct str list, struct str etag, bool weak)
{
	bool is_weak, item_is_weak;
	struct str want = strip_weak(etag, &is_weak), item;
	size_t pos = 0;

	if (str_eq(trim(list), STR("*")))
		return true;
	while (http_list_next(list, &pos, &item)) {
		item = strip_weak(item, &item_is_weak);
		if (str_eq(item, want) && (weak || (!is_weak && !item_is_weak)))
			return true;
	}
	return false;
}

/* "0.75" as 750 (RFC 9110 section 12.4.2); -1 when it is no weight. */
static int parse_weight(struct str s)
{
	int v = 0, scale = 100;

	if (!s.len || s.len > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.len > 1 && s.p[1] != '.'))
		return -1;
	v = (s.p[0] - '0') * 1000;
	for (size_t i = 2; i < s.len; i++, scale /= 10) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		v += (s.p[i] - '0') * scale;
	}
	return v <= 1000 ? v : -1;
}

/* Splits "gzip;q=0.5" into its name and weight; 1000 without one, 0 for a broken one. */
static int weight_of(struct str item, struct str *ret_name)
{
	size_t pos = 0;
	struct str part = {0};
	int q = 1000;

	*ret_name = (struct str){0};
	for (bool first = true; split_next(item, ';', &pos, &part); first = false) {
		if (first)
			*ret_name = part;
		else if (part.len >= 2 && (part.p[0] | 0x20) == 'q' && part.p[1] == '=')
			q = parse_weight((struct str){part.p + 2, part.len - 2});
	}
	return MAX(q, 0);
}

int http_encoding_quality(struct str accept, const char *coding)
{
	int named = -1, any = 0, q;
	struct str item, name;
	size_t pos = 0;

	while (http_list_next(accept, &pos, &item)) {
		q = weight_of(item, &name);
		if (str_ieq(name, str_of(coding)))
			named = q;
		else if (str_eq(name, STR("*")))
			any = q;
	}
	return named >= 0 ? named : any;
}

/*
 * How exactly RANGE (RFC 9110 section 12.5.1) names TYPE: 0 not at all, 1 any, 2 the main type, 3
 * wholly.
 */
static int type_rank(struct str range, struct str type)
{
	const char *slash = memchr(type.p, '/', type.len);
	size_t main_len = slash ? (size_t)(slash - type.p) + 1 : 0;

	if (str_ieq(range, type))
		return 3;
	if (str_eq(range, STR("*/*")))
		return 1;
	if (!main_len || range.len != main_len + 1 || range.p[main_len] != '*')
		return 0;
	return str_ieq((struct str){range.p, main_len}, (struct str){type.p, main_len}) ? 2 : 0;
}

int http_type_quality(struct str accept, const char *type)
{
	int best = 0, quality = 0;
	struct str item, range;
	size_t pos = 0;

	if (!accept.p)
		return 1000;
	while (http_list_next(accept, &pos, &item)) {
		int q = weight_of(item, &range), rank = type_rank(range, str_of(type));

		if (rank > best) {
			best = rank;
			quality = q;
		}
	}
	return quality;
}

static bool is_utf8_name(struct str s)
{
	if (s.len >= 2 && s.p[0] == '"' && s.p[s.len - 1] == '"')
		s = (struct str){s.p + 1, s.len - 2};
	return str_ieq(s, STR("utf-8")) || str_ieq(s, STR("utf8"));
}

bool http_is_type(struct str content_type, const char *type)
{
	struct str part = {0};
	size_t pos = 0;

	if (!split_next(content_type, ';', &pos, &part) || !str_ieq(part, str_of(type)))
		return false;
	while (split_next(content_type, ';', &pos, &part))
		if (part.len >= 8 && str_ieq((struct str){part.p, 8}, STR("charset=")) &&
		    !is_utf8_name((struct str){part.p + 8, part.len - 8}))
			return false;
	return true;
}
