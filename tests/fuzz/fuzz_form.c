/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the body of a form, and what a page makes of its fields. A field is clean text; on
 * the page it shows as what it is and begins nothing.
 */
#include "fuzz.h"
#include "proto/html.h"
#include "proto/http_field.h"
#include "proto/utf8.h"

/* What a browser reads, for the references that the escaper writes; false for any other. */
static bool read_back(struct str html, struct buf *ret)
{
	static const struct {
		const char *ref;
		char c;
	} refs[] = {{"&amp;", '&'},  {"&lt;", '<'},  {"&gt;", '>'},
		    {"&quot;", '"'}, {"&#39;", '\''}, {"&#13;", '\r'}};

	for (size_t i = 0; i < html.len;) {
		size_t n = 1, k = 0;

		if (strchr("<>\"'\r", html.p[i]) && html.p[i])
			return false;
		if (html.p[i] == '&') {
			for (; k < ARRAY_LEN(refs); k++) {
				n = strlen(refs[k].ref);
				if (html.len - i >= n && !memcmp(html.p + i, refs[k].ref, n))
					break;
			}
			if (k == ARRAY_LEN(refs))
				return false;
			buf_add_char(ret, refs[k].c);
		} else {
			buf_add_char(ret, html.p[i]);
		}
		i += n;
	}
	return true;
}

static void check_field(struct str value)
{
	const struct html_value values[] = {{"v", value, false}};
	struct buf text = BUF_INIT, page = BUF_INIT, back = BUF_INIT, form = BUF_INIT;
	struct buf again = BUF_INIT;

	MUST(!value.len || utf8_valid(value.p, value.len));
	MUST(!value.len || !memchr(value.p, '\0', value.len));
	html_add_text(&text, value);
	MUST(read_back(buf_str(&text), &back) && str_eq(buf_str(&back), value));
	html_fill(&page, STR("<i>{{v}}</i>"), values, 1);
	MUST(page.len == text.len + 7);
	buf_add_cstr(&form, "x=1&f=");
	http_add_escaped(&form, value);
	MUST(http_form_get(buf_str(&form), "f", &again) == 0);
	MUST(str_eq(buf_str(&again), value));
	buf_done(&text);
	buf_done(&page);
	buf_done(&back);
	buf_done(&form);
	buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"name", "code", "join", "message", "", "a b"};
	struct str form = {(const char *)data, size}, before, name;
	size_t pos = 0, seen = 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct buf b = BUF_INIT;
		int r = http_form_get(form, names[i], &b);

		MUST(r == 0 || r == -ERR_NOENT || r == -ERR_INVAL);
		MUST(r == 0 || b.len == 0);
		if (r == 0)
			check_field(buf_str(&b));
		buf_done(&b);
	}
	while (html_next_place(form, &pos, &before, &name))
		seen += before.len + name.len + 4;
	MUST(seen + before.len == size && pos == size);
	return 0;
}
