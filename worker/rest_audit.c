/* SPDX-License-Identifier: MIT */
/*
 * The audit log over REST, for the server's administrators.
 * Rows and their chain are sql/audit.h's.
 */
#include "sql/audit.h"
#include "worker/dbio.h"
#include "worker/rest.h"
#include "worker/routes.h"

#define LIST_DEFAULT 100
#define LIST_MAX 500
#define ACTION_MAX 100

void rest_audit_list(struct call *call)
{
	struct audit_filter filter = {0};
	struct buf action = BUF_INIT;
	int64_t limit = LIST_DEFAULT;
	struct fault fault;
	int r = 0;

	if (rest_query_number(call->req, "cursor", 0, INT64_MAX, &filter.after, &fault) ==
		    -ERR_INVAL ||
	    rest_query_number(call->req, "limit", 1, LIST_MAX, &limit, &fault) == -ERR_INVAL ||
	    rest_query_number(call->req, "conversation", 1, INT64_MAX, &filter.conv, &fault) ==
		    -ERR_INVAL ||
	    rest_query_number(call->req, "actor", 1, INT64_MAX, &filter.actor, &fault) ==
		    -ERR_INVAL) {
		call_fault(call, &fault, NULL);
		return;
	}
	if (http_query_get(call->req, "action", &action) == 0 && action.len <= ACTION_MAX)
		filter.action = buf_str(&action);
	filter.limit = (int)limit;
	r = audit_page(dbio_reader(call->wk), &filter, dbio_deadline(call->wk), rest_page, call,
		       NULL);
	buf_done(&action);
	if (r < 0)
		call_db_error(call, r);
}
