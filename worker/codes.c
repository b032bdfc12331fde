/* SPDX-License-Identifier: MIT */
/*
 * The life of rooms with codes on this node. Closing goes through the log like everybody's
 * (persist.h), so that whoever looks at the room then is told.
 */
#include "worker/codes.h"

#include "base/clock.h"
#include "base/log.h"
#include "shm/rooms.h"
#include "shm/slots.h"
#include "sql/changes.h"
#include "worker/dbio.h"
#include "worker/persist.h"
#include "worker/roles.h"

/*
 * Until a room that is in use is looked at again: only then is a leaving noticed that nobody told,
 * because the worker died that should have.
 */
#define AGAIN_MS 60000

#define BEAT_MAX_MS 5000 /* a worker that has not turned for so long looks after nothing */
#define LEFT_MAX 65536	 /* pairs that wait; more are found by the next look at their rooms */

struct codes {
	size_t n_left, cap;
	int64_t *convs, *users; /* owned: pairs, oldest first */
	size_t n_writing;	/* of them are being written */
	bool is_looking;	/* at what is due, until the last of it is closed */
};

/* Rooms that are being closed; one block. */
struct ending {
	struct worker *wk;
	size_t n, n_open; /* of them without an answer yet */
	int64_t convs[];
};

/* ---- Leaving ---- */

/* Nobody needs a code to come back to an open room. */
static bool is_open_room(struct worker *wk, int64_t conv)
{
	struct rights r;

	return roles_peek(wk, conv, 0, false, &r) && r.actor.role == ROLE_VISITOR;
}

void codes_left(struct worker *wk, int64_t conv, int64_t user)
{
	struct codes *cs = wk->codes;

	if (cs->n_left == LEFT_MAX || is_open_room(wk, conv))
		return;
	if (cs->n_left == cs->cap) {
		cs->cap = cs->cap ? cs->cap * 2 : 64;
		cs->convs = xrealloc(cs->convs, cs->cap * sizeof(*cs->convs));
		cs->users = xrealloc(cs->users, cs->cap * sizeof(*cs->users));
	}
	cs->convs[cs->n_left] = conv;
	cs->users[cs->n_left++] = user;
}

static void on_written(void *arg, int err)
{
	struct worker *wk = arg;
	struct codes *cs = wk->codes;
	size_t n;

	if (!cs)
		return;
	n = cs->n_writing;
	cs->n_writing = 0;
	if (err == -ERR_UNAVAILABLE || err == -ERR_TIMEOUT)
		return; /* once more in a second */
	cs->n_left -= n;
	memmove(cs->convs, cs->convs + n, cs->n_left * sizeof(*cs->convs));
	memmove(cs->users, cs->users + n, cs->n_left * sizeof(*cs->users));
}

static void write_left(struct worker *wk)
{
	struct codes *cs = wk->codes;

	if (!cs->n_left || cs->n_writing)
		return;
	cs->n_writing = MIN(cs->n_left, (size_t)CODES_MAX);
	if (code_left(dbio_writer(wk), cs->convs, cs->users, cs->n_writing,
		      wk->settings->chat_code_grace, dbio_deadline(wk), on_written, wk, NULL) < 0)
		cs->n_writing = 0;
}

/* ---- Closing ---- */

static void looked(struct worker *wk)
{
	if (wk->codes)
		wk->codes->is_looking = false;
}

static void on_forgotten(void *arg, int err)
{
	(void)err; /* what is still there is due again */
	looked(arg);
}

static void forget(struct ending *e)
{
	struct worker *wk = e->wk;

	if (code_forget(dbio_writer(wk), e->convs, e->n, dbio_deadline(wk), on_forgotten, wk,
			NULL) < 0)
		looked(wk);
	free(e);
}

static void on_closed(struct worker *wk, void *arg, const struct persist_result *res)
{
	struct ending *e = arg;

	if (!res->error)
		log_debug("a room with a code was closed",
			  LF_INT("conversation", res->event->conv));
	if (--e->n_open > 0)
		return;
	if (wk->codes)
		forget(e);
	else
		free(e);
}

static void on_settled(void *arg, int err, const int64_t *convs, size_t n)
{
	struct worker *wk = arg;
	struct ending *e;

	if (err || !n || !wk->codes) {
		looked(wk);
		return;
	}
	e = xcalloc(1, sizeof(*e) + n * sizeof(e->convs[0]));
	e->wk = wk;
	for (size_t i = 0; i < n; i++) {
		const struct log_change change = {
			.kind = KIND_CONVERSATION_CLOSE, .conv = convs[i], .may_moderate = true};

		if (persist_change(wk, &change, STR(""), NULL, on_closed, e) < 0)
			break;
		e->convs[e->n++] = convs[i];
		e->n_open++;
	}
	if (e->n)
		return;
	free(e);
	looked(wk);
}

static void on_due(void *arg, int err, const int64_t *convs, size_t n)
{
	struct worker *wk = arg;
	int64_t users[CODES_MAX];
	uint32_t counts[CODES_MAX];

	if (err || !n || !wk->codes ||
	    room_users_bulk(wk->shm, (unsigned)wk->slot, convs, n, counts) < 0) {
		looked(wk);
		return;
	}
	for (size_t i = 0; i < n; i++)
		users[i] = counts[i];
	if (code_settle(dbio_writer(wk), convs, users, n, wk->settings->chat_code_grace, AGAIN_MS,
			dbio_deadline(wk), on_settled, wk, NULL) < 0)
		looked(wk);
}

/* Whether no worker before this one serves. */
static bool is_first(const struct worker *wk)
{
	uint64_t now = clock_mono_ms();

	for (int slot = 0; slot < wk->slot; slot++) {
		struct slot_info info;

		if (slot_read(wk->shm, (unsigned)slot, &info) == 0 && info.state == SLOT_READY &&
		    now - info.heartbeat_ms < BEAT_MAX_MS)
			return false;
	}
	return true;
}

void codes_look(struct worker *wk)
{
	struct codes *cs = wk->codes;

	write_left(wk);
	if (cs->is_looking || wk->draining || dbio_is_away(wk) || !is_first(wk))
		return;
	cs->is_looking = code_due(dbio_reader(wk), dbio_deadline(wk), on_due, wk, NULL) == 0;
}

void codes_open(struct worker *wk)
{
	wk->codes = xcalloc(1, sizeof(*wk->codes));
}

void codes_close(struct worker *wk)
{
	free(wk->codes->convs);
	free(wk->codes->users);
	free(wk->codes);
	wk->codes = NULL;
}
