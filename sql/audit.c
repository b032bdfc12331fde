/* SPDX-License-Identifier: MIT */
/*
 * The audit log's statements for the workers, and its export and verification for the operator.
 * Chaining and hashing are the schema's.
 */
#include "sql/audit.h"

#include <libpq-fe.h>

#include "sql/database.h"
#include "sql/page_priv.h"

#define PAGE_LIMIT 500

static void on_added(const struct db_call *call, const struct db_result *res)
{
	((audit_done_fn *)call->then)(call->arg, db_result_err(res));
}

int audit_add(struct db *db, const struct audit_entry *entry, uint64_t deadline_ms,
	      audit_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, entry->actor);
	db_args_text(&args, entry->action);
	db_args_i64_or_null(&args, entry->conv);
	db_args_i64_or_null(&args, entry->target);
	db_args_text(&args, entry->detail);
	return db_ask(db, STMT_AUDIT_ADD, &args, deadline_ms, on_added,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

static void on_linked(const struct db_call *call, const struct db_result *res)
{
	int err = db_result_err(res);

	((audit_linked_fn *)call->then)(call->arg, err, err ? 0 : db_get_i64(res, 0, 0));
}

int audit_link(struct db *db, int most, uint64_t deadline_ms, audit_linked_fn *done, void *arg,
	       uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i32(&args, most);
	return db_ask(db, STMT_AUDIT_LINK, &args, deadline_ms, on_linked,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

int audit_page(struct db *db, const struct audit_filter *filter, uint64_t deadline_ms,
	       page_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, filter->after);
	db_args_i64_or_null(&args, filter->conv);
	db_args_i64_or_null(&args, filter->actor);
	db_args_text(&args, filter->action);
	db_args_i32(&args, page_limit(filter->limit, PAGE_LIMIT));
	return page_submit(db, STMT_AUDIT_PAGE, &args, deadline_ms, done, arg, ret_token);
}

/* ---- For the operator ---- */

static void ignore_notice(void *arg UNUSED, const char *text UNUSED)
{
}

static void report_line(struct buf *report, const char *what, const char *text)
{
	buf_printf(report, "%s: %.*s\n", what, (int)strcspn(text, "\n"), text);
}

/* NULL when it cannot be connected; the reason is in REPORT. */
static PGconn *open_at(const char *url, struct buf *report)
{
	static const char *const keys[] = {"fallback_application_name", "connect_timeout", "dbname",
					   NULL};
	const char *values[] = {"roomd audit", "10", url, NULL};
	PGconn *pg;

	if (!database_is_url(url)) {
		buf_add_cstr(report, "connect: not a libpq connection string\n");
		return NULL;
	}
	pg = PQconnectdbParams(keys, values, 1);
	PQsetNoticeProcessor(pg, ignore_notice, NULL);
	if (PQstatus(pg) == CONNECTION_OK)
		return pg;
	report_line(report, "connect", PQerrorMessage(pg));
	PQfinish(pg);
	return NULL;
}

/* The result of a statement with at most two numbers; NULL and a line in REPORT if it failed. */
static PGresult *run(PGconn *pg, enum stmt_id id, int64_t first, int64_t second,
		     struct buf *report)
{
	const struct stmt *s = stmt_get(id);
	char text[2][24];
	const char *values[] = {text[0], text[1]};
	PGresult *res;

	snprintf(text[0], sizeof(text[0]), "%" PRId64, first);
	snprintf(text[1], sizeof(text[1]), "%" PRId64, second);
	res = PQexecParams(pg, s->sql, s->n_params, NULL, values, NULL, NULL, 0);
	if (PQresultStatus(res) == PGRES_TUPLES_OK)
		return res;
	report_line(report, s->name, PQerrorMessage(pg));
	PQclear(res);
	return NULL;
}

static int64_t number_at(const PGresult *res, int row, int col)
{
	return strtoll(PQgetvalue(res, row, col), NULL, 10);
}

/* Everything that is there now; another process at the chain is waited for by asking again. */
static int link_all(PGconn *pg, struct buf *report)
{
	for (int i = 0; i < 10000; i++) {
		PGresult *res = run(pg, STMT_AUDIT_LINK, PAGE_LIMIT, 0, report);
		int64_t n;

		if (!res)
			return -ERR_DB;
		n = number_at(res, 0, 0);
		PQclear(res);
		if (n >= 0 && n < PAGE_LIMIT)
			return 0;
	}
	return 0;
}

int audit_export(const char *url, int64_t after, audit_entry_fn *on_entry, void *arg,
		 struct buf *report)
{
	PGconn *pg = open_at(url, report);
	bool is_more = true;
	int r;

	if (!pg)
		return -ERR_UNAVAILABLE;
	r = link_all(pg, report);
	while (r == 0 && is_more) {
		PGresult *res = run(pg, STMT_AUDIT_EXPORT, after, PAGE_LIMIT, report);
		int n = res ? PQntuples(res) : 0;

		r = res ? 0 : -ERR_DB;
		is_more = n == PAGE_LIMIT;
		for (int i = 0; i < n; i++) {
			after = number_at(res, i, 0);
			is_more &= on_entry(arg, str_of(PQgetvalue(res, i, 1)));
		}
		PQclear(res);
	}
	PQfinish(pg);
	return r;
}

static int recompute(PGconn *pg, audit_fault_fn *on_fault, void *arg, int64_t *ret_n,
		     char ret_head[65], struct buf *report)
{
	PGresult *faults = run(pg, STMT_AUDIT_VERIFY, 0, 0, report);
	PGresult *head = faults ? run(pg, STMT_AUDIT_HEAD, 0, 0, report) : NULL;

	for (int i = 0; head && i < PQntuples(faults); i++) {
		const struct audit_fault f = {.n = number_at(faults, i, 0),
					      .id = number_at(faults, i, 1),
					      .problem = str_of(PQgetvalue(faults, i, 2))};

		on_fault(arg, &f);
	}
	if (head) {
		*ret_n = PQntuples(head) ? number_at(head, 0, 0) : 0;
		snprintf(ret_head, 65, "%s", PQntuples(head) ? PQgetvalue(head, 0, 1) : "");
	}
	PQclear(faults);
	PQclear(head);
	return head ? 0 : -ERR_DB;
}

int audit_verify(const char *url, audit_fault_fn *on_fault, void *arg, int64_t *ret_n,
		 char ret_head[65], struct buf *report)
{
	PGconn *pg = open_at(url, report);
	int r;

	if (!pg)
		return -ERR_UNAVAILABLE;
	r = link_all(pg, report);
	if (r == 0)
		r = recompute(pg, on_fault, arg, ret_n, ret_head, report);
	PQfinish(pg);
	return r;
}
