/* SPDX-License-Identifier: MIT */
/*
 * Event streams: fields line by line, as the HTML standard's section 9.2.5 has them.
 * Knows nothing of what is in an event.
 */
#include "proto/sse.h"

/* Lines end at CR LF, LF or CR, each once: a value with such bytes would end its field early. */
static size_t line_len(struct str s, size_t at)
{
	size_t n = 0;

	while (at + n < s.len && s.p[at + n] != '\n' && s.p[at + n] != '\r')
		n++;
	return n;
}

static bool is_line(struct str s)
{
	return line_len(s, 0) == s.len;
}

static void add_field(struct buf *b, const char *name, struct str value)
{
	buf_add_cstr(b, name);
	buf_add(b, ": ", 2);
	buf_add_str(b, value);
	buf_add_char(b, '\n');
}

/* One field of that name for each line of TEXT, for an empty text one too. */
static void add_lines(struct buf *b, const char *name, struct str text)
{
	size_t at = 0;

	for (;;) {
		size_t n = line_len(text, at);

		add_field(b, name, (struct str){n ? text.p + at : "", n});
		at += n;
		if (at >= text.len)
			return;
		at += at + 1 < text.len && text.p[at] == '\r' && text.p[at + 1] == '\n' ? 2 : 1;
	}
}

static void add_id(struct buf *b, struct str id)
{
	assert(is_line(id) && !memchr(id.p, '\0', id.len));
	add_field(b, "id", id);
}

void sse_add_event(struct buf *b, struct str name, struct str id, struct str data)
{
	assert(is_line(name));
	if (name.len)
		add_field(b, "event", name);
	if (id.len)
		add_id(b, id);
	add_lines(b, "data", data);
	buf_add_char(b, '\n');
}

void sse_add_id(struct buf *b, struct str id)
{
	add_id(b, id);
	buf_add_char(b, '\n');
}

void sse_add_comment(struct buf *b, struct str text)
{
	add_lines(b, "", text);
	buf_add_char(b, '\n');
}

void sse_add_retry(struct buf *b, int64_t ms)
{
	buf_add_cstr(b, "retry: ");
	buf_add_i64(b, ms);
	buf_add(b, "\n\n", 2);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_cursor_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

int sse_last_event_id(struct str value, size_t max, struct str *ret)
{
	while (value.len && is_blank(value.p[0]))
		value = (struct str){value.p + 1, value.len - 1};
	while (value.len && is_blank(value.p[value.len - 1]))
		value.len--;
	if (!value.len)
		return -ERR_NOENT;
	if (value.len > max)
		return -ERR_TOOBIG;
	for (size_t i = 0; i < value.len; i++)
		if (!is_cursor_char(value.p[i]))
			return -ERR_INVAL;
	*ret = value;
	return 0;
}
