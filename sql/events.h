/* SPDX-License-Identifier: MIT */
/*
 * The log of a conversation: durable events other than sends, and ranges of it for catch-up and
 * holes. Rows come back in binary; how a dialect shows them is decided above.
 */
#ifndef SQL_EVENTS_H
#define SQL_EVENTS_H

#include "base/base.h"
#include "base/ids.h"
#include "sql/db.h"

enum kind {
#define X(id, number, name) KIND_##id = number,
#include "sql/kinds.def"
#undef X
};

/* Name on the wire, "" for a number this build does not know. Static. */
const char *kind_name(int64_t kind);

/* ---- One durable event that is no message ---- */

struct event_new {
	int64_t conv;
	enum kind kind;		   /* any but KIND_MESSAGE_NEW */
	int64_t actor;		   /* user id, 0 = the system */
	int64_t target_rev;	   /* the row it is about, 0 = none */
	struct uuid client_msg_id; /* idempotency key; zero: given here */
	struct str content;	   /* p == NULL = none */
	struct str meta_json;	   /* JSON object text; p == NULL = none */
};

struct event_numbers {
	int64_t conv, rev, seq, at_ms;
	bool is_duplicate; /* stored earlier under the same key */
};

/*
 * ERR: 0, -ERR_NOENT no such open conversation, -ERR_INVAL, -ERR_UNAVAILABLE, -ERR_DB. NUMBERS
 * is NULL unless ERR is 0.
 */
typedef void event_done_fn(void *arg, int err, const struct event_numbers *numbers);

/*
 * Appends one row to the log with the next rev. It updates no other row: the statement of the event
 * itself (room_close, for one) does both where they belong together.
 * Returns 0, -ERR_FULL or -ERR_INVAL. RET_TOKEN as in db_submit.
 */
int event_persist(struct db *db, const struct event_new *ev, uint64_t deadline_ms,
		  event_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* ---- Reading ---- */

/* Columns of event_row_get; a statement may have others behind them. */
#define EVENT_ROW_COLUMNS 16

struct event_row {
	int64_t conv;
	int64_t rev, seq, at_ms;
	int64_t kind;		   /* enum kind, KIND_BASE, or a number of a newer build */
	int64_t actor;		   /* user id, 0 = the system */
	struct str actor_name;	   /* empty when there is no such user */
	struct uuid client_msg_id; /* zero when none */
	int64_t target_rev;	   /* for a message: the row it replies to; 0 = none */
	int64_t subject;	   /* user it was done to, 0 = none */
	struct str subject_name;   /* empty when there is no such user */
	struct str key;		   /* emoji, role, or what was updated; p == NULL: none */
	struct str content;	   /* see below; p == NULL: none, or deleted */
	struct str meta_json;	   /* p == NULL: none */
	int64_t edited_at_ms;	   /* 0 = never */
	int64_t deleted_at_ms;	   /* 0 = not deleted */
};

/*
 * What content is: of a message its present text; of an edit the text it gave; of a recovery the
 * present text of what came back; of an update the new value. No text of a message that is deleted
 * now leaves in any of them.
 */

/*
 * The kind of a row that is no event: the log up to its rev is gone and nothing is left. It comes
 * alone, in place of an empty page, so that an emptied log differs from one with nothing new. A log
 * that has lost its beginning shows it by a first row above the one asked for.
 */
#define KIND_BASE 0

/*
 * Row I of the result, I below db_rows(res); strings are borrowed from the result. All functions
 * below answer with such rows, in ascending rev; an unknown conversation has none.
 */
void event_row_get(const struct db_result *res, int i, struct event_row *ret);

/*
 * What N pairs of an actor and a key stand for, for whoever has lost the first answer: rows as
 * above, in any order; pairs that nobody has used have none. DONE as for a range.
 */
int events_by_key(struct db *db, const int64_t *actors, const struct uuid *keys, size_t n,
		  uint64_t deadline_ms, db_rows_fn *done, void *arg,
		  uint64_t *ret_token) MUST_CHECK;

/* The place of row I's pair among the N, from 0 on; N or more in a result that is not one. */
size_t event_by_key_place(const struct db_result *res, int i);

typedef void events_settled_fn(void *arg, int err);

/*
 * Waits until a transaction that is numbering events of CONV now has ended, also one whose client
 * has died: what is read afterwards holds all that such a client may have committed.
 * ERR: 0 (an unknown conversation too), -ERR_UNAVAILABLE, -ERR_DB.
 */
int events_settle(struct db *db, int64_t conv, uint64_t deadline_ms, events_settled_fn *done,
		  void *arg, uint64_t *ret_token) MUST_CHECK;

/* At most LIMIT rows with rev > AFTER_REV, closed conversations included. */
int events_after(struct db *db, int64_t conv, int64_t after_rev, int limit, uint64_t deadline_ms,
		 db_rows_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* The rows FIRST_REV to LAST_REV, both included: the missing piece of a stream. */
int events_between(struct db *db, int64_t conv, int64_t first_rev, int64_t last_rev,
		   uint64_t deadline_ms, db_rows_fn *done, void *arg,
		   uint64_t *ret_token) MUST_CHECK;

#endif
