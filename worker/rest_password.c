/* SPDX-License-Identifier: MIT */
/*
 * Passwords are changed by who knows the present one, and set anew by who gets the account's mail.
 * How the mail leaves is mail.c's.
 */
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/base64.h"
#include "base/log.h"
#include "proto/json.h"
#include "proto/names.h"
#include "sql/accounts.h"
#include "sql/resets.h"
#include "worker/credentials.h"
#include "worker/dbio.h"
#include "worker/limits.h"
#include "worker/login.h"
#include "worker/mail.h"
#include "worker/pwhash.h"
#include "worker/routes.h"

_Static_assert(RESET_HASH_LEN == SHA256_DIGEST_LENGTH, "tokens are kept as SHA-256");

/* ---- Both ways end here ---- */

/* The new password of USER, or of whoever TOKEN was mailed to. Everything is its own. */
struct change {
	struct call *call;
	bool is_reset;
	int64_t credentials; /* that were proved; not of a reset */
	uint8_t token[RESET_HASH_LEN];
	char *password;
};

static void change_free(struct change *c)
{
	explicit_bzero(c->password, strlen(c->password));
	free(c->password);
	free(c);
}

static struct change *change_new(struct call *call, struct str password)
{
	struct change *c = xcalloc(1, sizeof(*c));

	c->call = call;
	c->password = xstrndup(password.p, password.len);
	return c;
}

static void on_set(void *arg, int err, const struct uuid *sessions, size_t n)
{
	struct change *c = arg;
	struct call *call = c->call;

	if (!err) {
		login_ended(call->wk, sessions, n);
		login_answer_nothing(call);
	} else if (err == -ERR_NOENT) {
		call_error(call, c->is_reset ? E_BAD_CODE : E_BAD_PASSWORD, NULL);
	} else {
		call_db_error(call, err);
	}
	change_free(c);
}

static void on_hashed(struct worker *wk, void *arg, int err, bool matches, bool needs_rehash,
		      struct str phc)
{
	struct change *c = arg;
	struct call *call = c->call;
	const struct identity *who = &call->who;

	(void)matches;
	(void)needs_rehash;
	if (err)
		err = -ERR_UNAVAILABLE;
	else if (c->is_reset)
		err = reset_use(dbio_writer(wk), c->token, phc, call_address(call),
				dbio_deadline(wk), on_set, c, NULL);
	else
		err = account_set_password(dbio_writer(wk), who->user, phc, &who->session,
					   who->user, c->credentials, call_address(call),
					   dbio_deadline(wk), on_set, c, NULL);
	if (err < 0)
		on_set(c, err, NULL, 0);
}

static void hash(struct change *c)
{
	int r = pwhash_make(c->call->wk, str_of(c->password), on_hashed, c);

	if (r < 0) {
		call_error(c->call, E_OVERLOADED, NULL);
		change_free(c);
	}
}

/* ---- Change ---- */

static void on_proved(struct call *call, void *arg, enum proto_error error,
		      const struct proved *who)
{
	struct change *c = arg;

	if (credentials_refused(call, error)) {
		change_free(c);
		return;
	}
	c->credentials = who->credentials;
	hash(c);
}

void rest_password_change(struct call *call)
{
	struct proof proof = {.user = call->who.user, .no_factor = true};
	struct json_doc *doc = NULL;
	const struct json_value *body = credentials_body(call, &doc);
	struct str password;
	struct fault fault;

	if (!body)
		return;
	if (credentials_password(body, "old_password", &proof.password, &fault) < 0 ||
	    credentials_new_password(call, body, "new_password", str_of(call->who.name), &password,
				     &fault) < 0)
		call_fault(call, &fault, NULL);
	else
		credentials_prove(call, &proof, on_proved, change_new(call, password));
	json_doc_free(&doc);
}

/* ---- Ask for a reset ---- */

#define TOKEN_BYTES 24
#define TOKEN_LEN 32 /* in base64url */

/* A mail that may be sent; the request has been answered. */
struct asking {
	struct worker *wk;
	char token[TOKEN_LEN + 1];
};

static void asking_free(struct asking *a)
{
	explicit_bzero(a, sizeof(*a));
	free(a);
}

static void on_kept(void *arg, int err, const struct reset_mail *mail)
{
	struct asking *a = arg;
	static struct log_rate rate;
	uint64_t suppressed;

	if (!err)
		mail_reset(a->wk, mail->user, mail->email, mail->name, str_of(a->token));
	else if (err != -ERR_NOENT && log_rate_pass(&rate, 10000, &suppressed))
		log_warn("a forgotten password could not be noted",
			 LF_STR("error", err_name(err)), LF_INT("suppressed", (int64_t)suppressed));
	asking_free(a);
}

static int make_token(struct asking *a, uint8_t ret_hash[RESET_HASH_LEN])
{
	uint8_t bytes[TOKEN_BYTES];
	struct buf text = BUF_INIT;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return -ERR_IO;
	base64_add(&text, BASE64_URL, bytes, sizeof(bytes));
	assert(text.len == TOKEN_LEN);
	memcpy(a->token, text.p, TOKEN_LEN);
	SHA256(text.p, text.len, ret_hash);
	explicit_bzero(bytes, sizeof(bytes));
	explicit_bzero(text.p, text.len);
	buf_done(&text);
	return 0;
}

static int ask(struct call *call, struct str email)
{
	struct worker *wk = call->wk;
	struct asking *a = xcalloc(1, sizeof(*a));
	uint8_t hash_of[RESET_HASH_LEN];
	int r = make_token(a, hash_of);

	a->wk = wk;
	if (r == 0)
		r = reset_create(dbio_writer(wk), email, hash_of, wk->settings->auth_reset_ttl,
				 call_address(call), dbio_deadline(wk), on_kept, a, NULL);
	if (r < 0)
		asking_free(a);
	return r;
}

/* Nothing can be found out by asking: it does not count. */
static void refuse_mail(struct call *call)
{
	limits_call_proved(call);
	call_error(call, E_NO_MAIL, NULL);
}

/* However the address is written. */
static bool may_mail(struct call *call, struct str email)
{
	struct buf key = BUF_INIT;
	bool may;

	names_skeleton(&key, email);
	may = limits_call_take(call, LIMIT_MAILS, limit_by_text(buf_str(&key)));
	buf_done(&key);
	return may;
}

/*
 * Answered before anybody looks whether there is such an account: neither words nor time tell it.
 */
void rest_password_reset_request(struct call *call)
{
	struct json_doc *doc = NULL;
	const struct json_value *body = credentials_body(call, &doc);
	struct fault fault;
	struct str email;

	if (!body)
		return;
	if (credentials_email(body, true, &email, &fault) < 0)
		call_fault(call, &fault, NULL);
	else if (!mail_is_on(call->wk))
		refuse_mail(call);
	else if (!may_mail(call, email))
		call_error(call, E_RATE_LIMITED, NULL);
	else if (!db_is_connected(dbio_writer(call->wk)) || ask(call, email) < 0)
		call_error(call, E_UNAVAILABLE, NULL);
	else
		call_json(call, 202, STR("{\"detail\":\"If an account has this address, a mail is "
					 "on its way.\"}"));
	json_doc_free(&doc);
}

/* ---- Reset ---- */

static void on_checked(void *arg, int err, const struct reset_mail *mail)
{
	struct change *c = arg;

	(void)mail;
	if (!err)
		hash(c);
	else
		on_set(c, err, NULL, 0);
}

void rest_password_reset(struct call *call)
{
	static const struct json_str_rule rule = {1, 200, true};
	struct json_doc *doc = NULL;
	const struct json_value *body = credentials_body(call, &doc);
	struct str token, password;
	struct fault fault;
	struct change *c;
	int r;

	if (!body)
		return;
	if (json_get_str(body, "token", &rule, &token, &fault) < 0 ||
	    credentials_new_password(call, body, "password", STR(""), &password, &fault) < 0) {
		call_fault(call, &fault, NULL);
		json_doc_free(&doc);
		return;
	}
	c = change_new(call, password);
	c->is_reset = true;
	SHA256((const uint8_t *)token.p, token.len, c->token);
	json_doc_free(&doc);
	r = reset_check(dbio_reader(call->wk), c->token, dbio_deadline(call->wk), on_checked, c,
			NULL);
	if (r < 0)
		on_set(c, r, NULL, 0);
}
