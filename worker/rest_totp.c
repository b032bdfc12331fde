/* SPDX-License-Identifier: MIT */
/*
 * The second factor is set up, proved, given new recovery codes and taken away again.
 * The codes themselves are totp.c's, checking them at a login credentials_proof.c's.
 */
#include "base/clock.h"
#include "proto/json.h"
#include "sql/factors.h"
#include "worker/credentials.h"
#include "worker/dbio.h"
#include "worker/login.h"
#include "worker/routes.h"
#include "worker/seal.h"
#include "worker/totp.h"

_Static_assert(TOTP_HASH_BYTES == FACTOR_HASH_LEN, "recovery codes");
_Static_assert(TOTP_RECOVERY_CODES <= FACTOR_CODES_MAX, "recovery codes");
_Static_assert(TOTP_SECRET_BYTES + SEAL_EXTRA <= FACTOR_SEALED_MAX, "secrets");

#define ISSUER "roomd"

static void answer_error(struct call *call, int err, enum proto_error if_missing)
{
	if (err == -ERR_NOENT)
		call_error(call, if_missing, NULL);
	else if (err == -ERR_EXISTS)
		call_error(call, E_CONFLICT, "There is a second factor already.");
	else
		call_db_error(call, err);
}

/* What is shown once is not left in memory. */
static void wipe(struct buf *b)
{
	if (b->cap)
		explicit_bzero(b->p, b->cap);
	buf_done(b);
}

/* ---- Enroll ---- */

struct enrolling {
	struct call *call;
	uint8_t secret[TOTP_SECRET_BYTES];
};

static void on_begun(void *arg, int err)
{
	struct enrolling *e = arg;
	struct call *call = e->call;
	struct str secret = {(const char *)e->secret, sizeof(e->secret)};
	struct buf body = BUF_INIT, text = BUF_INIT;

	if (err) {
		answer_error(call, err, E_UNAUTHORIZED);
	} else {
		buf_add_char(&body, '{');
		totp_secret_text(secret, &text);
		json_add_key_str(&body, "secret", buf_str(&text));
		buf_clear(&text);
		totp_uri(secret, STR(ISSUER), str_of(call->who.name), &text);
		json_add_key_str(&body, "uri", buf_str(&text));
		buf_add_char(&body, '}');
		call_json(call, 200, buf_str(&body));
	}
	wipe(&text);
	wipe(&body);
	explicit_bzero(e, sizeof(*e));
	free(e);
}

void rest_totp_enroll(struct call *call)
{
	struct worker *wk = call->wk;
	struct enrolling *e = xcalloc(1, sizeof(*e));
	struct buf sealed = BUF_INIT;
	int r = totp_secret(e->secret);

	e->call = call;
	if (r == 0)
		r = seal_add(wk->keyring, call->who.user,
			     (struct str){(const char *)e->secret, sizeof(e->secret)}, &sealed);
	if (r == 0)
		r = factor_totp_begin(dbio_writer(wk), call->who.user, buf_str(&sealed),
				      dbio_deadline(wk), on_begun, e, NULL);
	buf_done(&sealed);
	if (r < 0)
		on_begun(e, r);
}

/* ---- Recovery codes ---- */

struct codes {
	struct call *call;
	char *typed; /* owned: the code that is to be proved; NULL: none */
	char text[TOTP_RECOVERY_CODES][TOTP_RECOVERY_LEN + 1];
	uint8_t hashes[TOTP_RECOVERY_CODES][TOTP_HASH_BYTES];
};

static void codes_free(struct codes *c)
{
	if (c->typed)
		explicit_bzero(c->typed, strlen(c->typed));
	free(c->typed);
	explicit_bzero(c, sizeof(*c));
	free(c);
}

static int codes_draw(struct codes *c)
{
	int r = totp_recovery(c->text);

	for (size_t i = 0; i < TOTP_RECOVERY_CODES && r == 0; i++)
		r = totp_recovery_hash(str_of(c->text[i]), c->hashes[i]);
	return r;
}

/* The one time that the codes are shown. */
static void on_kept(void *arg, int err)
{
	struct codes *c = arg;
	struct call *call = c->call;
	struct buf body = BUF_INIT;

	if (err) {
		answer_error(call, err, E_CONFLICT);
	} else {
		buf_add_cstr(&body, "{\"recovery_codes\":[");
		for (size_t i = 0; i < TOTP_RECOVERY_CODES; i++) {
			json_add_sep(&body);
			json_add_str(&body, str_of(c->text[i]));
		}
		buf_add_cstr(&body, "]}");
		call_json(call, 200, buf_str(&body));
	}
	wipe(&body);
	codes_free(c);
}

/* ---- Confirm ---- */

static void on_waiting(void *arg, int err, struct str sealed)
{
	struct codes *c = arg;
	struct call *call = c->call;
	struct worker *wk = call->wk;
	struct buf secret = BUF_INIT;
	int64_t step = 0;
	int r = err;

	if (r == 0)
		r = seal_open(wk->keyring, call->who.user, sealed, &secret);
	if (r == 0)
		r = totp_check(buf_str(&secret), str_of(c->typed), clock_wall_ms(), 0, &step);
	wipe(&secret);
	if (r == -ERR_DENIED) {
		call_error(call, E_BAD_CODE, NULL);
		codes_free(c);
		return;
	}
	if (r == 0)
		r = codes_draw(c);
	if (r == 0)
		r = factor_totp_confirm(dbio_writer(wk), call->who.user, sealed, step, c->hashes,
					TOTP_RECOVERY_CODES, call_address(call), dbio_deadline(wk),
					on_kept, c, NULL);
	if (r < 0)
		on_kept(c, r);
}

void rest_totp_confirm(struct call *call)
{
	static const struct json_str_rule rule = {1, 64, true};
	struct json_doc *doc = NULL;
	const struct json_value *body = credentials_body(call, &doc);
	struct fault fault;
	struct codes *c;
	struct str code;
	int r;

	if (!body)
		return;
	if (json_get_str(body, "code", &rule, &code, &fault) < 0) {
		call_fault(call, &fault, NULL);
		json_doc_free(&doc);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->call = call;
	c->typed = xstrndup(code.p, code.len);
	json_doc_free(&doc);
	r = factor_totp_waiting(dbio_reader(call->wk), call->who.user, dbio_deadline(call->wk),
				on_waiting, c, NULL);
	if (r < 0)
		on_waiting(c, r, STR(""));
}

/* ---- With the password: new recovery codes, or no factor any more ---- */

static void renew_codes(struct call *call, void *arg, enum proto_error error,
			const struct proved *who)
{
	struct codes *c;
	int r;

	(void)arg;
	if (credentials_refused(call, error))
		return;
	c = xcalloc(1, sizeof(*c));
	c->call = call;
	r = codes_draw(c);
	if (r == 0)
		r = factor_recovery_set(dbio_writer(call->wk), who->user, c->hashes,
					TOTP_RECOVERY_CODES, dbio_deadline(call->wk), on_kept, c,
					NULL);
	if (r < 0)
		on_kept(c, r);
}

void rest_totp_recovery(struct call *call)
{
	credentials_confirm(call, renew_codes);
}

static void on_removed(void *arg, int err)
{
	struct call *call = arg;

	if (err)
		answer_error(call, err, E_CONFLICT);
	else
		login_answer_nothing(call);
}

static void remove_factor(struct call *call, void *arg, enum proto_error error,
			  const struct proved *who)
{
	int r;

	(void)arg;
	if (credentials_refused(call, error))
		return;
	r = factor_totp_remove(dbio_writer(call->wk), who->user, who->user, call_address(call),
			       dbio_deadline(call->wk), on_removed, call, NULL);
	if (r < 0)
		on_removed(call, r);
}

void rest_totp_disable(struct call *call)
{
	credentials_confirm(call, remove_factor);
}
