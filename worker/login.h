/* SPDX-License-Identifier: MIT */
/*
 * Sessions begin and go on: the row, the access token, the refresh token or the cookie, and the
 * answer that tells them. Who may have one was decided by the caller, rest_auth.c or
 * rest_guests.c.
 */
#ifndef WORKER_LOGIN_H
#define WORKER_LOGIN_H

#include "base/base.h"
#include "sql/logins.h"
#include "worker/call.h"

/* What whoever signs in says about the session it wants. */
#define LOGIN_DEVICE_MAX 800 /* bytes: 200 characters */
struct login_wish {
	bool is_cookie; /* a page: a sealed cookie instead of tokens that scripts could read */
	char device[LOGIN_DEVICE_MAX + 1]; /* empty: not told */
};

struct json_value;

/*
 * Reads "cookie" and "device" from a body. Without the first, pages of our own (Sec-Fetch-Site:
 * same-origin) get cookies and everybody else tokens; without the second, User-Agent says it.
 * Returns 0, or -ERR_INVAL and the fault.
 */
int login_wish_take(const struct call *call, const struct json_value *body, struct login_wish *ret,
		    struct fault *ret_fault) MUST_CHECK;

/*
 * Begins a session of USER and answers CALL with STATUS and {"token",…,"user"}. CREDENTIALS as in
 * sql/logins.h. Refuses with E_BAD_LOGIN when they have changed meanwhile.
 */
void login_begin(struct call *call, int status, int64_t user, int64_t credentials,
		 const struct login_wish *wish);

/* The same for LOGIN, whose refresh token is now NEXT: the answer to a refresh. */
void login_go_on(struct call *call, const struct login *login, const struct login_token *next);

/* The answer of CALL will set the cookie of LOGIN's session. */
void login_set_cookie(struct call *call, const struct login *login);

/* account_ended_fn's work: tells every worker of the sessions that have ended. */
void login_ended(struct worker *wk, const struct uuid *sessions, size_t n);

/* Ends the session of the guest who asks, if it is one; nobody waits for it. */
void login_end_guest(struct call *call);

/* Answers CALL with 204 and no body. */
void login_answer_nothing(struct call *call);

#endif
