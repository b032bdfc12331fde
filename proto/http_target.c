/* SPDX-License-Identifier: MIT */
/*
 * The request target (RFC 9112 section 3.2): its forms, the decoded path without dot segments.
 * What lies at the path is worker's to know.
 */
#include "proto/http_field.h"
#include "proto/http_priv.h"
#include "proto/utf8.h"

bool http_is_tchar(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool http_host_valid(struct str host)
{
	for (size_t i = 0; i < host.len; i++) {
		char c = host.p[i];

		if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    !(c && strchr("-._~%!$&'()*+,;=:[]", c)))
			return false;
	}
	return host.len > 0;
}

static bool is_printable(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((uint8_t)s.p[i] <= 0x20 || (uint8_t)s.p[i] >= 0x7f || s.p[i] == '#')
			return false;
	return true;
}

static struct str skip(struct str s, size_t n)
{
	return (struct str){s.p + n, s.len - n};
}

/* Takes "http://authority" off the front of *TARGET when it is there. */
static int take_authority(struct str *target, struct str *ret_host)
{
	size_t n = 0, i;

	if (target->len > 7 && str_ieq((struct str){target->p, 7}, STR("http://")))
		n = 7;
	else if (target->len > 8 && str_ieq((struct str){target->p, 8}, STR("https://")))
		n = 8;
	else
		return 0;
	for (i = n; i < target->len && target->p[i] != '/' && target->p[i] != '?'; i++)
		;
	*ret_host = (struct str){target->p + n, i - n};
	*target = skip(*target, i);
	return http_host_valid(*ret_host) ? 0 : -ERR_INVAL;
}

/*
 * RFC 3986 section 5.2.4 on the decoded path in P, in place: "." goes, ".." takes its parent along
 * and stops at the root. Decoding comes first, so an escaped dot or slash hides nothing. Returns
 * the new length.
 */
static size_t remove_dots(char *p, size_t len)
{
	size_t out = 0, i = 0;

	while (i < len) {
		size_t start = i + 1, end = start; /* the segment behind the slash at I */

		while (end < len && p[end] != '/')
			end++;
		if (end - start == 2 && p[start] == '.' && p[start + 1] == '.') {
			while (out && p[--out] != '/')
				;
		} else if (!(end - start == 1 && p[start] == '.')) {
			memmove(p + out, p + i, end - i);
			out += end - i;
			i = end;
			continue;
		}
		if (end == len) /* a dot segment at the end leaves its slash */
			p[out++] = '/';
		i = end;
	}
	if (!out)
		p[out++] = '/';
	return out;
}

static bool has_control(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] < 0x20 || p[i] == 0x7f)
			return true;
	return false;
}

static int add_path(struct str raw, struct buf *path)
{
	size_t begin = path->len;

	if (!raw.len)
		raw = STR("/");
	if (raw.p[0] != '/' || http_unescape(raw, false, path) < 0 ||
	    has_control(path->p + begin, path->len - begin))
		return -ERR_INVAL;
	path->len = begin + remove_dots((char *)path->p + begin, path->len - begin);
	return 0;
}

int http_target_parse(struct str target, bool is_options, struct buf *path, struct http_target *ret)
{
	struct http_target t = {0};
	struct str rest = target;
	const char *mark;

	if (!target.len || !is_printable(target))
		return -ERR_INVAL;
	if (is_options && str_eq(target, STR("*"))) {
		buf_add_char(path, '*');
		*ret = t;
		return 0;
	}
	if (take_authority(&rest, &t.host) < 0)
		return -ERR_INVAL;
	mark = rest.len ? memchr(rest.p, '?', rest.len) : NULL;
	if (mark) {
		t.query = skip(rest, (size_t)(mark - rest.p) + 1);
		rest.len = (size_t)(mark - rest.p);
	}
	if (add_path(rest, path) < 0)
		return -ERR_INVAL;
	*ret = t;
	return 0;
}
