/* SPDX-License-Identifier: MIT */
/*
 * Binding the name of a guest to a session of the caller's, for whatever surface asks for it.
 * Guests without a session are session.h's.
 */
#ifndef WORKER_GUESTS_H
#define WORKER_GUESTS_H

#include "worker/call.h"
#include "worker/login.h"

/*
 * ERROR E_NONE: LOGIN (borrowed) is the new session, and the one that CALL came with has ended.
 * Else LOGIN is NULL: E_NAME_TAKEN an account or another session has the name, or somebody uses it
 * now; E_FORBIDDEN the guest may not act; E_BAD_NAME; E_UNAUTHORIZED no guests are let in;
 * E_RATE_LIMITED, E_UNAVAILABLE, E_INTERNAL.
 */
typedef void guest_bound_fn(struct call *call, void *arg, enum proto_error error,
			    const struct login *login);

/*
 * Takes NAME, checked and in the form in which names are kept, for CALL. The caller gives out the
 * cookie. DONE is called exactly once, possibly before this returns.
 */
void guest_bind(struct call *call, struct str name, const struct login_wish *wish,
		guest_bound_fn *done, void *arg);

#endif
