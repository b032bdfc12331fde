/* SPDX-License-Identifier: MIT */
/*
 * What people are in conversations, for the workers' caches; lists of members; mutes; reports.
 * Joins, leaves, roles and bans are rows of the log: changes.h. Who may do it is decided above.
 */
#ifndef SQL_MEMBERS_H
#define SQL_MEMBERS_H

#include "base/base.h"
#include "base/ids.h"
#include "sql/changes.h"
#include "sql/db.h"
#include "sql/messages.h"

/* For ever. */
#define MEMBER_FOR_EVER INT64_MAX

/* Pairs in one question, and exceptions of one open room in its answer. */
#define MEMBERS_ROLES_MAX 1024
#define MEMBERS_EXCEPTIONS_MAX 2000

struct member_row {
	int64_t conv;
	bool is_open;	/* to all who know of it: a room, a code */
	bool has_code;	/* of the two, a code */
	bool is_owned;	/* by somebody with an account */
	bool is_closed; /* for good */
	int64_t slow_ms;
	int64_t user;	 /* 0: nobody's row, the conversation's own */
	struct str role; /* borrowed from the result */
	bool is_member;	 /* else a former one, a banned one, or only marks */
	int64_t muted_until_ms, banned_until_ms; /* since 1970; 0: not, or a ban for good */
	int64_t pair[2]; /* whose conversation it is when it is direct; else 0 */
};

/*
 * Where to begin in each open conversation that USER is a member of, the newest LIMIT of them: rows
 * for member_place_get. At 0 in those made at SINCE_MS (since 1970; 0: none) or later, else at the
 * last revision.
 */
int member_places(struct db *db, int64_t user, int64_t since_ms, int limit, uint64_t deadline_ms,
		  db_rows_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;
void member_place_get(const struct db_result *res, int i, int64_t *ret_conv, int64_t *ret_rev);

/*
 * The rows of N pairs (1 to MEMBERS_ROLES_MAX) of conversation and user, and of open conversations
 * everybody who is not simply a member, at most MEMBERS_EXCEPTIONS_MAX of each. Ascending by
 * conversation; at least one row for each that exists, for members_roles_row.
 */
int members_roles(struct db *db, const int64_t *convs, const int64_t *users, size_t n,
		  uint64_t deadline_ms, db_rows_fn *done, void *arg,
		  uint64_t *ret_token) MUST_CHECK;
void members_roles_row(const struct db_result *res, int i, struct member_row *ret);

/* ---- What changed ---- */

/* What a transaction changed: USER's rights in CONV, or with user 0 those of everybody. */
struct right_change {
	int64_t xid, conv, user;
};

#define RIGHTS_CHANGED_MAX 1000 /* in one answer: then there may be more */

/*
 * SEEN is the snapshot of this look, borrowed as RES. IS_OTHER: the one that was given belongs to
 * another database, and anything may have changed.
 */
typedef void rights_changed_fn(void *arg, int err, struct str seen, bool is_other,
			       const struct db_result *res);

/*
 * Changes that became visible after the look whose snapshot was SEEN (p NULL: nothing, but for the
 * snapshot to begin with) in the order of AFTER, those behind it. A change is told once to who
 * asks on with the first SEEN of a row of answers, when they have come to an end.
 */
int rights_changed(struct db *db, struct str seen, const struct right_change *after,
		   uint64_t deadline_ms, rights_changed_fn *done, void *arg,
		   uint64_t *ret_token) MUST_CHECK;
int rights_changed_rows(const struct db_result *res);
void rights_changed_row(const struct db_result *res, int i, struct right_change *ret);

/* ---- Lists ---- */

/*
 * {"members":[{"user":{"id","uid","name","kind"},"role","joined_at","muted_until"?,"mute_reason"?,
 * "banned_until"?,"ban_reason"?}…],"next":id or null}: by user id after AFTER. BANNED: those who
 * are banned, instead of the members. WITH_REASONS: for moderators.
 */
int members_list(struct db *db, int64_t conv, bool banned, bool with_reasons, int64_t after,
		 int limit, uint64_t deadline_ms, page_done_fn *done, void *arg,
		 uint64_t *ret_token) MUST_CHECK;

/* One element of that list; -ERR_NOENT when there is no row. */
int members_get(struct db *db, int64_t conv, int64_t user, bool with_reasons, uint64_t deadline_ms,
		page_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* ---- Mutes ---- */

/* ERR 0, also when it is so already; -ERR_NOENT no such conversation or user; -ERR_DENIED. */
typedef void member_done_fn(void *arg, int err);

/*
 * Takes the word from USER until UNTIL_MS (since 1970, MEMBER_FOR_EVER), or gives it back (0), with
 * its row in the audit.
 */
struct mute {
	int64_t conv, actor, user;
	int64_t until_ms;
	struct str reason;  /* up to 500 characters; p NULL: none */
	struct str address; /* of the actor's client; p NULL: unknown */
	struct role_need need;
};

int member_mute(struct db *db, const struct mute *mute, uint64_t deadline_ms, member_done_fn *done,
		void *arg, uint64_t *ret_token) MUST_CHECK;

/* ---- Reports ---- */

struct report_new {
	int64_t conv, reporter;
	int64_t rev;  /* of the message; 0: about the person */
	int64_t user; /* 0: the message's author */
	struct str reason;
	struct str address; /* p == NULL: unknown */
};

/*
 * JSON: the report as in the list. The same once more by the same person is the first one.
 * -ERR_NOENT: no such message or person.
 */
int report_create(struct db *db, const struct report_new *report, uint64_t deadline_ms,
		  page_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/*
 * {"reports":[{"id","at","conversation_id","reporter":{"id","name"},"user":{"id","name"},
 * "message_id"?,"content"?,"reason","status","note"?,"resolved_by"?,"resolved_at"?}…],"next"}: of
 * CONV, or of all conversations (0), by id after AFTER. STATUS "open", "resolved", "dismissed";
 * empty: all.
 */
int reports_list(struct db *db, int64_t conv, struct str status, int64_t after, int limit,
		 uint64_t deadline_ms, page_done_fn *done, void *arg,
		 uint64_t *ret_token) MUST_CHECK;

/* The report after it was resolved; -ERR_NOENT: no such open report in CONV (0: anywhere). */
int report_resolve(struct db *db, int64_t id, int64_t conv, int64_t actor, struct str status,
		   struct str note, struct str address, uint64_t deadline_ms, page_done_fn *done,
		   void *arg, uint64_t *ret_token) MUST_CHECK;

/* The conversation of a report, by its id; -ERR_NOENT. */
typedef void report_conv_fn(void *arg, int err, int64_t conv);
int report_conversation(struct db *db, int64_t id, uint64_t deadline_ms, report_conv_fn *done,
			void *arg, uint64_t *ret_token) MUST_CHECK;

#endif
