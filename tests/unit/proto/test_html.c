/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/html.c: what browsers take for markup never leaves the escaper, and templates.
 */
#include "proto_test.h"

#include "proto/html.h"

static void check(const char *in, const char *want)
{
	struct buf b = BUF_INIT;

	html_add_text(&b, str_of(in));
	assert_buf(&b, want);
	buf_done(&b);
}

static void test_text(void **state)
{
	(void)state;
	check("", "");
	check("hello", "hello");
	check("a<b>c", "a&lt;b&gt;c");
	check("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;");
	check("&lt;", "&amp;lt;");
	check("\"'", "&quot;&#39;");
	check("Zo\xc3\xab \xf0\x9f\x98\x80", "Zo\xc3\xab \xf0\x9f\x98\x80");
	check("a\r\nb\tc", "a&#13;\nb\tc");
	check("<!--", "&lt;!--");
	check("&&", "&amp;&amp;");
}

static void test_nothing_is_looked_at_behind_the_end(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	html_add_text(&b, (struct str){"ab<c", 2});
	assert_buf(&b, "ab");
	html_add_text(&b, (struct str){NULL, 0});
	assert_int_equal(b.len, 0);
	buf_done(&b);
}

static void fill(const char *template, const char *want)
{
	const struct html_value values[] = {
	    {"name", STR("<Ann>"), false},
	    {"list", STR("<li>{{name}}</li>"), true},
	    {"none", {NULL, 0}, false},
	    {"empty", STR(""), false},
	};
	struct buf b = BUF_INIT;

	html_fill(&b, str_of(template), values, ARRAY_LEN(values));
	assert_buf(&b, want);
	buf_done(&b);
}

static void test_fill(void **state)
{
	(void)state;
	fill("", "");
	fill("plain", "plain");
	fill("<p>{{name}}</p>", "<p>&lt;Ann&gt;</p>");
	fill("{{name}}{{name}}", "&lt;Ann&gt;&lt;Ann&gt;");
	fill("a{{none}}b{{empty}}c{{unknown}}d", "abcd");
	fill("<ul>{{list}}</ul>", "<ul><li>{{name}}</li></ul>");
	fill("{{name", "{{name");
	fill("{{}}", "");
	fill("}}{{name}}", "}}&lt;Ann&gt;");
	fill("{ {name} }", "{ {name} }");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_nothing_is_looked_at_behind_the_end),
	    cmocka_unit_test(test_fill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
