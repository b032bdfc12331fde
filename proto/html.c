/* SPDX-License-Identifier: MIT */
/*
 * Escaping (HTML standard, sections 13.1.2 to 13.1.4) and the filling of templates.
 * Reads no files.
 */
#include "proto/html.h"

/* NULL: the byte stands for itself. A bare CR would be read as a line feed. */
static const char *reference(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	case '\r':
		return "&#13;";
	default:
		return NULL;
	}
}

void html_add_text(struct buf *b, struct str s)
{
	size_t from = 0;

	for (size_t i = 0; i < s.len; i++) {
		const char *ref = reference(s.p[i]);

		if (!ref)
			continue;
		buf_add(b, s.p + from, i - from);
		buf_add_cstr(b, ref);
		from = i + 1;
	}
	if (from < s.len)
		buf_add(b, s.p + from, s.len - from);
}

bool html_next_place(struct str template, size_t *pos, struct str *ret_before,
		     struct str *ret_name)
{
	const char *from = template.p + *pos;
	size_t left = template.len - *pos;
	const char *open = left ? memmem(from, left, "{{", 2) : NULL;
	const char *close = open ? memmem(open, left - (size_t)(open - from), "}}", 2) : NULL;

	if (!close) {
		*ret_before = (struct str){from, left};
		*pos = template.len;
		return false;
	}
	*ret_before = (struct str){from, (size_t)(open - from)};
	*ret_name = (struct str){open + 2, (size_t)(close - open) - 2};
	*pos += (size_t)(close - from) + 2;
	return true;
}

static void add_value(struct buf *b, const struct html_value *v)
{
	if (!v->text.p)
		return;
	if (v->is_html)
		buf_add_str(b, v->text);
	else
		html_add_text(b, v->text);
}

void html_fill(struct buf *b, struct str template, const struct html_value *values, size_t n)
{
	struct str before, name;
	size_t pos = 0;

	while (html_next_place(template, &pos, &before, &name)) {
		buf_add_str(b, before);
		for (size_t i = 0; i < n; i++)
			if (str_eq(name, str_of(values[i].name)))
				add_value(b, &values[i]);
	}
	buf_add_str(b, before);
}
