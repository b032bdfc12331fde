/* SPDX-License-Identifier: MIT */
/*
 * A guest's name becomes a session's own: it must be free, also of those who use it without one.
 * What is answered, and who gets the cookie, is the callers'.
 */
#include "worker/guests.h"

#include "shm/presence.h"
#include "sql/guests.h"
#include "worker/dbio.h"
#include "worker/limits.h"
#include "worker/session.h"

struct binding {
	struct call *call;
	struct login_wish wish;
	guest_bound_fn *done;
	void *arg;
};

static void finish(struct binding *b, enum proto_error error, const struct login *login)
{
	struct binding copy = *b;

	free(b);
	copy.done(copy.call, copy.arg, error, login);
}

static void on_claimed(void *arg, int err, const struct login *login)
{
	struct binding *b = arg;

	if (err) {
		finish(b, session_error(err), NULL);
		return;
	}
	session_name_changed(b->call->wk, login->name);
	login_end_guest(b->call); /* the name that it had before is free again */
	finish(b, E_NONE, login);
}

/* A name that somebody is using at this moment is not to be had, whoever that is. */
static void on_guest(struct worker *wk, void *arg, enum proto_error error, int64_t user,
		     struct str name)
{
	struct binding *b = arg;
	struct guest_claim claim = {
		.name = name,
		.session = uuid_v7(),
		.device = str_of(b->wish.device[0] ? b->wish.device : NULL),
		.address = call_address(b->call),
		.ttl_ms = wk->settings->auth_session_ttl,
	};
	bool is_here = false;
	int r;

	if (!error && (member_is_present(wk->shm, (unsigned)wk->slot, MEMBER_NODE, user, false,
					 &is_here) < 0 ||
		       is_here))
		error = E_NAME_TAKEN;
	if (error) {
		finish(b, error, NULL);
		return;
	}
	r = guest_claim(dbio_writer(wk), &claim, dbio_deadline(wk), on_claimed, b, NULL);
	if (r < 0)
		on_claimed(b, r, NULL);
}

void guest_bind(struct call *call, struct str name, const struct login_wish *wish,
		guest_bound_fn *done, void *arg)
{
	struct binding *b;

	if (!limits_call_take(call, LIMIT_GUEST_NAMES, limit_by_addr(&call->addr))) {
		done(call, arg, E_RATE_LIMITED, NULL);
		return;
	}
	b = xcalloc(1, sizeof(*b));
	*b = (struct binding){call, *wish, done, arg};
	session_guest(call->wk, name, on_guest, b);
}
