/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/route.c: which row a path and a method find, what a path allows, which tables are
 * refused. Methods of OPTIONS, HEAD and Allow follow RFC 9110 sections 9.3.2, 9.3.7 and 10.2.1.
 */
#include "worker_test.h"

#include "worker/route.h"

static void nothing(struct call *call)
{
	(void)call;
}

#define ROW(m, p) {.method = (m), .path = (p), .handler = nothing, .handler_name = "nothing"}

static const struct route table[] = {
	ROW(HTTP_GET, "/"),
	ROW(HTTP_GET, "/things"),
	ROW(HTTP_POST, "/things"),
	ROW(HTTP_GET, "/things/{id}"),
	ROW(HTTP_DELETE, "/things/{id}"),
	ROW(HTTP_GET, "/things/search"),
	ROW(HTTP_GET, "/things/{id}/parts/{part}"),
	ROW(HTTP_PUT, "/things/search/deep"),
	ROW(HTTP_GET, "/files/{path...}"),
	ROW(HTTP_PATCH, "/files/fixed"),
};

static struct routes *routes_of(const struct route *rows, size_t n)
{
	struct routes *r = NULL;

	assert_int_equal(routes_new(rows, n, &r, NULL), 0);
	return r;
}

/* Row that METHOD PATH finds: its index, -1 for no such path, -2 for another method. */
static int find(enum http_method method, const char *path, struct route_match *ret)
{
	struct routes *r = routes_of(table, ARRAY_LEN(table));
	enum route_result found = route_find(r, method, str_of(path), ret);

	routes_free(&r);
	assert_null(r);
	if (found == ROUTE_FOUND)
		return (int)(ret->route - table);
	return found == ROUTE_NO_PATH ? -1 : -2;
}

static void test_paths(void **state)
{
	static const struct {
		enum http_method method;
		const char *path;
		int row;
	} cases[] = {
		{HTTP_GET, "/", 0},
		{HTTP_GET, "/things", 1},
		{HTTP_POST, "/things", 2},
		{HTTP_GET, "/things/7", 3},
		{HTTP_DELETE, "/things/7", 4},
		{HTTP_GET, "/things/search", 5},
		{HTTP_GET, "/things/searching", 3},
		{HTTP_GET, "/things/7/parts/8", 6},
		/* the exact segment leads nowhere here, so the parameter is tried */
		{HTTP_GET, "/things/search/parts/8", 6},
		{HTTP_PUT, "/things/search/deep", 7},
		{HTTP_GET, "/files/a", 8},
		{HTTP_GET, "/files/a/b/c.css", 8},
		{HTTP_PATCH, "/files/fixed", 9},
		{HTTP_HEAD, "/things/7", 3},
		{HTTP_GET, "/things/", -1},
		{HTTP_GET, "//", -1},
		{HTTP_GET, "//things", -1},
		{HTTP_GET, "/Things", -1},
		{HTTP_GET, "/thing", -1},
		{HTTP_GET, "/thingss", -1},
		{HTTP_GET, "/things/7/", -1},
		{HTTP_GET, "/things/7/parts", -1},
		{HTTP_GET, "/things/7/parts/8/9", -1},
		{HTTP_GET, "/files/", -1},
		{HTTP_GET, "/files", -1},
		{HTTP_GET, "", -1},
		{HTTP_GET, "*", -1},
		{HTTP_GET, "things", -1},
		{HTTP_GET, "/{id}", -1},
		{HTTP_DELETE, "/things", -2},
		{HTTP_HEAD, "/things/search/deep", -2},
		{HTTP_OPTIONS, "/things", -2},
		{HTTP_OTHER, "/things", -2},
		{HTTP_OTHER, "/nowhere", -1},
		{HTTP_OPTIONS, "/nowhere", -1},
	};
	struct route_match m;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int row = find(cases[i].method, cases[i].path, &m);

		if (row != cases[i].row)
			fail_msg("%s %s: row %d, not %d", http_method_name(cases[i].method),
				 cases[i].path, row, cases[i].row);
	}
}

static void test_params(void **state)
{
	struct route_match m;

	(void)state;
	assert_int_equal(find(HTTP_GET, "/things/12/parts/3-4", &m), 6);
	assert_text(m.param[0], "12");
	assert_text(m.param[1], "3-4");
	assert_int_equal(find(HTTP_GET, "/files/css/a.css", &m), 8);
	assert_text(m.param[0], "css/a.css");
	assert_null(m.param[1].p);
	assert_int_equal(find(HTTP_GET, "/things/search", &m), 5);
	assert_null(m.param[0].p);
}

static void check_allow(const char *path, const char *want)
{
	struct buf b = BUF_INIT;
	struct route_match m;

	assert_int_equal(find(HTTP_OTHER, path, &m), -2);
	route_add_allow(&b, m.methods);
	assert_buffer(&b, want);
	assert_non_null(m.route); /* its form of errors is used */
}

static void test_allow(void **state)
{
	(void)state;
	check_allow("/things", "GET, HEAD, POST, OPTIONS");
	check_allow("/things/1", "GET, HEAD, DELETE, OPTIONS");
	check_allow("/things/search/deep", "PUT, OPTIONS");
}

static void test_all_methods(void **state)
{
	struct routes *r = routes_of(table, ARRAY_LEN(table));
	struct buf b = BUF_INIT;

	(void)state;
	route_add_allow(&b, routes_methods(r));
	assert_buffer(&b, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
	routes_free(&r);
}

static void check_refused(struct route first, struct route second, int err, int bad)
{
	struct route rows[] = {first, second};
	const struct route *ret_bad = NULL;
	struct routes *r = NULL;

	assert_int_equal(routes_new(rows, 2, &r, &ret_bad), err);
	assert_null(r);
	assert_ptr_equal(ret_bad, &rows[bad]);
}

static void test_bad_tables(void **state)
{
	const struct route good = ROW(HTTP_GET, "/a/{id}");

	(void)state;
	check_refused(good, good, -ERR_EXISTS, 1);
	/* the name of a parameter does not make it another path */
	check_refused(good, (struct route)ROW(HTTP_GET, "/a/{other}"), -ERR_EXISTS, 1);
	check_refused(good, (struct route)ROW(HTTP_GET, ""), -ERR_INVAL, 1);
	check_refused((struct route)ROW(HTTP_GET, "a"), good, -ERR_INVAL, 0);
	check_refused(good, (struct route)ROW(HTTP_GET, "/a//b"), -ERR_INVAL, 1);
	check_refused(good, (struct route)ROW(HTTP_GET, "//a"), -ERR_INVAL, 1);
	check_refused(good, (struct route)ROW(HTTP_GET, "/a/{x...}/b"), -ERR_INVAL, 1);
	check_refused(good, (struct route)ROW(HTTP_GET, "/{a}/{b}/{c}"), -ERR_INVAL, 1);
	check_refused(good, (struct route)ROW(HTTP_OPTIONS, "/b"), -ERR_INVAL, 1);
	check_refused(good, (struct route)ROW(HTTP_OTHER, "/b"), -ERR_INVAL, 1);
}

static void test_same_path_other_method(void **state)
{
	const struct route rows[] = {ROW(HTTP_GET, "/a/{id}"), ROW(HTTP_POST, "/a/{other}")};
	struct routes *r = routes_of(rows, 2);
	struct route_match m;

	(void)state;
	assert_int_equal(route_find(r, HTTP_POST, STR("/a/1"), &m), ROUTE_FOUND);
	assert_ptr_equal(m.route, &rows[1]);
	routes_free(&r);
	routes_free(&r);
}

static void test_describe(void **state)
{
	const struct route row = {
		.method = HTTP_POST,
		.path = "/a",
		.handler = nothing,
		.handler_name = "nothing",
		.shape = CALL_SHAPE_S1,
		.auth = ROUTE_AUTH_GUEST,
		.rate = ROUTE_RATE_WRITE,
		.body = ROUTE_BODY_JSON,
		.summary = "Says \"a\".",
	};
	const struct route rows[] = {row, row};
	struct buf b = BUF_INIT;

	(void)state;
	route_describe(rows, 1, &b);
	assert_buffer(&b, "[{\"method\":\"POST\",\"path\":\"/a\",\"handler\":\"nothing\","
			  "\"shape\":\"s1\",\"auth\":\"guest\",\"rate\":\"write\","
			  "\"body\":\"json\","
			  "\"summary\":\"Says \\\"a\\\".\"}]");
	route_describe(rows, 2, &b);
	assert_contains(buf_str(&b), "\"},{\"method\"");
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),	   cmocka_unit_test(test_params),
		cmocka_unit_test(test_allow),	   cmocka_unit_test(test_all_methods),
		cmocka_unit_test(test_bad_tables), cmocka_unit_test(test_same_path_other_method),
		cmocka_unit_test(test_describe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
