/* SPDX-License-Identifier: MIT */
/*
 * Sessions: one row per login, many per user, each living for some days after its last use.
 * Access tokens and cookies name the row and are checked above without reading it.
 *
 * A refresh token is a session, a part that is the same for the session's whole life ("family"),
 * and a part for one use ("secret"). The row keeps hashes of both. Who shows the family and a
 * secret that is not in force has a token that was used before: it was stolen, or its thief was
 * here first, and the session ends. Who does not even know the family ends nothing.
 *
 * One exception, for answers that are lost on the way: the secret that was in force before the
 * present one is taken once more within a grace of some seconds. The next secret is derived from
 * the one shown, with a key of the server (login_token_next), so both askers are given the same
 * token, and two pages that share one token stay together. A thief who copies a token thus gains
 * nothing lasting: he and its owner hold the same token, and whoever uses it second, later than
 * the grace, ends the session for both.
 */
#ifndef SQL_LOGINS_H
#define SQL_LOGINS_H

#include "base/base.h"
#include "base/ids.h"
#include "sql/accounts.h"
#include "sql/db.h"
#include "sql/messages.h"

/* ---- The refresh token ---- */

#define LOGIN_HASH_LEN 32
#define LOGIN_TOKEN_LEN 86 /* 64 bytes in base64url without padding */

struct login_token {
	struct uuid session;
	uint8_t family[16];
	uint8_t secret[32];
};

/* A token for a new session. Returns 0, or -ERR_UNAVAILABLE without entropy. */
int login_token_new(struct login_token *ret) MUST_CHECK;

/* The token that follows OLD, by HMAC-SHA256 with KEY. The same OLD and KEY give the same token. */
void login_token_next(const struct login_token *old, const uint8_t *key, size_t key_len,
		      struct login_token *ret);

/* Writes LOGIN_TOKEN_LEN characters and a NUL. */
void login_token_format(const struct login_token *token, char ret[LOGIN_TOKEN_LEN + 1]);

/* Returns 0 or -ERR_INVAL. */
int login_token_parse(struct str text, struct login_token *ret) MUST_CHECK;

/* ---- Beginning ---- */

enum login_kind { LOGIN_REFRESH, LOGIN_COOKIE };

struct login_new {
	int64_t user;
	enum login_kind kind;
	struct login_token token; /* of login_token_new; LOGIN_COOKIE: only its session counts */
	int64_t credentials;	  /* of account_login; -1: whatever they are */
	struct str device;	  /* what the client calls itself; cut at 200 characters */
	struct str address;	  /* "192.0.2.1" or "2001:db8::1"; p == NULL: unknown */
	int64_t ttl_ms;		  /* life after the last use */
	int sessions_max; /* the user's longest unused ones beyond that many end; 0 = no limit */
};

/* Who a session belongs to, now. Strings live during the call. */
struct login {
	struct uuid session;
	int64_t user;
	struct uuid uid;
	struct str name;
	bool is_account, is_admin;
	int64_t expires_ms; /* of the session, since 1970 */
	bool is_repeat;	    /* login_refresh: the answer to the same token, once more */
};

/*
 * LOGIN is NULL unless ERR is 0. ERR: -ERR_DENIED, -ERR_UNAVAILABLE (may have happened), -ERR_DB;
 * -ERR_CLOSED: login_refresh has ended the session.
 */
typedef void login_done_fn(void *arg, int err, const struct login *login);

/*
 * Begins a session. -ERR_DENIED: the user is gone or disabled, or the credentials have changed
 * since they were looked at. -ERR_INVAL: no such address. Safe to repeat. Removes some sessions
 * that ended long ago.
 */
int login_create(struct db *db, const struct login_new *login, uint64_t deadline_ms,
		 login_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* ---- Going on ---- */

/*
 * Takes SHOWN, puts NEXT in force and prolongs the session, in one statement. -ERR_DENIED: no such
 * session, too old, ended, or its user disabled. -ERR_CLOSED: SHOWN was used before, the session
 * is ended now (tell the workers). For GRACE_MS it is no fault to show SHOWN again; to send the
 * statement again, because its answer was lost, never is.
 */
int login_refresh(struct db *db, const struct login_token *shown, const struct login_token *next,
		  int64_t ttl_ms, int64_t grace_ms, struct str address, uint64_t deadline_ms,
		  login_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/*
 * For sessions in cookies: prolongs each of N (1 to LOGIN_RENEW_MAX, each once), in one statement,
 * and says whose they are. Those that have ended, are too old or whose user is disabled have no row
 * in the answer; no session of a refresh token is prolonged by this. Safe to repeat.
 */
#define LOGIN_RENEW_MAX 512

struct login_renewal {
	struct uuid session;
	struct str address; /* as in login_new */
};

int login_renew(struct db *db, const struct login_renewal *renewals, size_t n, int64_t ttl_ms,
		uint64_t deadline_ms, db_rows_fn *done, void *arg,
		uint64_t *ret_token) MUST_CHECK;
int login_renewed_rows(const struct db_result *res);
struct login login_renewed_row(const struct db_result *res, int i); /* its name is RES's */

#define LOGIN_TOUCH_MAX 512

struct login_touch {
	struct uuid session;
	struct uuid socket; /* of a connection that was opened just now; zero: none was */
};

/*
 * Notes that N sessions (1 to LOGIN_TOUCH_MAX) are in use, in one statement, and prolongs them.
 * Those that were noted within the last minute and open no socket are left alone. Ended ones stay
 * ended. Lazily, in batches: nobody waits for it. Safe to repeat.
 */
int login_touch(struct db *db, const struct login_touch *touches, size_t n, int64_t ttl_ms,
		uint64_t deadline_ms, account_done_fn *done, void *arg,
		uint64_t *ret_token) MUST_CHECK;

/* Whether USER has or had a session from ADDRESS. -ERR_NOENT: none that is remembered. */
int login_is_known(struct db *db, int64_t user, struct str address, uint64_t deadline_ms,
		   account_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* ---- Showing and ending ---- */

/*
 * [{"id","userId","socketId","connectedAt","kind","device","address","created_at","last_seen_at",
 * "expires_at","is_current"}…] of USER, the one used last first. "socketId" and "connectedAt" are
 * those of the connection opened last, null and created_at when there was none. CURRENT may be
 * NULL.
 */
int login_list(struct db *db, int64_t user, const struct uuid *current, uint64_t deadline_ms,
	       page_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* Ends SESSION if it is USER's. -ERR_NOENT: it is not, or is over already. */
int login_revoke(struct db *db, int64_t user, const struct uuid *session, struct str address,
		 uint64_t deadline_ms, account_ended_fn *done, void *arg,
		 uint64_t *ret_token) MUST_CHECK;

/* Ends all sessions of USER except EXCEPT (NULL: all). Ending none is no error. */
int login_revoke_all(struct db *db, int64_t user, const struct uuid *except, struct str address,
		     uint64_t deadline_ms, account_ended_fn *done, void *arg,
		     uint64_t *ret_token) MUST_CHECK;

/* The same for all of them by somebody else, whom the audit names. */
int login_end_all(struct db *db, int64_t user, int64_t actor, uint64_t deadline_ms,
		  account_ended_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* Ends the session of a refresh token, in force or used. -ERR_NOENT as login_revoke. */
int login_revoke_token(struct db *db, const struct login_token *token, struct str address,
		       uint64_t deadline_ms, account_ended_fn *done, void *arg,
		       uint64_t *ret_token) MUST_CHECK;

/* ---- What every worker must know ---- */

struct login_revoked {
	struct uuid session; /* zero: the user as a whole was disabled */
	int64_t user;
	int64_t at_ms; /* the database's clock */
};

/* RES is NULL unless ERR is 0; NOW_MS is the database's clock. ERR: -ERR_UNAVAILABLE, -ERR_DB. */
typedef void logins_revoked_fn(void *arg, int err, int64_t now_ms, const struct db_result *res);

/*
 * Sessions ended and users disabled after SINCE_MS (the database's clock, exclusive), and those of
 * LOGINS_REVOKED_MARGIN_MS before it, because a transaction becomes visible later than the time it
 * notes: what is told twice must do no harm. SINCE_MS of 0 or less counts back from the database's
 * present; a worker that starts passes minus the life of an access token, and later the NOW_MS of
 * the last answer. Two range scans of indexes that hold ended ones only.
 */
#define LOGINS_REVOKED_MARGIN_MS 10000
int logins_revoked_since(struct db *db, int64_t since_ms, uint64_t deadline_ms,
			 logins_revoked_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* Row I of 0 to logins_revoked_rows - 1, ascending by time. */
int logins_revoked_rows(const struct db_result *res);
void logins_revoked_row(const struct db_result *res, int i, struct login_revoked *ret);

#endif
