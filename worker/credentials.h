/* SPDX-License-Identifier: MIT */
/*
 * What people type to show who they are: rules of usernames, passwords and e-mail addresses, and
 * the proof by password and second factor that several requests ask for.
 * Hashing is pwhash.c's, sessions are login.c's.
 */
#ifndef WORKER_CREDENTIALS_H
#define WORKER_CREDENTIALS_H

#include "base/base.h"
#include "proto/errors.h"
#include "sql/accounts.h"
#include "worker/call.h"

struct json_doc;
struct json_value;

#define EMAIL_MAX 320	  /* bytes and characters */
#define USERNAME_MAX 100  /* characters; chat.name_max may lower it */

/*
 * Parses the body of CALL, which must be an object. Free *RET_DOC with json_doc_free. Answers CALL
 * and returns NULL otherwise.
 */
const struct json_value *credentials_body(struct call *call, struct json_doc **ret_doc);

/*
 * Members of a body by their rules; each returns 0, -ERR_NOENT when absent and not REQUIRED, or
 * -ERR_INVAL and the fault. Strings live as long as the document. KEY must be static.
 *
 * A username is a name without '@'. A new password has auth.password_min characters and at most
 * PWHASH_PASSWORD_MAX bytes and, unless auth.password_common is on, is neither one of those that
 * are tried first nor the NAME of whose it is going to be (empty: unknown), in whatever case; one
 * that is to be checked only has the rule of bytes. An address is a
 * dot-atom (RFC 5321 section 4.1.2, with UTF-8 as in RFC 6531) at a domain, so it can stand in a
 * mail's header.
 */
int credentials_username(const struct call *call, const struct json_value *body, struct str *ret,
			 struct fault *ret_fault) MUST_CHECK;
int credentials_new_password(const struct call *call, const struct json_value *body,
			     const char *key, struct str name, struct str *ret,
			     struct fault *ret_fault) MUST_CHECK;
int credentials_password(const struct json_value *body, const char *key, struct str *ret,
			 struct fault *ret_fault) MUST_CHECK;
int credentials_email(const struct json_value *body, bool required, struct str *ret,
		      struct fault *ret_fault) MUST_CHECK;

/*
 * What profiles show of a person, p NULL or empty: nothing. A full name is one line without
 * bidirectional controls, a picture's address one of the web. Returns 0, or -ERR_INVAL and the
 * fault of "full_name" or "avatar_url".
 */
int credentials_profile(struct str full_name, struct str avatar_url,
			struct fault *ret_fault) MUST_CHECK;

/* Whether S may stand as an address. */
bool credentials_email_valid(struct str s);

/* ---- Proof ---- */

/* What the caller offers. Strings are borrowed during the call. */
struct proof {
	struct str login;    /* username or e-mail address; p NULL: whose USER is */
	int64_t user;	     /* when LOGIN is not given */
	struct str password;
	struct str code;     /* of the second factor, or a recovery code; p NULL: none given */
	bool no_factor;	     /* the password is enough: the caller is signed in already */
};

/* Who it was. Strings live during the call. */
struct proved {
	int64_t user, credentials;
	struct str name;
};

/*
 * ERROR E_NONE: WHO is valid. Else E_BAD_LOGIN (also for who does not exist, after the same time),
 * E_TOTP_REQUIRED, E_BAD_CODE, E_ACCOUNT_DISABLED, E_RATE_LIMITED, E_UNAVAILABLE, E_OVERLOADED; the
 * last four say nothing about the password.
 */
typedef void proof_done_fn(struct call *call, void *arg, enum proto_error error,
			   const struct proved *who);

/*
 * Checks PROOF; failures count (attempts.h). DONE is called exactly
 * once, possibly before this returns, even when the client has gone.
 */
void credentials_prove(struct call *call, const struct proof *proof, proof_done_fn *done,
		       void *arg);

/*
 * The same for the member "password" of CALL's body and whose CALL is: a token alone, which may be
 * stolen, is not enough. DONE gets NULL as its ARG. It is not called when the body cannot be read:
 * CALL is answered then.
 */
void credentials_confirm(struct call *call, proof_done_fn *done);

/* Answers CALL, whose own password was asked for, if there is an ERROR; returns whether. */
bool credentials_refused(struct call *call, enum proto_error error);

#endif
