/* SPDX-License-Identifier: MIT */
/*
 * Sessions: refresh tokens, and the parameters and answers of statements about sessions.
 * When a token counts is decided by session_refresh in the schema.
 */
#include "sql/logins.h"

#include "base/base64.h"
#include "sql/accounts_priv.h"
#include "sql/array.h"
#include "sql/page_priv.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>

/* ---- The refresh token ---- */

static bool random_fill(void *p, size_t len)
{
	return getrandom(p, len, 0) == (ssize_t)len;
}

int login_token_new(struct login_token *ret)
{
	struct login_token t = {.session = uuid_v7()};

	if (!random_fill(t.family, sizeof(t.family)) || !random_fill(t.secret, sizeof(t.secret)))
		return -ERR_UNAVAILABLE;
	*ret = t;
	return 0;
}

static_assert(sizeof(struct login_token) == 64, "the token is its bytes");

void login_token_next(const struct login_token *old, const uint8_t *key, size_t key_len,
		      struct login_token *ret)
{
	struct login_token t = *old;
	unsigned int len = sizeof(t.secret);

	if (!HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)old, sizeof(*old), t.secret,
		  &len))
		abort(); /* SHA-256 is always there; what follows would be the old token */
	*ret = t;
}

void login_token_format(const struct login_token *token, char ret[LOGIN_TOKEN_LEN + 1])
{
	struct buf b = BUF_INIT;

	base64_add(&b, BASE64_URL, token, sizeof(*token));
	assert(b.len == LOGIN_TOKEN_LEN);
	memcpy(ret, b.p, b.len);
	ret[b.len] = '\0';
	explicit_bzero(b.p, b.len);
	buf_done(&b);
}

int login_token_parse(struct str text, struct login_token *ret)
{
	struct buf b = BUF_INIT;
	int r = -ERR_INVAL;

	if (text.len == LOGIN_TOKEN_LEN && base64_take(&b, BASE64_URL, text) == 0 &&
	    b.len == sizeof(*ret)) {
		memcpy(ret, b.p, sizeof(*ret));
		r = 0;
	}
	if (b.p)
		explicit_bzero(b.p, b.len);
	buf_done(&b);
	return r;
}

/* 16 and 32 random bytes cannot be guessed from their hashes, so a plain hash is enough. */
static void args_hash(struct db_args *args, const uint8_t *bytes, size_t len)
{
	uint8_t hash[LOGIN_HASH_LEN];
	unsigned int hash_len = sizeof(hash);

	if (!EVP_Digest(bytes, len, hash, &hash_len, EVP_sha256(), NULL))
		abort();
	args_bytes(args, hash, hash_len);
}

static void args_family(struct db_args *args, const struct login_token *t)
{
	args_hash(args, t->family, sizeof(t->family));
}

static void args_secret(struct db_args *args, const struct login_token *t)
{
	args_hash(args, t->secret, sizeof(t->secret));
}

/* ---- Beginning and going on ---- */

/* What session_refresh says; the other statements say LOGIN_OK or answer no row. */
enum { LOGIN_OK, LOGIN_AGAIN, LOGIN_REFUSED, LOGIN_REUSED };

static int login_verdict(const struct db_result *res)
{
	int err = db_result_err(res);

	if (err < 0)
		return err;
	if (db_rows(res) == 0)
		return -ERR_DENIED;
	switch (db_get_i64(res, 0, 0)) {
	case LOGIN_OK:
	case LOGIN_AGAIN:
		return 0;
	case LOGIN_REUSED:
		return -ERR_CLOSED;
	case LOGIN_REFUSED:
	default:
		return -ERR_DENIED;
	}
}

static struct login row_at(const struct db_result *res, int i)
{
	return (struct login){.session = db_get_uuid(res, i, 1),
			      .user = db_get_i64(res, i, 2),
			      .uid = db_get_uuid(res, i, 3),
			      .name = db_get_str(res, i, 4),
			      .is_account = db_get_i64(res, i, 5) != 0,
			      .is_admin = db_get_i64(res, i, 6) != 0,
			      .expires_ms = db_get_i64(res, i, 7)};
}

struct login login_row(const struct db_result *res)
{
	return row_at(res, 0);
}

static void on_login(const struct db_call *call, const struct db_result *res)
{
	login_done_fn *done = (login_done_fn *)call->then;
	int err = login_verdict(res);
	struct login login;

	if (err < 0) {
		done(call->arg, err, NULL);
		return;
	}
	login = login_row(res);
	login.is_repeat = db_get_i64(res, 0, 0) == LOGIN_AGAIN;
	done(call->arg, 0, &login);
}

int login_create(struct db *db, const struct login_new *n, uint64_t deadline_ms,
		 login_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_LOGIN_CREATE, on_login, (db_fn *)done, arg, deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	if (uuid_is_zero(&n->token.session))
		return -ERR_INVAL;
	db_args_i64(&args, n->user);
	db_args_text(&args, n->kind == LOGIN_COOKIE ? STR("cookie") : STR("refresh"));
	db_args_uuid(&args, &n->token.session);
	if (n->kind == LOGIN_COOKIE) {
		db_args_null(&args);
		db_args_null(&args);
	} else {
		args_family(&args, &n->token);
		args_secret(&args, &n->token);
	}
	db_args_i64(&args, n->credentials);
	db_args_text(&args, n->device);
	db_args_text(&args, n->address);
	db_args_i64(&args, n->ttl_ms);
	db_args_i32(&args, n->sessions_max);
	return account_submit(db, &q, &args, ret_token);
}

int login_refresh(struct db *db, const struct login_token *shown, const struct login_token *next,
		  int64_t ttl_ms, int64_t grace_ms, struct str address, uint64_t deadline_ms,
		  login_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_LOGIN_REFRESH, on_login, (db_fn *)done, arg, deadline_ms};
	struct uuid request = uuid_v7();
	struct db_args args = DB_ARGS_INIT;

	if (uuid_is_zero(&shown->session))
		return -ERR_INVAL;
	db_args_uuid(&args, &shown->session);
	args_family(&args, shown);
	args_secret(&args, shown);
	args_secret(&args, next);
	db_args_i64(&args, ttl_ms);
	db_args_i64(&args, grace_ms);
	db_args_text(&args, address);
	db_args_uuid(&args, &request);
	return account_submit(db, &q, &args, ret_token);
}

int login_renew(struct db *db, const struct login_renewal *renewals, size_t n, int64_t ttl_ms,
		uint64_t deadline_ms, db_rows_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_LOGIN_RENEW, db_answer_rows, (db_fn *)done, arg,
				  deadline_ms};
	struct db_args args = DB_ARGS_INIT;
	struct buf *b;

	if (n < 1 || n > LOGIN_RENEW_MAX)
		return -ERR_INVAL;
	b = array_open(&args, OID_UUID, n);
	for (size_t i = 0; i < n; i++)
		array_add_uuid(b, &renewals[i].session);
	db_args_close(&args);
	b = array_open(&args, OID_TEXT, n);
	for (size_t i = 0; i < n; i++) {
		if (renewals[i].address.p)
			array_add_str(b, renewals[i].address);
		else
			array_add_null(b);
	}
	db_args_close(&args);
	db_args_i64(&args, ttl_ms);
	return account_submit(db, &q, &args, ret_token);
}

int login_renewed_rows(const struct db_result *res)
{
	return db_rows(res);
}

struct login login_renewed_row(const struct db_result *res, int i)
{
	return row_at(res, i);
}

int login_touch(struct db *db, const struct login_touch *touches, size_t n, int64_t ttl_ms,
		uint64_t deadline_ms, account_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_LOGIN_TOUCH, account_on_done, (db_fn *)done, arg,
				  deadline_ms};
	struct db_args args = DB_ARGS_INIT;
	struct buf *b;

	if (n < 1 || n > LOGIN_TOUCH_MAX)
		return -ERR_INVAL;
	b = array_open(&args, OID_UUID, n);
	for (size_t i = 0; i < n; i++)
		array_add_uuid(b, &touches[i].session);
	db_args_close(&args);
	b = array_open(&args, OID_UUID, n);
	for (size_t i = 0; i < n; i++) {
		if (uuid_is_zero(&touches[i].socket))
			array_add_null(b);
		else
			array_add_uuid(b, &touches[i].socket);
	}
	db_args_close(&args);
	db_args_i64(&args, ttl_ms);
	return account_submit(db, &q, &args, ret_token);
}

/* ---- Showing and ending ---- */

int login_is_known(struct db *db, int64_t user, struct str address, uint64_t deadline_ms,
		   account_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_LOGIN_KNOWN, account_on_found, (db_fn *)done, arg,
				  deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	db_args_text(&args, address);
	return account_submit(db, &q, &args, ret_token);
}

int login_list(struct db *db, int64_t user, const struct uuid *current, uint64_t deadline_ms,
	       page_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	db_args_uuid(&args, current);
	return page_submit(db, STMT_LOGIN_LIST, &args, deadline_ms, done, arg, ret_token);
}

/* As account_on_ended, but having ended none is no error. */
static void on_all_ended(const struct db_call *call, const struct db_result *res)
{
	if (db_result_err(res) == 0 && db_rows(res) == 0)
		((account_ended_fn *)call->then)(call->arg, 0, NULL, 0);
	else
		account_on_ended(call, res);
}

/* Which sessions end, and by whom. */
struct ending {
	int64_t user, actor;
	const struct uuid *session, *except; /* NULL: all, none */
	struct str address;
};

static int end(struct db *db, const struct account_query *q, const struct ending *e,
	       uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, e->user);
	db_args_uuid(&args, e->session);
	db_args_uuid(&args, e->except);
	db_args_i64(&args, e->actor);
	db_args_text(&args, e->address);
	return account_submit(db, q, &args, ret_token);
}

int login_revoke(struct db *db, int64_t user, const struct uuid *session, struct str address,
		 uint64_t deadline_ms, account_ended_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_LOGIN_REVOKE, account_on_ended, (db_fn *)done, arg,
				  deadline_ms};
	struct ending e = {.user = user, .actor = user, .session = session, .address = address};

	if (uuid_is_zero(session)) /* would be all */
		return -ERR_INVAL;
	return end(db, &q, &e, ret_token);
}

int login_revoke_all(struct db *db, int64_t user, const struct uuid *except, struct str address,
		     uint64_t deadline_ms, account_ended_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_LOGIN_REVOKE, on_all_ended, (db_fn *)done, arg, deadline_ms};
	struct ending e = {.user = user, .actor = user, .except = except, .address = address};

	return end(db, &q, &e, ret_token);
}

int login_end_all(struct db *db, int64_t user, int64_t actor, uint64_t deadline_ms,
		  account_ended_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_LOGIN_REVOKE, on_all_ended, (db_fn *)done, arg, deadline_ms};
	struct ending e = {.user = user, .actor = actor};

	return end(db, &q, &e, ret_token);
}

int login_revoke_token(struct db *db, const struct login_token *token, struct str address,
		       uint64_t deadline_ms, account_ended_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_LOGIN_REVOKE_TOKEN, account_on_ended, (db_fn *)done, arg,
				  deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	db_args_uuid(&args, &token->session);
	args_family(&args, token);
	db_args_text(&args, address);
	return account_submit(db, &q, &args, ret_token);
}

/* ---- What every worker must know ---- */

static void on_revoked(const struct db_call *call, const struct db_result *res)
{
	int err = db_result_err(res);

	if (err == 0 && db_rows(res) == 0)
		err = -ERR_DB;
	((logins_revoked_fn *)call->then)(call->arg, err, db_get_i64(res, 0, 2), err ? NULL : res);
}

int logins_revoked_since(struct db *db, int64_t since_ms, uint64_t deadline_ms,
			 logins_revoked_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_LOGINS_REVOKED_SINCE, on_revoked, (db_fn *)done, arg,
				  deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, since_ms);
	db_args_i32(&args, LOGINS_REVOKED_MARGIN_MS);
	return account_submit(db, &q, &args, ret_token);
}

int logins_revoked_rows(const struct db_result *res)
{
	int rows = db_rows(res);

	return MAX(rows - 1, 0);
}

void logins_revoked_row(const struct db_result *res, int i, struct login_revoked *ret)
{
	*ret = (struct login_revoked){.session = db_get_uuid(res, i + 1, 0),
				      .user = db_get_i64(res, i + 1, 1),
				      .at_ms = db_get_i64(res, i + 1, 2)};
}
