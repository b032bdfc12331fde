/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/site.c and static.c: what is read from a folder, and which form or part a request
 * gets. Statuses and fields follow RFC 9110 sections 8.8, 12.5.3, 13 and 14; hashes were made with
 * sha256sum.
 */
#include "worker_test.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/http.h"
#include "worker/call.h"
#include "worker/routes.h"
#include "worker/static.h"

/* printf 'body{}' | gzip -9n */
static const uint8_t body_gz[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02,
				  0x03, 0x4b, 0xca, 0x4f, 0xa9, 0xac, 0xae, 0x05, 0x00,
				  0x59, 0x71, 0x87, 0xe2, 0x06, 0x00, 0x00, 0x00};

/* sha256sum of 200 letters 'a' */
#define LONG_HASH "c2a908d98f5df987ade41b5fce213067efbcc21ef2240212a41e54b5e7c28ae5"
#define LONG_ETAG "\"c2a908d98f5df987ade41b5fce213067\""
#define LONG_GZ_ETAG "\"c2a908d98f5df987ade41b5fce213067-gz\""
#define LONG_VERSION "c2a908d98f5d"
#define LONG_LEN 200

/* 2024-05-06T07:08:09Z */
#define MODIFIED 1714979289
#define MODIFIED_DATE "Mon, 06 May 2024 07:08:09 GMT"
#define BEFORE_DATE "Mon, 06 May 2024 07:08:08 GMT"

static char root[] = "/tmp/roomd-test-XXXXXX";

/* ---- A folder to read ---- */

static void put(const char *name, const void *bytes, size_t len)
{
	const struct timespec times[2] = {{MODIFIED, 0}, {MODIFIED, 0}};
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static void make_dir(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int setup(void **state)
{
	(void)state;
	memcpy(root + sizeof(root) - 7, "XXXXXX", 6);
	assert_non_null(mkdtemp(root));
	make_dir("static");
	put_text("index.html", "<p>hello</p>");
	return 0;
}

static struct site *load(void)
{
	struct site *site = NULL;

	assert_int_equal(site_load(root, &site), 0);
	return site;
}

static char *long_text(void)
{
	static char text[LONG_LEN + 1];

	memset(text, 'a', LONG_LEN);
	return text;
}

/* printf 'a%.0s' {1..200} | gzip -9n */
static const uint8_t long_gz[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03,
				  0x4b, 0x4c, 0x1c, 0x1e, 0x00, 0x00, 0x58, 0xf0, 0x9a, 0x59,
				  0xc8, 0x00, 0x00, 0x00};

/* ---- Reading ---- */

static void test_load(void **state)
{
	const struct asset *a;
	struct site *site;

	(void)state;
	make_dir("static/css");
	put_text("static/css/long.css", long_text());
	put_text("static/.hidden", "x");
	put_text("favicon.ico", "x");
	put_text("static/tool.unknown", "x");
	site = load();
	assert_int_equal(site->n_files, 4);
	a = site_find(site, STR("/static/css/long.css"));
	assert_non_null(a);
	assert_string_equal(a->type, "text/css; charset=utf-8");
	assert_string_equal(a->plain.etag, LONG_ETAG);
	assert_string_equal(a->version, LONG_VERSION);
	assert_string_equal(a->last_modified, MODIFIED_DATE);
	assert_int_equal(a->plain.len, LONG_LEN);
	assert_null(a->gzip.bytes);
	assert_non_null(site_find(site, STR("/favicon.ico")));
	assert_string_equal(site_find(site, STR("/static/tool.unknown"))->type,
			    "application/octet-stream");
	assert_true(site_find(site, STR("/"))->is_html);
	assert_null(site_find(site, STR("/index.html")));
	assert_null(site_find(site, STR("/static/.hidden")));
	assert_null(site_find(site, STR("/static/css")));
	assert_null(site_find(site, STR("/static/css/")));
	site_free(&site);
	assert_null(site);
	site_free(&site);
}

static void test_media_types(void **state)
{
	(void)state;
	assert_string_equal(site_media_type("a.html"), "text/html; charset=utf-8");
	assert_string_equal(site_media_type("a.b.js"), "text/javascript; charset=utf-8");
	assert_string_equal(site_media_type("a.svg"), "image/svg+xml");
	assert_string_equal(site_media_type("a.png"), "image/png");
	assert_string_equal(site_media_type("a.ico"), "image/x-icon");
	assert_string_equal(site_media_type("a.woff2"), "font/woff2");
	assert_string_equal(site_media_type("a.json"), "application/json");
	assert_string_equal(site_media_type("a.yaml"), "application/yaml");
	assert_string_equal(site_media_type("html"), "application/octet-stream");
	assert_string_equal(site_media_type("a.HTML"), "application/octet-stream");
}

static void test_no_links_out(void **state)
{
	char path[512];
	struct site *site;

	(void)state;
	snprintf(path, sizeof(path), "%s/static/passwd.txt", root);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	snprintf(path, sizeof(path), "%s/static/etc", root);
	assert_int_equal(symlink("/etc", path), 0);
	snprintf(path, sizeof(path), "%s/static/pipe", root);
	assert_int_equal(mkfifo(path, 0600), 0);
	site = load();
	assert_int_equal(site->n_files, 1);
	site_free(&site);
}

static void test_load_fails(void **state)
{
	struct site *site = NULL;
	char path[512];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/static/huge", root);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, SITE_FILE_MAX + 1), 0);
	close(fd);
	assert_int_equal(site_load(root, &site), -ERR_TOOBIG);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/index.html", root);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(site_load(root, &site), -ERR_NOENT);
	assert_int_equal(site_load("/nonexistent", &site), -ERR_NOENT);
	assert_null(site);
}

static void test_versions_in_page(void **state)
{
	const struct asset *page;
	struct site *site;

	(void)state;
	put_text("static/long.css", long_text());
	put_text("index.html", "<a href=\"/static/long.css\"><b src=\"/static/none.js\">"
			       "<i x=\"/static/");
	put("index.html.gz", body_gz, sizeof(body_gz));
	site = load();
	page = site_find(site, STR("/"));
	assert_text(((struct str){(char *)page->plain.bytes, page->plain.len}),
		    "<a href=\"/static/long.css?v=" LONG_VERSION
		    "\"><b src=\"/static/none.js\"><i x=\"/static/");
	assert_null(page->gzip.bytes);
	site_free(&site);
}

static void test_gzip_must_match(void **state)
{
	char other[LONG_LEN];
	const struct asset *a;
	struct site *site;

	(void)state;
	put_text("static/long.css", long_text());
	put("static/long.css.gz", long_gz, sizeof(long_gz));
	put_text("static/old.css", "another text, which is longer than the old form");
	put("static/old.css.gz", body_gz, sizeof(body_gz));
	put_text("static/odd.css", long_text());
	put_text("static/odd.css.gz", "no gzip at all, though of a fair length");
	put("static/orphan.css.gz", long_gz, sizeof(long_gz));
	/* as long as what the compressed form holds, but another text */
	memset(other, 'b', LONG_LEN);
	put("static/other.css", other, LONG_LEN);
	put("static/other.css.gz", long_gz, sizeof(long_gz));
	site = load();
	assert_int_equal(site->n_files, 5);
	a = site_find(site, STR("/static/long.css"));
	assert_int_equal(a->gzip.len, sizeof(long_gz));
	assert_memory_equal(a->gzip.bytes, long_gz, sizeof(long_gz));
	assert_string_equal(a->gzip.etag, LONG_GZ_ETAG);
	assert_null(site_find(site, STR("/static/old.css"))->gzip.bytes);
	assert_null(site_find(site, STR("/static/odd.css"))->gzip.bytes);
	assert_null(site_find(site, STR("/static/other.css"))->gzip.bytes);
	assert_null(site_find(site, STR("/static/long.css.gz")));
	assert_null(site_find(site, STR("/static/orphan.css.gz")));
	site_free(&site);
}

/* ---- Answers ---- */

static struct {
	int status;
	char *type, *fields;
	struct buf body;
	enum proto_error error;
} answer;

/* In the place of call.c: notes what would be sent. */
void call_answer(struct call *call, int status, const char *type, const char *headers,
		 struct str body)
{
	(void)call;
	answer.status = status;
	answer.type = type ? strdup(type) : NULL;
	answer.fields = strdup(headers);
	buf_add_str(&answer.body, body);
}

void call_error(struct call *call, enum proto_error error, const char *detail)
{
	(void)call;
	(void)detail;
	answer.status = error_info(error)->http_status;
	answer.error = error;
	answer.fields = strdup("");
}

void call_fault(struct call *call, const struct fault *fault, const char *headers)
{
	(void)call;
	answer.status = error_info(fault->error)->http_status;
	answer.error = fault->error;
	answer.fields = strdup(headers);
}

static void answer_done(void)
{
	free(answer.type);
	free(answer.fields);
	buf_done(&answer.body);
	memset(&answer, 0, sizeof(answer));
}

/* Asks for TARGET with these header lines, for a site made by setup_site. */
static void ask(struct site *site, const char *method, const char *target, const char *fields)
{
	const struct http_limits limits = {.header_max = 4096, .target_max = 1024, .body_max = 16};
	struct http_in *in = http_in_new(&limits);
	struct worker *wk = xcalloc(1, sizeof(*wk));
	struct buf text = BUF_INIT;
	struct call call = {.wk = wk};
	size_t used;

	answer_done();
	wk->site = site;
	buf_printf(&text, "%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n", method, target, fields);
	assert_int_equal(http_feed(in, text.p, text.len, &used), 0);
	call.req = http_request(in);
	static_page(&call);
	http_in_free(&in);
	buf_done(&text);
	free(wk);
}

static void check(struct site *site, const char *fields, int status, size_t len)
{
	ask(site, "GET", "/static/long.css", fields);
	if (answer.status != status || answer.body.len != len)
		fail_msg("%s: %d with %zu bytes, not %d with %zu", fields, answer.status,
			 answer.body.len, status, len);
}

static int setup_site(void **state)
{
	setup(state);
	put_text("static/long.css", long_text());
	put("static/long.css.gz", long_gz, sizeof(long_gz));
	put_text("static/pl\303\244n.txt", "0123456789");
	*state = load();
	return 0;
}

static int teardown_site(void **state)
{
	site_free((struct site **)state);
	answer_done();
	return teardown(state);
}

static void test_whole(void **state)
{
	check(*state, "", 200, LONG_LEN);
	assert_string_equal(answer.type, "text/css; charset=utf-8");
	assert_contains(str_of(answer.fields), "ETag: " LONG_ETAG "\r\n");
	assert_contains(str_of(answer.fields), "Last-Modified: " MODIFIED_DATE "\r\n");
	assert_contains(str_of(answer.fields), "Accept-Ranges: bytes\r\n");
	assert_contains(str_of(answer.fields), "Vary: Accept-Encoding\r\n");
	assert_contains(str_of(answer.fields),
			"Cache-Control: public, max-age=3600, must-revalidate\r\n");
	assert_lacks(str_of(answer.fields), "Content-Encoding");
	ask(*state, "GET", "/static/pl%C3%A4n.txt", "");
	assert_int_equal(answer.status, 200);
	assert_lacks(str_of(answer.fields), "Vary");
}

static void test_lifetimes(void **state)
{
	ask(*state, "GET", "/", "");
	assert_int_equal(answer.status, 200);
	assert_contains(str_of(answer.fields), "Cache-Control: no-cache\r\n");
	ask(*state, "GET", "/static/long.css?v=" LONG_VERSION, "");
	assert_contains(str_of(answer.fields),
			"Cache-Control: public, max-age=31536000, immutable\r\n");
	ask(*state, "GET", "/static/long.css?v=000000000000", "");
	assert_contains(str_of(answer.fields), "max-age=3600");
	ask(*state, "GET", "/?v=" LONG_VERSION, "");
	assert_contains(str_of(answer.fields), "no-cache");
}

static void test_not_modified(void **state)
{
	check(*state, "If-None-Match: " LONG_ETAG "\r\n", 304, 0);
	assert_null(answer.type);
	assert_contains(str_of(answer.fields), "ETag: " LONG_ETAG);
	assert_contains(str_of(answer.fields), "Vary: Accept-Encoding\r\n");
	check(*state, "If-None-Match: W/" LONG_ETAG "\r\n", 304, 0);
	check(*state, "If-None-Match: \"x\", " LONG_ETAG "\r\n", 304, 0);
	check(*state, "If-None-Match: \"x\"\r\nIf-None-Match: " LONG_ETAG "\r\n", 304, 0);
	check(*state, "If-None-Match: *\r\n", 304, 0);
	check(*state, "If-None-Match: \"x\"\r\n", 200, LONG_LEN);
	check(*state, "If-None-Match: " LONG_GZ_ETAG "\r\n", 200, LONG_LEN);
	check(*state, "If-Modified-Since: " MODIFIED_DATE "\r\n", 304, 0);
	check(*state, "If-Modified-Since: " BEFORE_DATE "\r\n", 200, LONG_LEN);
	check(*state, "If-Modified-Since: yesterday\r\n", 200, LONG_LEN);
	/* the tag is the better witness (RFC 9110 section 13.2.2) */
	check(*state, "If-None-Match: \"x\"\r\nIf-Modified-Since: " MODIFIED_DATE "\r\n", 200,
	      LONG_LEN);
}

static void test_gzip(void **state)
{
	check(*state, "Accept-Encoding: br, gzip\r\n", 200, sizeof(long_gz));
	assert_memory_equal(answer.body.p, long_gz, sizeof(long_gz));
	assert_string_equal(answer.type, "text/css; charset=utf-8");
	assert_contains(str_of(answer.fields), "Content-Encoding: gzip\r\n");
	assert_contains(str_of(answer.fields), "ETag: " LONG_GZ_ETAG "\r\n");
	assert_contains(str_of(answer.fields), "Vary: Accept-Encoding\r\n");
	check(*state, "Accept-Encoding: gzip;q=0\r\n", 200, LONG_LEN);
	check(*state, "Accept-Encoding: br\r\n", 200, LONG_LEN);
	check(*state, "Accept-Encoding: *\r\n", 200, sizeof(long_gz));
	check(*state, "Accept-Encoding: gzip\r\nIf-None-Match: " LONG_GZ_ETAG "\r\n", 304, 0);
	assert_lacks(str_of(answer.fields), "Content-Encoding");
	check(*state, "Accept-Encoding: gzip\r\nIf-None-Match: " LONG_ETAG "\r\n", 200,
	      sizeof(long_gz));
}

static void test_ranges(void **state)
{
	static const struct {
		const char *fields;
		int status;
		size_t len;
		const char *content_range; /* NULL: none */
	} cases[] = {
		{"Range: bytes=0-9\r\n", 206, 10, "bytes 0-9/200"},
		{"Range: bytes=190-\r\n", 206, 10, "bytes 190-199/200"},
		{"Range: bytes=190-1000\r\n", 206, 10, "bytes 190-199/200"},
		{"Range: bytes=-5\r\n", 206, 5, "bytes 195-199/200"},
		{"Range: bytes=-500\r\n", 206, 200, "bytes 0-199/200"},
		{"Range: bytes=200-\r\n", 416, 0, "bytes */200"},
		{"Range: bytes=-0\r\n", 416, 0, "bytes */200"},
		{"Range: bytes=9-0\r\n", 200, LONG_LEN, NULL},
		{"Range: bytes=0-1,3-4\r\n", 200, LONG_LEN, NULL},
		{"Range: lines=0-1\r\n", 200, LONG_LEN, NULL},
		{"Range: bytes=0-9\r\nAccept-Encoding: gzip\r\n", 206, 10, "bytes 0-9/200"},
		{"Range: bytes=0-9\r\nIf-Range: " LONG_ETAG "\r\n", 206, 10, "bytes 0-9/200"},
		{"Range: bytes=0-9\r\nIf-Range: W/" LONG_ETAG "\r\n", 200, LONG_LEN, NULL},
		{"Range: bytes=0-9\r\nIf-Range: \"x\"\r\n", 200, LONG_LEN, NULL},
		{"Range: bytes=0-9\r\nIf-Range: " MODIFIED_DATE "\r\n", 206, 10, "bytes 0-9/200"},
		{"Range: bytes=0-9\r\nIf-Range: " BEFORE_DATE "\r\n", 200, LONG_LEN, NULL},
		{"Range: bytes=0-9\r\nIf-None-Match: " LONG_ETAG "\r\n", 304, 0, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char want[64];

		check(*state, cases[i].fields, cases[i].status, cases[i].len);
		snprintf(want, sizeof(want), "Content-Range: %s\r\n",
			 cases[i].content_range ? cases[i].content_range : "");
		if (cases[i].content_range)
			assert_contains(str_of(answer.fields), want);
		else
			assert_lacks(str_of(answer.fields), "Content-Range");
		assert_int_equal(answer.error,
				 cases[i].status == 416 ? E_RANGE_NOT_SATISFIABLE : E_NONE);
	}
}

static void test_range_bytes(void **state)
{
	ask(*state, "GET", "/static/pl%C3%A4n.txt", "Range: bytes=2-4\r\n");
	assert_int_equal(answer.status, 206);
	assert_text(buf_str(&answer.body), "234");
	/* a range has a meaning with GET only (RFC 9110 section 14.2) */
	ask(*state, "HEAD", "/static/pl%C3%A4n.txt", "Range: bytes=2-4\r\n");
	assert_int_equal(answer.status, 200);
	assert_int_equal(answer.body.len, 10);
}

static void test_traversal(void **state)
{
	static const char *const targets[] = {
		"/static/../index.html",
		"/static/%2e%2e/index.html",
		"/static/%2e%2e%2findex.html",
		"/static/..%2f..%2f..%2fetc/passwd",
		"/static/....//....//etc/passwd",
		"/static/%252e%252e/index.html",
		"/static/..%5c..%5cetc%5cpasswd",
		"/static//etc/passwd",
		"/static/long.css/",
		"/static/long.css.gz",
		"/static/./long.css/..",
		"/static",
		"/static/",
		"/index.html",
		"/favicon.ico",
	};

	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		ask(*state, "GET", targets[i], "");
		if (answer.status != 404 || answer.error != E_NOT_FOUND)
			fail_msg("%s: %d", targets[i], answer.status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_load, setup, teardown),
		cmocka_unit_test(test_media_types),
		cmocka_unit_test_setup_teardown(test_no_links_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_load_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_versions_in_page, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gzip_must_match, setup, teardown),
		cmocka_unit_test_setup_teardown(test_whole, setup_site, teardown_site),
		cmocka_unit_test_setup_teardown(test_lifetimes, setup_site, teardown_site),
		cmocka_unit_test_setup_teardown(test_not_modified, setup_site, teardown_site),
		cmocka_unit_test_setup_teardown(test_gzip, setup_site, teardown_site),
		cmocka_unit_test_setup_teardown(test_ranges, setup_site, teardown_site),
		cmocka_unit_test_setup_teardown(test_range_bytes, setup_site, teardown_site),
		cmocka_unit_test_setup_teardown(test_traversal, setup_site, teardown_site),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
