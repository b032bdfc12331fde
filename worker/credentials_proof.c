/* SPDX-License-Identifier: MIT */
/*
 * Proof of who somebody is: the account's row, the password, then the second factor.
 * Whoever does not exist takes the same way with a hash that nothing matches.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "proto/json.h"
#include "sql/factors.h"
#include "worker/attempts.h"
#include "worker/credentials.h"
#include "worker/dbio.h"
#include "worker/pwhash.h"
#include "worker/seal.h"
#include "worker/totp.h"

/* A proof on its way. Everything is its own. */
struct proving {
	struct worker *wk;
	struct call *call;
	proof_done_fn *done;
	void *arg;
	struct attempt attempt;
	char *login; /* as it was typed; "" for who is signed in */
	char *password, *code; /* CODE may be NULL */
	bool no_factor, is_known, is_disabled;
	int64_t user, credentials, totp_step;
	char *name, *hash; /* HASH: "" when no password opens it */
	struct buf totp;   /* the secret; empty: no factor */
};

static char *copy(struct str s)
{
	return xstrndup(s.p ? s.p : "", s.len);
}

static void wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

static void finish(struct proving *p, enum proto_error error)
{
	const struct proved who = {p->user, p->credentials, str_of(p->name)};

	attempt_end(&p->attempt, error == E_BAD_LOGIN || error == E_BAD_CODE);
	p->done(p->call, p->arg, error, error ? NULL : &who);
	wipe(&p->password);
	wipe(&p->code);
	wipe(&p->hash);
	if (p->totp.len)
		explicit_bzero(p->totp.p, p->totp.len);
	buf_done(&p->totp);
	free(p->login);
	free(p->name);
	free(p);
}

static enum proto_error error_of(int err)
{
	return err == -ERR_FULL ? E_OVERLOADED : err == -ERR_DB ? E_INTERNAL : E_UNAVAILABLE;
}

/* ---- The second factor ---- */

static void on_factor(void *arg, int err)
{
	struct proving *p = arg;

	if (!err)
		finish(p, E_NONE);
	else
		finish(p, err == -ERR_DENIED ? E_BAD_CODE : error_of(err));
}

static void on_recovery(void *arg, int err, int64_t left)
{
	struct proving *p = arg;

	if (!err)
		log_notice("a recovery code was used", LF_INT("user", p->user),
			   LF_INT("left", left));
	on_factor(p, err);
}

static void try_recovery(struct proving *p)
{
	uint8_t hash[TOTP_HASH_BYTES];
	int r = totp_recovery_hash(str_of(p->code), hash);

	if (r < 0) {
		finish(p, E_BAD_CODE);
		return;
	}
	r = factor_recovery_use(dbio_writer(p->wk), p->user, hash, str_of(NULL),
				dbio_deadline(p->wk), on_recovery, p, NULL);
	if (r < 0)
		on_factor(p, r);
}

static void on_resealed(void *arg, int err)
{
	(void)arg;
	(void)err; /* the next login does it */
}

/* The key that it was sealed with may go one day. */
static void reseal(const struct proving *p, struct str secret)
{
	struct worker *wk = p->wk;
	struct buf sealed = BUF_INIT;
	int r = seal_is_current(wk->keyring, buf_str(&p->totp)) ? -ERR_EXISTS : 0;

	if (r == 0)
		r = seal_add(wk->keyring, p->user, secret, &sealed);
	if (r == 0)
		r = factor_totp_reseal(dbio_writer(wk), p->user, buf_str(&p->totp),
				       buf_str(&sealed), dbio_deadline(wk), on_resealed, NULL,
				       NULL);
	(void)r;
	buf_done(&sealed);
}

static void check_factor(struct proving *p)
{
	struct buf secret = BUF_INIT;
	int64_t step;
	int r;

	if (!p->code) {
		finish(p, E_TOTP_REQUIRED);
		return;
	}
	r = seal_open(p->wk->keyring, p->user, buf_str(&p->totp), &secret);
	if (r < 0)
		log_warn("a second factor cannot be read: its key is not in auth.previous_keys",
			 LF_INT("user", p->user));
	else
		r = totp_check(buf_str(&secret), str_of(p->code), clock_wall_ms(), p->totp_step,
			       &step);
	if (r == 0)
		reseal(p, buf_str(&secret));
	if (secret.len)
		explicit_bzero(secret.p, secret.len);
	buf_done(&secret);
	if (r < 0) {
		try_recovery(p);
		return;
	}
	r = factor_totp_use(dbio_writer(p->wk), p->user, step, dbio_deadline(p->wk), on_factor, p,
			    NULL);
	if (r < 0)
		on_factor(p, r);
}

/* ---- The password ---- */

static void on_rehashed(void *arg, int err)
{
	(void)arg;
	(void)err; /* the next login does it */
}

static void rehash(struct proving *p, struct str phc)
{
	int r = account_rehash(dbio_writer(p->wk), p->user, str_of(p->hash), phc,
			       dbio_deadline(p->wk), on_rehashed, NULL, NULL);

	(void)r;
}

static void on_verified(struct worker *wk, void *arg, int err, bool matches, bool needs_rehash,
			struct str phc)
{
	struct proving *p = arg;

	(void)wk;
	if (err == -ERR_CLOSED || err == -ERR_IO) {
		finish(p, E_UNAVAILABLE);
		return;
	}
	if (err < 0)
		log_warn("a stored password hash cannot be used", LF_INT("user", p->user),
			 LF_STR("error", err_name(err)));
	if (!p->is_known || !matches) {
		finish(p, E_BAD_LOGIN);
		return;
	}
	if (needs_rehash && phc.len)
		rehash(p, phc);
	if (p->is_disabled)
		finish(p, E_ACCOUNT_DISABLED);
	else if (p->totp.len && !p->no_factor)
		check_factor(p);
	else
		finish(p, E_NONE);
}

static void verify(void *arg, enum proto_error error)
{
	struct proving *p = arg;
	struct str stored = p->hash && p->hash[0] ? str_of(p->hash) : str_of(NULL);
	int r;

	if (error) {
		finish(p, error);
		return;
	}
	r = pwhash_verify(p->wk, str_of(p->password), stored, on_verified, p);
	if (r < 0)
		finish(p, error_of(r));
}

/* ---- The row ---- */

static void on_found(void *arg, int err, const struct account_login *login)
{
	struct proving *p = arg;

	if (err && err != -ERR_NOENT && err != -ERR_INVAL) {
		finish(p, error_of(err));
		return;
	}
	if (!err) {
		p->is_known = true;
		p->is_disabled = login->is_disabled;
		p->user = login->id;
		p->credentials = login->credentials;
		p->totp_step = login->totp_step;
		p->name = copy(login->name);
		p->hash = copy(login->hash);
		buf_add_str(&p->totp, login->totp);
	}
	attempt_begin(&p->attempt, p->call, p->user, str_of(p->login), verify, p);
}

void credentials_prove(struct call *call, const struct proof *proof, proof_done_fn *done, void *arg)
{
	struct worker *wk = call->wk;
	struct proving *p = xcalloc(1, sizeof(*p));
	int r;

	p->wk = wk;
	p->call = call;
	p->done = done;
	p->arg = arg;
	p->no_factor = proof->no_factor;
	p->password = copy(proof->password);
	p->code = proof->code.p ? copy(proof->code) : NULL;
	p->login = copy(proof->login);
	if (proof->login.p)
		r = account_find_login(dbio_reader(wk), proof->login, dbio_deadline(wk), on_found,
				       p, NULL);
	else
		r = account_credentials(dbio_reader(wk), proof->user, dbio_deadline(wk), on_found,
					p, NULL);
	if (r < 0)
		on_found(p, r, NULL);
}

void credentials_confirm(struct call *call, proof_done_fn *done)
{
	struct proof proof = {.user = call->who.user, .no_factor = true};
	struct json_doc *doc = NULL;
	const struct json_value *body = credentials_body(call, &doc);
	struct fault fault;

	if (!body)
		return;
	if (credentials_password(body, "password", &proof.password, &fault) < 0)
		call_fault(call, &fault, NULL);
	else
		credentials_prove(call, &proof, done, NULL);
	json_doc_free(&doc);
}

bool credentials_refused(struct call *call, enum proto_error error)
{
	if (error)
		call_error(call, error == E_BAD_LOGIN ? E_BAD_PASSWORD : error, NULL);
	return error;
}
