/* SPDX-License-Identifier: MIT */
/*
 * Finds hosts in a text by hand: runs of letters, digits, '-', '_' and '.', with what is around.
 * Which characters are letters is proto/names.c's.
 */
#include "worker/filter_links.h"

#include "base/buf.h"
#include "base/map.h"
#include "proto/names.h"
#include "proto/utf8.h"
#include "worker/filter_set.h"

#define HOST_MAX 253 /* RFC 1035 section 2.3.4, less the root's dot */
#define SCHEME_MAX 20
#define USER_MAX 100
#define TAIL_MAX 4096

/* A rule for a host, and the next one for the same host. */
struct entry {
	const struct filter_rule *rule; /* borrowed */
	struct entry *next;		/* owned */
};

struct filter_links {
	struct strmap hosts; /* folded name -> struct entry */
	struct entry *any;   /* owned: "*" */
};

static bool is_host_char(uint32_t cp)
{
	return names_is_word(cp) || cp == '-' || cp == '_' || cp == '.';
}

static void fold_host(struct buf *b, struct str host)
{
	uint32_t cp, parts[NAMES_FOLD_MAX];
	size_t pos = 0;

	while (utf8_next(host, &pos, &cp)) {
		size_t n = names_fold(cp, parts);

		buf_add(b, parts, n * sizeof(*parts));
	}
}

/* The host that a pattern names, without "*." */
static struct str host_of(struct str pattern)
{
	struct str host = utf8_trim(pattern);

	if (host.len > 2 && host.p[0] == '*' && host.p[1] == '.')
		return (struct str){host.p + 2, host.len - 2};
	return host;
}

static bool is_any(struct str pattern)
{
	return str_eq(utf8_trim(pattern), STR("*"));
}

bool filter_link_valid(struct str pattern)
{
	struct str host = host_of(pattern);
	uint32_t cp, last = '.';
	size_t pos = 0;

	if (is_any(pattern))
		return true;
	if (!host.len || host.len > HOST_MAX)
		return false;
	while (utf8_next(host, &pos, &cp)) {
		if (!is_host_char(cp) || (cp == '.' && last == '.'))
			return false;
		last = cp;
	}
	return last != '.';
}

int filter_links_put(struct filter_links *l, const struct filter_rule *rule)
{
	struct entry *e;
	struct buf key = BUF_INIT;

	if (!filter_link_valid(rule->pattern))
		return -ERR_INVAL;
	e = xcalloc(1, sizeof(*e));
	e->rule = rule;
	if (is_any(rule->pattern)) {
		e->next = l->any;
		l->any = e;
		return 0;
	}
	fold_host(&key, host_of(rule->pattern));
	e->next = strmap_get(&l->hosts, buf_str(&key));
	strmap_put(&l->hosts, buf_str(&key), e);
	buf_done(&key);
	return 0;
}

struct filter_links *filter_links_new(void)
{
	return xcalloc(1, sizeof(struct filter_links));
}

static void entries_free(struct entry *e)
{
	while (e) {
		struct entry *next = e->next;

		free(e);
		e = next;
	}
}

void filter_links_free(struct filter_links **l)
{
	uint32_t pos = 0;
	struct str key;
	void *e;

	if (!*l)
		return;
	while (strmap_next(&(*l)->hosts, &pos, &key, &e))
		entries_free(e);
	strmap_done(&(*l)->hosts);
	entries_free((*l)->any);
	free(*l);
	*l = NULL;
}

/* ---- Finding ---- */

/* A place where a link may be. */
struct link {
	size_t from;	  /* of its scheme, or else of its host */
	size_t host, end; /* of the host */
	bool has_scheme, has_path, has_tail;
};

/* The code point before AT, and *AT moved to it; 0 at the beginning. */
static uint32_t before(struct str text, size_t *at)
{
	size_t pos;
	uint32_t cp = 0;

	if (*at == 0)
		return 0;
	do
		--*at;
	while (*at && ((uint8_t)text.p[*at] & 0xc0) == 0x80);
	pos = *at;
	utf8_next(text, &pos, &cp);
	return cp;
}

static bool is_scheme_char(char c)
{
	uint8_t byte = (uint8_t)c;

	return byte < 0x80 && (names_is_word(byte) || byte == '+' || byte == '-' || byte == '.');
}

/* Where "scheme://" or "scheme://user@" before the host at AT begins; AT itself without one. */
static size_t scheme_start(struct str text, size_t at)
{
	size_t i = at, n = 0;

	if (i && text.p[i - 1] == '@') /* its user part holds no blank and no slash */
		for (i--; i && at - i <= USER_MAX && text.p[i - 1] != '/' &&
			  (uint8_t)text.p[i - 1] > ' '; i--)
			;
	if (i < 4 || memcmp(text.p + i - 3, "://", 3) != 0)
		return at;
	for (i -= 3; i && n < SCHEME_MAX && is_scheme_char(text.p[i - 1]); i--)
		n++;
	return n ? i : at;
}

/* Where port, path and query end: at blanks, quotes and angle brackets. */
static size_t tail_end(struct str text, size_t at)
{
	size_t pos = at, most = at + TAIL_MAX;
	uint32_t cp;

	while (at < most && utf8_next(text, &pos, &cp) && !utf8_is_space(cp) && cp != '<' &&
	       cp != '>' && cp != '"')
		at = pos;
	return at;
}

/* The next run of host characters from *POS on that may be a host, and *POS behind it. */
static bool next_link(struct str text, size_t *pos, struct link *ret)
{
	size_t from, at = *pos, end;
	uint32_t cp;

	for (;;) {
		for (from = at; utf8_next(text, &at, &cp) && !is_host_char(cp); from = at)
			;
		if (from >= text.len)
			return false;
		for (end = at; utf8_next(text, &at, &cp) && is_host_char(cp); end = at)
			;
		at = end;
		while (from < end && text.p[from] == '.')
			from++;
		while (end > from && text.p[end - 1] == '.')
			end--;
		if (from < end)
			break;
	}
	*ret = (struct link){.from = scheme_start(text, from), .host = from, .end = end};
	ret->has_scheme = ret->from != from;
	ret->has_path = end < text.len && text.p[end] == '/';
	ret->has_tail = end < text.len && memchr(":/?#", text.p[end], 4);
	*pos = at;
	return true;
}

/* An address of mail is none of a site. */
static bool is_mail(struct str text, const struct link *link)
{
	size_t at = link->host;

	return !link->has_scheme && before(text, &at) == '@';
}

static bool is_letters(struct str s)
{
	uint32_t cp;
	size_t pos = 0;

	while (utf8_next(s, &pos, &cp))
		if (!names_is_word(cp) || (cp >= '0' && cp <= '9'))
			return false;
	return s.len > 1;
}

/* A link by its looks, whatever its host. */
static bool looks_like_link(struct str host, const struct link *link)
{
	const char *dot = memrchr(host.p, '.', host.len);

	if (link->has_scheme)
		return true;
	if (host.len > 4 && str_ieq((struct str){host.p, 4}, STR("www.")))
		return true;
	return link->has_path && dot &&
	       is_letters((struct str){dot + 1, (size_t)(host.p + host.len - dot) - 1});
}

static bool tell(const struct entry *e, struct str text, const struct link *link,
		 filter_found_fn *found, void *arg)
{
	size_t to = e && link->has_tail ? tail_end(text, link->end) : link->end;

	for (; e; e = e->next)
		if (!found(arg, e->rule, link->from, to))
			return false;
	return true;
}

/* The host and every name above it. A host without dots is one only behind a scheme. */
static bool tell_host(const struct filter_links *l, struct str text, const struct link *link,
		      filter_found_fn *found, void *arg)
{
	const size_t unit = sizeof(uint32_t);
	struct buf key = BUF_INIT;
	bool is_on = true;
	struct str name;

	fold_host(&key, (struct str){text.p + link->host, link->end - link->host});
	name = buf_str(&key);
	for (size_t i = 0; is_on && i < name.len; i += unit) {
		uint32_t last = '.';

		if (i)
			memcpy(&last, name.p + i - unit, unit);
		if (last == '.')
			is_on = tell(strmap_get(&l->hosts,
						(struct str){name.p + i, name.len - i}),
				     text, link, found, arg);
	}
	buf_done(&key);
	return is_on;
}

void filter_links_find(const struct filter_links *l, struct str text, filter_found_fn *found,
		       void *arg)
{
	struct link link;
	bool is_on = true;

	for (size_t pos = 0; is_on && next_link(text, &pos, &link);) {
		struct str host = {text.p + link.host, link.end - link.host};

		if (is_mail(text, &link) || host.len > HOST_MAX)
			continue;
		if (l->any && looks_like_link(host, &link))
			is_on = tell(l->any, text, &link, found, arg);
		if (is_on && l->hosts.count &&
		    (link.has_scheme || memchr(host.p, '.', host.len)))
			is_on = tell_host(l, text, &link, found, arg);
	}
}
