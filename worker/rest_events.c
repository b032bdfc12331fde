/* SPDX-License-Identifier: MIT */
/*
 * GET /api/v1/events: which conversations from where on, and may the caller read them.
 * The stream itself is sse_conn.c's.
 */
#include "proto/cursor.h"
#include "proto/dialect_native.h"
#include "proto/http_field.h"
#include "proto/sse.h"
#include "sql/rooms.h"
#include "worker/admission.h"
#include "worker/audit.h"
#include "worker/call.h"
#include "worker/conn.h"
#include "worker/dbio.h"
#include "worker/http_conn.h"
#include "worker/roles.h"
#include "worker/routes.h"
#include "worker/sse_conn.h"

/* One conversation that was asked for. */
struct wish {
	int64_t conv; /* 0 while only UUID is known */
	struct uuid uuid;
	int64_t head; /* of its log, when ERR is 0 */
	int err;      /* of the looks at the database; -ERR_DENIED: may not be read */
	enum proto_error refusal; /* the word for that */
};

/* A stream that is being prepared: the conversations are looked at side by side. */
struct opening {
	struct call *call;
	bool is_resumed; /* by an EventSource that comes back */
	size_t n, left;	 /* wishes; answers that are missing */
	struct wish *wishes; /* owned */
	struct cursor cursor; /* owned; where the reader stands, empty: from now on */
};

/* Names one wish in the database's answer. */
struct look {
	struct opening *o;
	size_t at;
};

static void opening_free(struct opening *o)
{
	cursor_done(&o->cursor);
	free(o->wishes);
	free(o);
}

/* ---- Refusals ---- */

/*
 * Refusals that pass. An EventSource gives up for good when it is answered anything but a stream
 * (HTML standard, section 9.2.3), so one that comes back gets a stream that ends at once and says
 * when to try again.
 */
static void refuse_for_now(struct call *call, enum proto_error error, bool is_resumed)
{
	struct buf body = BUF_INIT;

	if (!is_resumed || call->head_only) {
		call_error(call, error, NULL);
		return;
	}
	sse_add_retry(&body, worker_retry_ms(call->wk));
	call->keep_alive = false;
	call_answer(call, 200, SSE_CONTENT_TYPE, SSE_FIELDS, buf_str(&body));
	buf_done(&body);
}

static void refuse_field(struct call *call, enum fault_kind kind, const char *field, int64_t bound)
{
	struct fault fault;

	fault_field(&fault, kind, field, bound);
	call_fault(call, &fault, NULL);
}

/* ---- What is asked for ---- */

static bool is_wished(const struct opening *o, const struct wish *w)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->wishes[i].conv == w->conv &&
		    memcmp(&o->wishes[i].uuid, &w->uuid, sizeof(w->uuid)) == 0)
			return true;
	return false;
}

static void wish_add(struct opening *o, const struct wish *w)
{
	if (is_wished(o, w))
		return;
	o->wishes = xrealloc(o->wishes, (o->n + 1) * sizeof(*o->wishes));
	o->wishes[o->n++] = *w;
}

/*
 * A value of "c": a number or a UUID. What is well formed and names nothing is refused later,
 * with 404.
 */
static int wish_parse(struct str text, struct wish *ret)
{
	*ret = (struct wish){0};
	if (str_to_i64(text, &ret->conv) == 0)
		return ret->conv > 0 ? 0 : -ERR_INVAL;
	return uuid_parse(text, &ret->uuid);
}

/* Every "c" of the query. Returns 0, -ERR_INVAL, or -ERR_TOOBIG beyond MAX conversations. */
static int take_wishes(struct opening *o, struct str query, size_t max)
{
	int r = 0;

	while (query.len && r == 0) {
		const char *end = memchr(query.p, '&', query.len);
		struct str part = {query.p, end ? (size_t)(end - query.p) : query.len};
		struct buf value = BUF_INIT;
		struct wish w;

		query.p += part.len + (end ? 1 : 0);
		query.len -= part.len + (end ? 1 : 0);
		r = http_form_get(part, "c", &value);
		if (r == 0)
			r = wish_parse(buf_str(&value), &w);
		if (r == 0)
			wish_add(o, &w);
		if (r == -ERR_NOENT) /* another parameter */
			r = 0;
		if (o->n > max)
			r = -ERR_TOOBIG;
		buf_done(&value);
	}
	return r;
}

/*
 * The cursor's text: the header's before the query's, because a browser that reconnects sends the
 * address that it was given and the newer place. Returns 0, -ERR_NOENT or -ERR_INVAL with
 * *RET_FIELD.
 */
static int cursor_text(const struct http_request *req, size_t max, struct buf *ret,
		       const char **ret_field)
{
	struct str field = http_header(req, "Last-Event-ID"), text;
	int r = field.p ? sse_last_event_id(field, cursor_text_max(max), &text) : -ERR_NOENT;

	*ret_field = "Last-Event-ID";
	if (r == 0)
		buf_add_str(ret, text);
	if (r != -ERR_NOENT)
		return r;
	*ret_field = "cursor";
	r = http_query_get(req, "cursor", ret);
	return r == 0 && ret->len == 0 ? -ERR_NOENT : r;
}

/*
 * Reads the cursor, if there is one; it names the conversations when the query does not. Answers
 * and returns false when it cannot be used.
 */
static bool take_cursor(struct opening *o, size_t max)
{
	bool with_all = o->n == 0;
	struct buf text = BUF_INIT;
	const char *field;
	int r = cursor_text(o->call->req, max, &text, &field);

	if (r == 0)
		r = cursor_decode(buf_str(&text), max, &o->cursor);
	buf_done(&text);
	if (r == -ERR_NOENT)
		return true;
	/* a watcher's places are anybody's, a user's own alone */
	if (r < 0 || (o->cursor.user && o->cursor.user != o->call->who.user)) {
		refuse_field(o->call, FAULT_VALUE, field, 0);
		return false;
	}
	for (size_t i = 0; i < o->cursor.n && with_all; i++)
		wish_add(o, &(struct wish){.conv = o->cursor.pos[i].conv});
	return true;
}

/* ---- The answer ---- */

static bool is_in(const struct sse_position *positions, size_t n, int64_t conv)
{
	for (size_t i = 0; i < n; i++)
		if (positions[i].conv == conv)
			return true;
	return false;
}

/*
 * Where the stream begins in each conversation, each once: number and UUID may have named the
 * same.
 */
static size_t collect(const struct opening *o, struct sse_position *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < o->n; i++) {
		const struct wish *w = &o->wishes[i];
		const struct cursor_pos *pos = cursor_find(&o->cursor, w->conv);
		int64_t head = w->err ? -1 : w->head;

		if (w->conv && !is_in(ret, n, w->conv))
			ret[n++] = (struct sse_position){w->conv, pos ? pos->rev : head, head};
	}
	return n;
}

/* The first of them says it. */
static enum proto_error why_missing(const struct opening *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->wishes[i].err == -ERR_DENIED)
			return o->wishes[i].refusal;
		else if (o->wishes[i].err == -ERR_NOENT)
			break;
	return E_NO_SUCH_ROOM;
}

static bool is_passing(int err)
{
	return err == -ERR_UNAVAILABLE || err == -ERR_FULL || err == -ERR_TIMEOUT;
}

/*
 * A reader that comes back is told in the stream which conversations are gone; whoever comes
 * first, or for nothing else, with 404.
 */
static void answer(struct opening *o)
{
	struct sse_position *positions = xcalloc(o->n, sizeof(*positions));
	struct identity who;
	size_t missing = 0, n;
	int err = 0;

	for (size_t i = 0; i < o->n; i++)
		if (o->wishes[i].err == -ERR_NOENT || o->wishes[i].err == -ERR_DENIED)
			missing++;
		else if (o->wishes[i].err < 0)
			err = o->wishes[i].err;
	n = collect(o, positions);
	if (is_passing(err))
		refuse_for_now(o->call, E_UNAVAILABLE, o->is_resumed);
	else if (err < 0)
		call_db_error(o->call, err);
	else if (missing == o->n || (missing && !o->is_resumed))
		call_error(o->call, why_missing(o), NULL);
	else if (o->call->wk->draining) /* since the request came */
		refuse_for_now(o->call, E_RESTARTING, o->is_resumed);
	else if (o->call->who.user && authn_again(o->call->wk, &o->call->who, &who))
		call_error(o->call, E_UNAUTHORIZED, NULL); /* ended since */
	else if (o->call->head_only)
		sse_conn_head(o->call);
	else
		sse_conn_start(o->call, positions, n);
	free(positions);
	opening_free(o);
}

static void look_done(struct look *l, int err)
{
	struct opening *o = l->o;

	o->wishes[l->at].err = err;
	free(l);
	if (--o->left == 0)
		answer(o);
}

static void on_rights(struct worker *wk, void *arg, int err, const struct rights *r)
{
	struct look *look = arg;
	struct wish *w = &look->o->wishes[look->at];

	(void)wk;
	if (!err && !authz_allows(&r->actor, MAY_READ)) {
		w->refusal = authz_refusal(&r->actor, MAY_READ);
		audit_denied_call(look->o->call, MAY_READ, w->conv, 0);
		err = -ERR_DENIED;
	}
	look_done(look, err);
}

static void on_room(void *arg, int err, const struct room *room)
{
	struct look *look = arg;
	const struct call *call = look->o->call;
	struct wish *w = &look->o->wishes[look->at];

	if (err == 0 && room->is_closed)
		err = -ERR_NOENT;
	if (err) {
		look_done(look, err);
		return;
	}
	w->conv = room->id;
	w->head = room->rev;
	roles_get(call->wk, w->conv, call->who.user, call->who.is_admin, on_rights, look);
}

static void look_at_rooms(struct opening *o)
{
	struct call *call = o->call;
	size_t n = o->n;

	o->left = n; /* the last answer frees O, perhaps within the loop */
	for (size_t i = 0; i < n; i++) {
		struct look *look = xmalloc(sizeof(*look));
		const struct wish *w = &o->wishes[i];
		int r;

		*look = (struct look){o, i};
		r = room_info(dbio_reader(call->wk), w->conv, &w->uuid, dbio_deadline(call->wk),
			      on_room, look, NULL);
		if (r < 0)
			on_room(look, r, NULL);
	}
}

void rest_events(struct call *call)
{
	size_t max = (size_t)call->wk->settings->websocket_subscriptions_max;
	struct opening *o = xcalloc(1, sizeof(*o));
	int r;

	o->call = call;
	o->is_resumed = http_header(call->req, "Last-Event-ID").p != NULL;
	r = take_wishes(o, call->req->query, max);
	if (r == -ERR_TOOBIG)
		refuse_field(call, FAULT_TOO_LARGE, "c", (int64_t)max);
	else if (r < 0)
		refuse_field(call, FAULT_VALUE, "c", 0);
	else if (!take_cursor(o, max))
		r = -ERR_INVAL; /* and answered */
	else if (o->n == 0)
		refuse_field(call, FAULT_MISSING, "c", 0);
	else if (call->wk->draining)
		refuse_for_now(call, E_RESTARTING, o->is_resumed);
	else if (!admission_pass(call->wk))
		refuse_for_now(call, E_OVERLOADED, o->is_resumed);
	else {
		look_at_rooms(o);
		return;
	}
	opening_free(o);
}
