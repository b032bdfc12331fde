/* SPDX-License-Identifier: MIT */
/*
 * The audit log: adding what no other statement adds, chaining it, showing it.
 * Acts that change something write their row in their own transaction.
 */
#ifndef SQL_AUDIT_H
#define SQL_AUDIT_H

#include "base/base.h"
#include "base/buf.h"
#include "sql/db.h"
#include "sql/messages.h"

struct audit_entry {
	int64_t actor; /* 0: nobody in particular, or the system */
	struct str action;
	int64_t conv, target; /* 0: none */
	struct str detail;    /* a JSON object; p == NULL: none. Never message text. */
};

typedef void audit_done_fn(void *arg, int err);
int audit_add(struct db *db, const struct audit_entry *entry, uint64_t deadline_ms,
	      audit_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* Chains new rows, one process at a time. N: how many it were; -1: another one is at it. */
typedef void audit_linked_fn(void *arg, int err, int64_t n);
int audit_link(struct db *db, int most, uint64_t deadline_ms, audit_linked_fn *done, void *arg,
	       uint64_t *ret_token) MUST_CHECK;

struct audit_filter {
	int64_t after; /* id */
	int64_t conv, actor; /* 0: any */
	struct str action;   /* p == NULL: any */
	int limit;	     /* 1 to 500, else cut */
};

/*
 * {"entries":[{"id","at","actor":{"id","name"} or null,"action","conversation_id",
 * "target":{"id","name"} or null,"detail","n","hash"}…],"next":id or null}: ascending by id. "n"
 * and "hash" (hex) are null until it is chained.
 */
int audit_page(struct db *db, const struct audit_filter *filter, uint64_t deadline_ms,
	       page_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* ---- For the operator's command: synchronous, over a connection of its own ---- */

/*
 * One entry as JSON text in one line, in the form of audit_page. Borrowed during the call; false
 * ends it.
 */
typedef bool audit_entry_fn(void *arg, struct str json);

/* All entries after AFTER. Returns 0, -ERR_UNAVAILABLE, -ERR_DB, the reason appended to REPORT. */
int audit_export(const char *url, int64_t after, audit_entry_fn *on_entry, void *arg,
		 struct buf *report) MUST_CHECK;

struct audit_fault {
	int64_t n, id;	    /* place in the chain, row */
	struct str problem; /* "gap", "missing", "changed", "unchained" */
};
typedef void audit_fault_fn(void *arg, const struct audit_fault *fault);

/*
 * Chains what is new, then computes the whole chain again. *RET_N: its length; RET_HEAD: hex of its
 * last hash, empty when there is none. Returns as audit_export, 0 also when there are faults.
 */
int audit_verify(const char *url, audit_fault_fn *on_fault, void *arg, int64_t *ret_n,
		 char ret_head[65], struct buf *report) MUST_CHECK;

#endif
