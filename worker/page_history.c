/* SPDX-License-Identifier: MIT */
/*
 * What the caller has ever sent in rooms with codes: a page, or JSON for those who prefer it.
 */
#include "proto/http_field.h"
#include "proto/json.h"
#include "sql/codes.h"
#include "worker/dbio.h"
#include "worker/pages.h"
#include "worker/rest.h"
#include "worker/routes.h"

#define PAGE_DEFAULT 50
#define PAGE_MAX 200
#define DEPTH_MAX 4

/* A page that was asked for; one block. */
struct history {
	struct call *call;
	struct rest_marker before;
	int64_t limit;
	bool is_json;
};

static bool prefers_json(const struct http_request *req)
{
	struct buf accept = BUF_INIT;
	bool is_told = http_header_join(req, "Accept", &accept);
	struct str list = buf_str(&accept);
	bool is_json = is_told && http_type_quality(list, "application/json") >
					  http_type_quality(list, "text/html");

	buf_done(&accept);
	return is_json;
}

static struct str text_of(const struct json_value *v, const char *key)
{
	struct str s = STR("");

	(void)!json_to_str(json_get(v, key), &s);
	return s;
}

static void add_row(struct call *call, struct buf *html, const struct json_value *m)
{
	pages_fill(call, html, "row.html",
		  (struct html_value[]){
			  {"room", text_of(m, "room"), false},
			  {"time", text_of(m, "timestamp"), false},
			  {"content", text_of(m, "content"), false},
		  },
		  3);
}

/* A full page may have another one behind it. */
static void add_older(const struct history *h, struct buf *html, const struct json_value *all)
{
	size_t n = json_count(all);
	char limit[24];

	if (n == 0 || n < (size_t)h->limit)
		return;
	snprintf(limit, sizeof(limit), "%" PRId64, h->limit);
	pages_fill(h->call, html, "older.html",
		  (struct html_value[]){
			  {"before", text_of(json_at(all, n - 1), "id"), false},
			  {"limit", str_of(limit), false},
		  },
		  2);
}

static void render(struct history *h, const struct json_value *all)
{
	struct buf rows = BUF_INIT, older = BUF_INIT;

	for (size_t i = 0; i < json_count(all); i++)
		add_row(h->call, &rows, json_at(all, i));
	add_older(h, &older, all);
	pages_answer(h->call, 200, "history.html",
		    (struct html_value[]){
			    {"name", str_of(h->call->who.name), false},
			    {"rows", buf_str(&rows), true},
			    {"none", rows.len ? STR("") : STR("Nothing yet."), false},
			    {"older", buf_str(&older), true},
		    },
		    4);
	buf_done(&rows);
	buf_done(&older);
}

static void on_page(void *arg, int err, struct str json)
{
	struct history *h = arg;
	struct json_doc *doc = NULL;

	if (err < 0)
		call_db_error(h->call, err);
	else if (h->is_json)
		call_answer(h->call, 200, "application/json",
			    "Cache-Control: no-store\r\nVary: Accept\r\n", json);
	else if (json_parse(json, DEPTH_MAX, &doc, NULL) < 0)
		call_error(h->call, E_INTERNAL, NULL);
	else
		render(h, json_root(doc));
	json_doc_free(&doc);
	free(h);
}

/* Returns 0, or -ERR_INVAL and the fault. */
static int history_parse(const struct http_request *req, struct history *ret, struct fault *fault)
{
	int r = rest_query_marker(req, "before", &ret->before, fault);

	if (r == 0 && !ret->before.conv) /* a number alone says nothing without a room */
		fault_field(fault, FAULT_VALUE, "before", 0);
	if (r == -ERR_INVAL || (r == 0 && !ret->before.conv))
		return -ERR_INVAL;
	r = rest_query_number(req, "limit", 1, PAGE_MAX, &ret->limit, fault);
	return r == -ERR_NOENT ? 0 : r;
}

void page_history(struct call *call)
{
	struct history *h = xcalloc(1, sizeof(*h));
	struct fault fault;
	int r;

	*h = (struct history){
		.call = call, .limit = PAGE_DEFAULT, .is_json = prefers_json(call->req)};
	if (h->is_json)
		call->shape = CALL_SHAPE_PROBLEM;
	if (!call->who.user) {
		if (h->is_json)
			call_error(call, E_UNAUTHORIZED, NULL);
		else
			pages_needs_room(call);
		free(h);
		return;
	}
	if (history_parse(call->req, h, &fault) < 0) {
		call_fault(call, &fault, NULL);
		free(h);
		return;
	}
	r = code_history(dbio_reader(call->wk), call->who.user, h->before.conv, h->before.rev,
			 (int)h->limit, dbio_deadline(call->wk), on_page, h, NULL);
	if (r < 0)
		on_page(h, r, STR(""));
}
