/* SPDX-License-Identifier: MIT */
/*
 * Accounts: made, found, changed, closed. What a password must be like, and hashing it, is decided
 * above; sessions are logins.h's, second factors factors.h's, forgotten passwords resets.h's.
 *
 * Names and addresses are compared without regard to case and to forms that look alike by Unicode's
 * compatibility rules (name_fold in the schema). A hash leaves the database in two ways only:
 * account_find_login and account_credentials; neither is ever shown.
 */
#ifndef SQL_ACCOUNTS_H
#define SQL_ACCOUNTS_H

#include "base/base.h"
#include "base/ids.h"
#include "sql/db.h"
#include "sql/messages.h"

/* Whose acts the audit names; 0 = the system: the operator's command, or nobody logged in. */
#define ACCOUNT_ACTOR_SYSTEM 0

/* ---- Making ---- */

struct account_new {
	struct str username;  /* 1 to 100 characters, no '@'; also the shown name */
	struct str email;     /* up to 320 characters; p == NULL: none */
	struct str full_name; /* up to 200 characters; p == NULL: none */
	struct str avatar_url; /* up to 2,048 characters; p == NULL: none */
	struct str hash;      /* PHC string; p == NULL: no password opens it */
	int64_t guest;	      /* users.id of a guest who becomes the account; 0: somebody new */
	bool is_admin;	      /* of the server */
	bool by_operator;     /* the audit names the system, not the account itself */
	struct str address;   /* the client's, for the audit; p == NULL: unknown */
};

enum account_clash {
	ACCOUNT_CLASH_NONE,
	ACCOUNT_CLASH_USERNAME,
	ACCOUNT_CLASH_EMAIL,
};

struct account {
	int64_t id;
	struct uuid uid;
	struct str name; /* borrowed during the call */
	bool is_admin;
};

/*
 * ACCOUNT is NULL unless ERR is 0. ERR: -ERR_EXISTS with CLASH saying what is taken, -ERR_NOENT
 * (GUEST is no guest, or may not act), -ERR_INVAL a value the schema refuses, -ERR_UNAVAILABLE (may
 * have been made), -ERR_DB.
 */
typedef void account_made_fn(void *arg, int err, enum account_clash clash,
			     const struct account *account);

/*
 * Makes an account, or makes one of a guest: the users row stays and with it everything that names
 * it. A name that the cookie of another guest holds (guests.h) is taken. Of many who ask for one
 * name or address at once, one wins. The same request again (known by its hash, which has a salt of
 * its own) is answered as the first time.
 */
int account_create(struct db *db, const struct account_new *account, uint64_t deadline_ms,
		   account_made_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* ---- Logging in ---- */

struct account_login {
	int64_t id;
	struct uuid uid;
	struct str name;     /* the username, as stored */
	struct str hash;     /* PHC string; p == NULL: no password opens it */
	int64_t credentials; /* changes with the password; login_create wants it */
	bool is_disabled, is_admin;
	struct str totp;   /* the sealed secret in force; p == NULL: no second factor */
	int64_t totp_step; /* the newest time step that was used up */
};

/* LOGIN is NULL unless ERR is 0, its strings live during the call. ERR: -ERR_NOENT, -ERR_INVAL (no
 * UTF-8), -ERR_UNAVAILABLE, -ERR_DB. */
typedef void account_login_fn(void *arg, int err, const struct account_login *login);

/* The account with this username or, if TEXT has an '@', this e-mail address. Disabled ones too. */
int account_find_login(struct db *db, struct str text, uint64_t deadline_ms, account_login_fn *done,
		       void *arg, uint64_t *ret_token) MUST_CHECK;

/* The same by id: for who is logged in and must prove it again. */
int account_credentials(struct db *db, int64_t user, uint64_t deadline_ms, account_login_fn *done,
			void *arg, uint64_t *ret_token) MUST_CHECK;

/* ---- Passwords, disabling, administrators: what ends sessions ---- */

/*
 * SESSIONS are the N that were ended by this call, borrowed; every worker must be told at once
 * (what is not told is found by logins_revoked_since). ERR: -ERR_NOENT (no such account),
 * -ERR_INVAL, -ERR_UNAVAILABLE (may have happened), -ERR_DB.
 */
typedef void account_ended_fn(void *arg, int err, const struct uuid *sessions, size_t n);

/*
 * Sets the password, ends all sessions except KEEP (NULL or zero: all of them) and voids reset
 * tokens. ACTION of the audit is "password.change". CREDENTIALS: of the login that was proved, and
 * -ERR_NOENT if they are not in force any more; ACCOUNT_CREDENTIALS_ANY: whichever.
 */
#define ACCOUNT_CREDENTIALS_ANY (-1)
int account_set_password(struct db *db, int64_t user, struct str hash, const struct uuid *keep,
			 int64_t actor, int64_t credentials, struct str address,
			 uint64_t deadline_ms, account_ended_fn *done, void *arg,
			 uint64_t *ret_token) MUST_CHECK;

/* Puts a better hash of the same password in place of OLD; nothing if another one is there now. */
typedef void account_done_fn(void *arg, int err);
int account_rehash(struct db *db, int64_t user, struct str old, struct str hash,
		   uint64_t deadline_ms, account_done_fn *done, void *arg,
		   uint64_t *ret_token) MUST_CHECK;

/* A disabled account or guest cannot act; disabling ends all sessions. Safe to repeat. */
int account_set_disabled(struct db *db, int64_t user, bool is_disabled, int64_t actor,
			 struct str address, uint64_t deadline_ms, account_ended_fn *done,
			 void *arg, uint64_t *ret_token) MUST_CHECK;

/* Taking the role away ends all sessions, because access tokens carry it. Safe to repeat. */
int account_set_admin(struct db *db, int64_t user, bool is_admin, int64_t actor, struct str address,
		      uint64_t deadline_ms, account_ended_fn *done, void *arg,
		      uint64_t *ret_token) MUST_CHECK;

/*
 * SESSIONS as of account_ended_fn; CONVS are the N_CONVS conversations whose log tells of the
 * leaving, which nobody has announced. Both borrowed. ERR as there.
 */
typedef void account_erased_fn(void *arg, int err, const struct uuid *sessions, size_t n,
			       const int64_t *convs, size_t n_convs);

/*
 * Takes an account out: name, address, profile, password, factors and sessions go, it leaves its
 * conversations and cannot act any more. What it said and did stays, its author being "Deleted
 * user"; its names are free. CREDENTIALS as account_set_password. Safe to repeat.
 */
int account_erase(struct db *db, int64_t user, int64_t credentials, struct str address,
		  uint64_t deadline_ms, account_erased_fn *done, void *arg,
		  uint64_t *ret_token) MUST_CHECK;

/* ---- Profiles, as JSON text ---- */

/*
 * {"id","uid","kind","username","name","full_name","avatar_url","created_at","is_disabled"} of an
 * account or a guest by ID, or by UID when ID is 0. With IS_SELF also "email", "is_admin",
 * "totp", "has_password". -ERR_NOENT.
 */
int account_get(struct db *db, int64_t id, const struct uuid *uid, bool is_self,
		uint64_t deadline_ms, page_done_fn *done, void *arg,
		uint64_t *ret_token) MUST_CHECK;

struct account_patch { /* p == NULL: stays; empty: is removed */
	struct str full_name;  /* up to 200 characters */
	struct str avatar_url; /* up to 2,048 characters */
	struct str email;      /* up to 320 characters */
	struct str seen;       /* tag (worker/etag.h) that the profile must have; p NULL: any */
};

/*
 * OLD_EMAIL: the address until now, when it has become another one or none; p NULL otherwise, or
 * when there was none. ERR: -ERR_EXISTS the address is another's; -ERR_NOENT no such account,
 * CREDENTIALS (as account_set_password) are not in force, or the profile has another tag than the
 * one seen; -ERR_INVAL, -ERR_UNAVAILABLE, -ERR_DB.
 */
typedef void account_patched_fn(void *arg, int err, struct str old_email);

/* Changes a profile. Another address voids the reset tokens that were mailed to the former one. */
int account_patch(struct db *db, int64_t user, const struct account_patch *patch,
		  int64_t credentials, struct str address, uint64_t deadline_ms,
		  account_patched_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* ACTION about USER in the audit, by nobody who is logged in. */
int account_note(struct db *db, struct str action, int64_t user, struct str address,
		 uint64_t deadline_ms, account_done_fn *done, void *arg,
		 uint64_t *ret_token) MUST_CHECK;

/*
 * [{"id","uid","username","name","full_name","avatar_url"}…]: accounts that can act whose
 * username begins with QUERY, by username. LIMIT 1 to 50, else cut. An empty QUERY finds nobody.
 */
int account_search(struct db *db, struct str query, int limit, uint64_t deadline_ms,
		   page_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/*
 * {"users":[{"id","uid","username","email","full_name","is_admin","totp","created_at",
 * "disabled_at","last_seen_at","sessions"}…],"next":id or null}: all accounts with id > AFTER_ID,
 * by id. For administrators. LIMIT 1 to 1,000, else cut.
 */
int account_list(struct db *db, int64_t after_id, int limit, uint64_t deadline_ms,
		 page_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

#endif
