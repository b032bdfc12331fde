/* SPDX-License-Identifier: MIT */
/*
 * The page of a room with a code: who is there, what was said, a form to say something, a way out.
 * Looking at it keeps the room (chat.code_visit), as nobody sees a browser without scripts leave.
 */
#include "base/log.h"
#include "base/map.h"
#include "proto/json.h"
#include "proto/utf8.h"
#include "shm/presence.h"
#include "sql/changes.h"
#include "sql/codes.h"
#include "worker/audit.h"
#include "worker/dbio.h"
#include "worker/pace.h"
#include "worker/pages.h"
#include "worker/persist.h"
#include "worker/repeat.h"
#include "worker/rest.h"
#include "worker/revoke.h"
#include "worker/routes.h"

#define PAGE_MAX 100   /* messages */
#define PEOPLE_MAX 200 /* names that are listed; of more the number */
#define DEPTH_MAX 5

/* The page on its way, with what was wrong with the form on it. */
struct view {
	struct call *call;
	struct code_view what;
	enum proto_error error; /* E_NONE: the page was only asked for */
	char *text;		/* owned: why; NULL: the error's own */
	struct buf message;	/* owned: as typed */
};

static void view_free(struct view *v)
{
	free(v->text);
	buf_done(&v->message);
	free(v);
}

static void fail(struct view *v, enum proto_error error)
{
	struct call *call = v->call;

	view_free(v);
	call_error(call, error, NULL);
}

/* The room has ended, or the caller was put out of it. */
static void leave_closed(struct view *v)
{
	struct call *call = v->call;

	view_free(v);
	pages_set_room(call, 0);
	pages_go_home(call, NOTICE_CLOSED);
}

/* ---- People ---- */

struct people {
	const struct call *call;
	struct buf html;
	struct map seen; /* user -> itself */
	size_t n;
};

static void add_person(void *arg, int64_t user, struct str name)
{
	struct people *p = arg;
	const struct html_value values[] = {
		{"name", name, false},
		{"class", user == p->call->who.user ? STR(" class=\"me\"") : STR(""), true},
	};

	if (user <= 0 || map_get(&p->seen, (uint64_t)user))
		return;
	map_put(&p->seen, (uint64_t)user, p);
	if (++p->n <= PEOPLE_MAX)
		pages_fill(p->call, &p->html, "person.html", values, ARRAY_LEN(values));
}

/* The caller, those who have a socket there, and those who look at the page without one. */
static void find_people(const struct view *v, const struct json_value *visitors,
			struct people *ret)
{
	struct worker *wk = v->call->wk;

	*ret = (struct people){.call = v->call};
	add_person(ret, v->call->who.user, str_of(v->call->who.name));
	if (roster_read(wk->shm, (unsigned)wk->slot, v->what.conv, add_person, ret) < 0)
		log_debug("the people of a room could not be read",
			  LF_INT("conversation", v->what.conv));
	for (size_t i = 0; i < json_count(visitors); i++) {
		const struct json_value *one = json_at(visitors, i);
		struct str name;
		int64_t id;

		if (json_to_i64(json_get(one, "id"), &id) &&
		    json_to_str(json_get(one, "name"), &name))
			add_person(ret, id, name);
	}
}

/* ---- Messages ---- */

static struct str text_of(const struct json_value *v, const char *key)
{
	struct str s = STR("");

	(void)!json_to_str(json_get(v, key), &s);
	return s;
}

static int64_t number_of(const struct json_value *v, const char *key)
{
	int64_t n = 0;

	(void)!json_to_i64(json_get(v, key), &n);
	return n;
}

static void add_message(const struct view *v, struct buf *html, const struct json_value *m)
{
	bool is_own = number_of(m, "user") == v->call->who.user;

	pages_fill(v->call, html, "message.html",
		  (struct html_value[]){
			  {"id", text_of(m, "id"), false},
			  {"class", is_own ? STR(" class=\"me\"") : STR(""), true},
			  {"name", text_of(m, "name"), false},
			  {"time", text_of(m, "timestamp"), false},
			  {"content", text_of(m, "content"), false},
		  },
		  5);
}

static void add_messages(const struct view *v, const struct json_value *page, struct buf *html)
{
	const struct json_value *messages = json_get(page, "messages");

	for (size_t i = 0; i < json_count(messages); i++)
		add_message(v, html, json_at(messages, i));
}

/* The way to what was said before the first of the page, if there is more. */
static void add_earlier(const struct view *v, const struct json_value *page, struct buf *html)
{
	const struct json_value *first = json_at(json_get(page, "messages"), 0);
	bool has_before = false;

	if (!json_to_bool(json_get(page, "has_before"), &has_before) || !has_before || !first)
		return;
	pages_fill(v->call, html, "earlier.html",
		  (struct html_value[]){{"before", text_of(first, "id"), false}}, 1);
}

/* ---- The page ---- */

static void add_notices(const struct view *v, struct buf *html)
{
	if (v->error)
		pages_add_notice(v->call, html, "error",
				str_of(v->text ? v->text : error_info(v->error)->text));
	if (v->call->is_stale)
		pages_add_notice(v->call, html, "info",
				STR("The database cannot be reached: this is what was here before, "
				    "and nothing can be sent now."));
}

static void render(struct view *v, const struct json_value *page)
{
	struct call *call = v->call;
	struct buf notices = BUF_INIT, messages = BUF_INIT, earlier = BUF_INIT;
	struct people people;
	char key[UUID_TEXT_LEN + 1], count[24], max[24];
	struct uuid id = uuid_v7();

	uuid_format(&id, key);
	add_notices(v, &notices);
	add_messages(v, page, &messages);
	add_earlier(v, page, &earlier);
	find_people(v, json_get(page, "visitors"), &people);
	snprintf(count, sizeof(count), "%zu", people.n);
	snprintf(max, sizeof(max), "%" PRId64, call->wk->settings->chat_code_message_max);
	pages_answer(call, v->error ? pages_status(v->error) : 200, "room.html",
		    (struct html_value[]){
			    {"code", text_of(page, "code"), false},
			    {"name", str_of(call->who.name), false},
			    {"notices", buf_str(&notices), true},
			    {"people", buf_str(&people.html), true},
			    {"count", str_of(count), false},
			    {"earlier", buf_str(&earlier), true},
			    {"messages", buf_str(&messages), true},
			    {"message", buf_str(&v->message), false},
			    {"message_max", str_of(max), false},
			    {"key", str_of(key), false},
		    },
		    10);
	map_done(&people.seen);
	buf_done(&people.html);
	buf_done(&notices);
	buf_done(&messages);
	buf_done(&earlier);
	view_free(v);
}

static void render_text(struct view *v, struct str json)
{
	struct json_doc *doc = NULL;

	if (json_parse(json, DEPTH_MAX, &doc, NULL) < 0)
		fail(v, E_INTERNAL);
	else
		render(v, json_root(doc));
	json_doc_free(&doc);
}

static struct stale_key key_of(const struct view *v)
{
	return (struct stale_key){.what = STALE_PAGE_CODE,
				  .limit = v->what.limit,
				  .conv = v->what.conv,
				  .rev = v->what.before_rev};
}

static void on_page(void *arg, int err, struct str json)
{
	struct view *v = arg;
	struct call *call = v->call;
	const struct stale_key key = key_of(v);
	struct buf old = BUF_INIT;
	struct str text;

	if (!err) {
		stale_keep(call->wk, &key, json);
		render_text(v, json);
	} else if (err == -ERR_NOENT) {
		leave_closed(v);
	} else if (stale_find(call->wk, &key, &text, &call->age_ms)) {
		call->is_stale = true;
		buf_add_str(&old, text); /* lent for a moment only */
		render_text(v, buf_str(&old));
		buf_done(&old);
	} else {
		fail(v, pages_db_error(err));
	}
}

static void on_rights(struct worker *wk, void *arg, int err, const struct rights *r)
{
	struct view *v = arg;
	const struct stale_key key = key_of(v);

	if (err == -ERR_NOENT || (!err && (r->is_closed || !authz_allows(&r->actor, MAY_READ)))) {
		leave_closed(v);
		return;
	}
	err = err ? err : code_page(dbio_reader(wk), &v->what, stale_deadline(wk, &key), on_page, v,
				    NULL);
	if (err < 0)
		on_page(v, err, STR(""));
}

/* Takes over V. */
static void show(struct view *v)
{
	struct call *call = v->call;

	roles_get(call->wk, v->what.conv, call->who.user, call->who.is_admin, on_rights, v);
}

static struct view *view_new(struct call *call)
{
	struct view *v = xcalloc(1, sizeof(*v));

	v->call = call;
	v->what = (struct code_view){.conv = call->who.room,
				     .limit = PAGE_MAX,
				     .user = call->who.user,
				     .hold_ms = call->wk->settings->chat_code_visit};
	return v;
}

void page_room(struct call *call)
{
	struct rest_marker before = {0};
	struct fault fault;
	struct view *v;

	if (!pages_needs_room(call))
		return;
	if (rest_query_marker(call->req, "before", &before, &fault) == -ERR_INVAL ||
	    (before.conv && before.conv != call->who.room)) {
		call_error(call, E_BAD_REQUEST, "There is no such place in this room.");
		return;
	}
	v = view_new(call);
	v->what.before_rev = before.rev;
	show(v);
}

/* ---- Saying something ---- */

/* A message on its way; V is the page that tells of its failing. */
struct saying {
	struct view *v;
	struct uuid key;
	struct pace pace;
	bool is_denied; /* by its role: audited unless it was said before */
};

static void refuse(struct saying *s, enum proto_error error, const char *text)
{
	struct view *v = s->v;

	v->error = error;
	v->text = text ? xstrndup(text, strlen(text)) : NULL;
	free(s);
	show(v);
}

static void on_said(struct worker *wk, void *arg, const struct persist_result *res)
{
	struct saying *s = arg;
	struct call *call = s->v->call;

	if (res->error || res->is_duplicate) /* nothing new was said */
		pace_give_back(wk, &s->pace);
	if (s->is_denied && res->error && res->error != E_UNAVAILABLE)
		audit_denied_call(call, MAY_SEND, call->who.room, 0);
	if (res->error) {
		refuse(s, res->error, res->detail);
		return;
	}
	view_free(s->v);
	free(s);
	pages_redirect(call, 303, "/room#last");
}

/* Slow mode comes last: what is refused has cost its sender nothing. */
static enum proto_error judge(struct saying *s, const struct rights *r)
{
	struct call *call = s->v->call;

	if (!authz_allows(&r->actor, MAY_SEND)) {
		s->is_denied = true;
		return authz_refusal(&r->actor, MAY_SEND);
	}
	if (!limits_call_send(call, call->who.user, call->who.room))
		return E_RATE_LIMITED;
	if (pace_take(call->wk, call->who.room, r, &s->pace, &call->limit.retry_ms))
		return E_NONE;
	limits_unsend(call->wk, call->who.user, call->who.room);
	return E_SLOW_MODE;
}

static void on_may_say(struct worker *wk, void *arg, int err, const struct rights *r)
{
	struct saying *s = arg;
	struct call *call = s->v->call;
	struct repeat what = {.conv = call->who.room,
			      .actor = call->who.user,
			      .key = s->key,
			      .type = EVT_MESSAGE_NEW,
			      .error = err ? pages_db_error(err) : judge(s, r)};
	const struct event event = {
		.type = EVT_MESSAGE_NEW,
		.conv = call->who.room,
		.actor = call->who.user,
		.actor_name = str_of(call->who.name),
		.content = buf_str(&s->v->message),
		.client_msg_id = s->key,
	};

	if (!what.error && persist_send(wk, &event, &call->who.session, on_said, s) < 0) {
		limits_unsend(wk, what.actor, what.conv);
		pace_give_back(wk, &s->pace);
		what.error = E_UNAVAILABLE;
	}
	if (what.error) /* unless it was said before */
		repeat_ask(wk, &what, on_said, s);
}

/* Returns why MESSAGE is none, or NULL. */
static const char *fault_of(struct str message, bool is_good, int64_t max, struct fault *fault)
{
	switch (is_good ? utf8_message(message, (size_t)max) : -ERR_INVAL) {
	case 0:
		return NULL;
	case -ERR_NOENT:
		return "The message is empty.";
	case -ERR_TOOBIG:
		fault_field(fault, FAULT_TOO_LONG, "message", max);
		return fault->text;
	default:
		return "The message has characters that are not allowed.";
	}
}

/*
 * The key makes a form that is sent twice one message; without one, as from other programs, each
 * is a message of its own.
 */
void page_say(struct call *call)
{
	struct fault fault;
	struct saying *s;
	bool is_good;
	const char *why;
	struct buf key;

	if (!pages_is_own_form(call) || !pages_needs_room(call))
		return;
	s = xcalloc(1, sizeof(*s));
	s->v = view_new(call);
	key = pages_field(call, "key", &is_good);
	if (uuid_parse(buf_str(&key), &s->key) < 0)
		s->key = (struct uuid){0};
	buf_done(&key);
	s->v->message = pages_field(call, "message", &is_good);
	why = fault_of(buf_str(&s->v->message), is_good,
		       call->wk->settings->chat_code_message_max, &fault);
	if (why)
		refuse(s, E_INVALID, why);
	else
		roles_get(call->wk, call->who.room, call->who.user, call->who.is_admin, on_may_say,
			  s);
}

/* ---- Leaving ---- */

/* Out is out, even if nobody could write it down: then the room ends a little later. */
static void on_left(void *arg, int err)
{
	struct call *call = arg;

	(void)err;
	pages_set_room(call, 0);
	pages_redirect(call, 303, "/");
}

static void on_no_member(struct worker *wk, void *arg, const struct persist_result *res)
{
	struct call *call = arg;
	int r;

	if (!res->error)
		revoke_member(wk, call->who.room, call->who.user);
	r = code_left(dbio_writer(wk), &call->who.room, &call->who.user, 1,
		      wk->settings->chat_code_grace, dbio_deadline(wk), on_left, call, NULL);
	if (r < 0)
		on_left(call, r);
}

void page_leave(struct call *call)
{
	const struct log_change change = {
		.kind = KIND_MEMBER_LEAVE,
		.conv = call->who.room,
		.actor = call->who.user,
		.subject = call->who.user,
		.address = str_of(call->address),
	};

	if (!pages_is_own_form(call) || !pages_needs_room(call))
		return;
	if (persist_change(call->wk, &change, str_of(call->who.name), &call->who.session,
			   on_no_member, call) < 0)
		on_left(call, -ERR_UNAVAILABLE);
}
