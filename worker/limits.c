/* SPDX-License-Identifier: MIT */
/*
 * Chooses bucket and rule for what clients do. Counts in shared memory, sockets' own limits in the
 * connection.
 */
#include "worker/limits.h"

#include "base/clock.h"
#include "base/log.h"
#include "proto/dialect_native.h"
#include "shm/limits.h"
#include "worker/call.h"
#include "worker/conn.h"
#include "worker/route.h"

/* The choices of limits.scope in the order of settings.def. */
enum { SCOPE_ACCOUNTS, SCOPE_ALL };

enum key_kind { KEY_ADDRESS, KEY_USER, KEY_CONVERSATION, KEY_TEXT, KEY_SOCKET };

static const struct class {
	const char *name;
	size_t setting; /* offset of a struct rate in struct settings */
	enum key_kind key;
	enum metric refused;
} classes[] = {
#define X(id, setting, key)                                                                        \
	{#setting, offsetof(struct settings, limits_##setting), KEY_##key, M_LIMITED_##id},
#include "worker/limits.def"
#undef X
};

static const struct rate *rate_of(const struct worker *wk, enum limit_class class)
{
	return (const void *)((const char *)wk->settings + classes[class].setting);
}

static struct limit_rule rule_of(const struct rate *rate)
{
	return (struct limit_rule){rate_interval_ns(rate), rate->burst};
}

static int64_t ms_from_ns(uint64_t ns)
{
	return (int64_t)MIN(ns / 1000000 + (ns % 1000000 != 0), (uint64_t)INT64_MAX);
}

/* ---- Whose ---- */

struct limit_who limit_by_addr(const struct addr *a)
{
	struct limit_who who = {.bytes = addr_site(a)};

	/* the network that ::1 is in has zeroes only: still somebody */
	if (!addr_is_zero(a) && !addr_is_v4(a))
		who.bytes.b[ADDR_LEN - 1] = 64;
	return who;
}

struct limit_who limit_by_id(int64_t id)
{
	struct limit_who who = {.text = {NULL, 0}};

	memcpy(who.bytes.b, &id, sizeof(id));
	return who;
}

struct limit_who limit_by_text(struct str text)
{
	return (struct limit_who){.text = {text.p ? text.p : "", text.len}};
}

static bool is_nobody(const struct limit_who *who)
{
	return !who->text.p && addr_is_zero(&who->bytes);
}

static uint64_t key_of(const struct worker *wk, enum limit_class class,
		       const struct limit_who *who)
{
	if (who->text.p)
		return limit_key(wk->shm, class, who->text.p, who->text.len);
	return limit_key(wk->shm, class, who->bytes.b, sizeof(who->bytes.b));
}

void limits_add_json(const struct worker *wk, struct buf *b)
{
	buf_add_char(b, '{');
	for (unsigned i = 0; i < LIMIT_CLASSES; i++)
		native_add_rate(b, classes[i].name, rate_of(wk, i));
	buf_add_char(b, '}');
}

/* ---- Buckets of the node ---- */

/* Somebody met a limit: counted, and told once a minute and class. */
static void note_refusal(struct worker *wk, enum limit_class class, const struct addr *addr,
			 int64_t user)
{
	static struct log_rate rates[LIMIT_CLASSES];
	char text[ADDR_TEXT_MAX] = "-";
	const char *client = text;
	uint64_t suppressed;

	worker_count(wk, classes[class].refused, 1);
	if (!log_rate_pass(&rates[class], 60000, &suppressed))
		return;
	if (addr)
		addr_format(addr, text);
	log_notice("a limit was reached", LF_STR("limit", classes[class].name),
		   LF_STR("client", client), LF_INT("user", user),
		   LF_INT("suppressed", (int64_t)suppressed));
}

/* Takes N (0: looks). Without a limit *RET says that all is well. */
static void take(struct worker *wk, enum limit_class class, const struct limit_who *who,
		 uint32_t n, struct limit_state *ret)
{
	const struct rate *rate = rate_of(wk, class);
	struct limit_rule rule = rule_of(rate);

	*ret = (struct limit_state){.is_taken = true, .remaining = rate->burst};
	if (rate->count == 0 || is_nobody(who))
		return;
	if (limit_take(wk->shm, (unsigned)wk->slot, key_of(wk, class, who), &rule, n,
		       clock_mono_ns(), ret) < 0)
		worker_stop(wk, WORKER_EXIT_SHM);
}

/* Takes one; a refusal is counted and told. */
static bool take_one(struct worker *wk, enum limit_class class, struct limit_who who,
		     struct limit_state *ret)
{
	enum key_kind key = classes[class].key;

	take(wk, class, &who, 1, ret);
	if (!ret->is_taken)
		note_refusal(wk, class, key == KEY_ADDRESS ? &who.bytes : NULL, 0);
	return ret->is_taken;
}

bool limits_take(struct worker *wk, enum limit_class class, struct limit_who who,
		 int64_t *ret_retry_ms)
{
	struct limit_state state;

	if (take_one(wk, class, who, &state))
		return true;
	if (ret_retry_ms)
		*ret_retry_ms = ms_from_ns(state.retry_ns);
	return false;
}

bool limits_try(struct worker *wk, enum limit_class class, struct limit_who who)
{
	struct limit_state state;

	take(wk, class, &who, 1, &state);
	return state.is_taken;
}

void limits_give(struct worker *wk, enum limit_class class, struct limit_who who)
{
	const struct rate *rate = rate_of(wk, class);
	struct limit_rule rule = rule_of(rate);

	if (rate->count && !is_nobody(&who) &&
	    limit_give(wk->shm, (unsigned)wk->slot, key_of(wk, class, &who), &rule, 1,
		       clock_mono_ns()) < 0)
		worker_stop(wk, WORKER_EXIT_SHM);
}

void limits_forget(struct worker *wk, enum limit_class class, struct limit_who who)
{
	if (limit_forget(wk->shm, (unsigned)wk->slot, key_of(wk, class, &who)) < 0)
		worker_stop(wk, WORKER_EXIT_SHM);
}

/* ---- Requests ---- */

/* Without an account there is nothing to get at this address. */
static bool needs_account(const struct worker *wk, const struct route *route)
{
	return route->auth == ROUTE_AUTH_TOKEN || route->auth == ROUTE_AUTH_ADMIN ||
	       (route->auth == ROUTE_AUTH_GUEST && !wk->settings->chat_guests);
}

/* The class that a request draws from; LIMIT_CLASSES: none. */
static enum limit_class class_of(const struct call *call, enum proto_error auth_error)
{
	const struct route *route = call->route;
	/* whom another site's page made ask is nobody */
	bool is_account = call->who.is_account && auth_error != E_BAD_ORIGIN;
	/* credentials that nobody can look at while the database is away are no bad ones */
	bool is_bad = auth_error == E_UNAUTHORIZED;

	if (call->is_ops || route->rate == ROUTE_RATE_SESSION ||
	    (route->rate == ROUTE_RATE_STATIC && !is_bad))
		return LIMIT_CLASSES;
	if (is_bad || call->wk->settings->limits_scope == SCOPE_ALL)
		return LIMIT_ANONYMOUS;
	if (!is_account && (route->rate == ROUTE_RATE_AUTH || needs_account(call->wk, route)))
		return LIMIT_ANONYMOUS;
	if (route->rate == ROUTE_RATE_UPGRADE)
		return LIMIT_CLASSES;
	return is_account ? LIMIT_USERS : LIMIT_GUESTS;
}

static void tell(struct call *call, enum limit_class class, const struct limit_state *state)
{
	const struct rate *rate = rate_of(call->wk, class);
	struct limit_answer *answer = &call->limit;

	answer->limit = rate->burst;
	answer->remaining = state->remaining;
	/* how long a whole burst takes to come back */
	answer->window_s =
		(ms_from_ns(rate_interval_ns(rate) * rate->burst) + 999) / 1000;
	answer->full_s = (ms_from_ns(state->full_ns) + 999) / 1000;
	answer->retry_ms = state->is_taken ? 0 : ms_from_ns(state->retry_ns);
}

bool limits_call(struct call *call, enum proto_error auth_error)
{
	enum limit_class class = class_of(call, auth_error);
	struct limit_state state;
	struct limit_who who;

	if (class == LIMIT_CLASSES || rate_of(call->wk, class)->count == 0)
		return true;
	who = class == LIMIT_USERS ? limit_by_id(call->who.user) : limit_by_addr(&call->addr);
	if (is_nobody(&who))
		return true;
	take(call->wk, class, &who, 1, &state);
	tell(call, class, &state);
	call->limit.is_anonymous = class == LIMIT_ANONYMOUS && state.is_taken;
	if (!state.is_taken)
		note_refusal(call->wk, class, &call->addr, call->who.user);
	return state.is_taken;
}

void limits_call_proved(struct call *call)
{
	if (!call->limit.is_anonymous || call->wk->settings->limits_scope == SCOPE_ALL)
		return;
	call->limit.is_anonymous = false;
	limits_give(call->wk, LIMIT_ANONYMOUS, limit_by_addr(&call->addr));
	call->limit.remaining = MIN(call->limit.remaining + 1, call->limit.limit);
}

bool limits_call_take(struct call *call, enum limit_class class, struct limit_who who)
{
	struct limit_state state;

	if (take_one(call->wk, class, who, &state))
		return true;
	tell(call, class, &state);
	return false;
}

enum proto_error limits_call_failed(struct call *call)
{
	/* with limits.scope = all it was counted as such when it came */
	if (call->limit.is_anonymous ||
	    limits_call_take(call, LIMIT_ANONYMOUS, limit_by_addr(&call->addr)))
		return E_UNAUTHORIZED;
	return E_RATE_LIMITED;
}

void limits_add_fields(const struct call *call, struct buf *fields)
{
	const struct limit_answer *l = &call->limit;

	if (!l->limit)
		return;
	buf_printf(fields,
		   "RateLimit-Policy: %" PRIu32 ";w=%" PRId64 "\r\n"
		   "RateLimit-Limit: %" PRIu32 "\r\n"
		   "RateLimit-Remaining: %" PRIu32 "\r\n"
		   "RateLimit-Reset: %" PRId64 "\r\n",
		   l->limit, l->window_s, l->limit, l->remaining, l->full_s);
}

/* ---- Sockets ---- */

enum limit_verdict limits_frame(struct conn *c, enum limit_class class, int64_t *ret_retry_ms)
{
	struct worker *wk = conn_worker(c);
	const struct rate *rate = rate_of(wk, class), *abuse = &wk->settings->limits_abuse;
	struct limit_rule rule = rule_of(rate), abuse_rule = rule_of(abuse);
	uint64_t now_ns;
	struct limit_state state;

	if (rate->count == 0)
		return LIMIT_PASS;
	now_ns = clock_mono_ns();
	limit_apply(&c->frames_tat_ns, &rule, 1, now_ns, &state);
	if (state.is_taken)
		return LIMIT_PASS;
	*ret_retry_ms = ms_from_ns(state.retry_ns);
	note_refusal(wk, class, &c->addr, c->user);
	if (abuse->count == 0)
		return LIMIT_REFUSED;
	limit_apply(&c->abuse_tat_ns, &abuse_rule, 1, now_ns, &state);
	if (state.is_taken)
		return LIMIT_REFUSED;
	worker_count(wk, M_CLOSED_ABUSE, 1);
	return LIMIT_ABUSE;
}

/* Both or neither; the class that refuses is *RET_CLASS. */
static bool take_send(struct worker *wk, int64_t user, int64_t conv, enum limit_class *ret_class,
		      struct limit_state *ret)
{
	*ret_class = LIMIT_SENDS_USER;
	if (!take_one(wk, LIMIT_SENDS_USER, limit_by_id(user), ret))
		return false;
	*ret_class = LIMIT_SENDS_CONVERSATION;
	if (take_one(wk, LIMIT_SENDS_CONVERSATION, limit_by_id(conv), ret))
		return true;
	limits_give(wk, LIMIT_SENDS_USER, limit_by_id(user));
	return false;
}

bool limits_send(struct worker *wk, int64_t user, int64_t conv, int64_t *ret_retry_ms)
{
	enum limit_class class;
	struct limit_state state;

	if (take_send(wk, user, conv, &class, &state))
		return true;
	*ret_retry_ms = ms_from_ns(state.retry_ns);
	return false;
}

bool limits_call_send(struct call *call, int64_t user, int64_t conv)
{
	enum limit_class class;
	struct limit_state state;

	if (take_send(call->wk, user, conv, &class, &state))
		return true;
	tell(call, class, &state);
	return false;
}

void limits_unsend(struct worker *wk, int64_t user, int64_t conv)
{
	limits_give(wk, LIMIT_SENDS_USER, limit_by_id(user));
	limits_give(wk, LIMIT_SENDS_CONVERSATION, limit_by_id(conv));
}
