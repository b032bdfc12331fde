/* SPDX-License-Identifier: MIT */
/*
 * Who is online: the answer to a question over a socket or by HTTP, from shared memory.
 * Changes are told by presence.c.
 */
#include "proto/dialect_native.h"
#include "shm/presence.h"
#include "shm/users.h"
#include "sql/users.h"
#include "worker/call.h"
#include "worker/chan.h"
#include "worker/dbio.h"
#include "worker/on_priv.h"
#include "worker/presence.h"
#include "worker/rest.h"
#include "worker/routes.h"

#define USERS_MAX 500	 /* asked about at once */
#define PAGE_DEFAULT 100
#define PAGE_MAX 1000
/* In scope "shared", so that a question takes milliseconds whatever the asker follows: */
#define LOOKS_MAX 20000 /* persons times conversations */
#define ROSTERS_MAX 20000 /* persons in the lists that are read, about */

/* Who was asked about, one after the other. */
struct asked {
	struct worker *wk;
	const struct conn *asker; /* told about people who are in its conversations; NULL: all */
	const int64_t *users;
	size_t n, at;
	bool is_online_only; /* those who are not are passed over */
	struct user_info info; /* holds the name until the next */
};

static bool shares_room(const struct asked *a, int64_t user)
{
	for (const struct sub *sub = a->asker->subs; sub; sub = sub->next_of_conn) {
		bool is_there = false;

		if (sub->state != SUB_LOADING &&
		    member_is_present(a->wk->shm, (unsigned)a->wk->slot, sub->chan->conv, user,
				      true, &is_there) == 0 &&
		    is_there)
			return true;
	}
	return false;
}

/* As far as the asker may know. */
static bool is_online(const struct asked *a, int64_t user)
{
	bool is_there = false;

	return member_is_present(a->wk->shm, (unsigned)a->wk->slot, MEMBER_NODE, user, true,
				 &is_there) == 0 &&
	       is_there && (!a->asker || shares_room(a, user));
}

static bool asked_next(void *arg, struct native_presence *ret)
{
	struct asked *a = arg;
	unsigned me = (unsigned)a->wk->slot;
	bool is_here;

	do {
		if (a->at == a->n)
			return false;
		*ret = (struct native_presence){.user = a->users[a->at++]};
		is_here = is_online(a, ret->user);
	} while (a->is_online_only && !is_here);
	ret->state = is_here ? "online" : "offline";
	if (is_here && user_read(a->wk->shm, me, ret->user, &a->info) == 0)
		ret->name = (struct str){a->info.name, a->info.name_len};
	return true;
}

static bool is_scope(const struct worker *wk, const char *scope)
{
	return str_eq(presence_scope(wk), str_of(scope));
}

/* ---- People in one's own conversations ---- */

struct people {
	int64_t *users; /* owned */
	size_t n, cap;
};

static void people_add(void *arg, int64_t user, struct str name)
{
	struct people *p = arg;

	(void)name;
	if (p->n == p->cap) {
		p->cap = p->cap ? 2 * p->cap : 256;
		p->users = xrealloc(p->users, p->cap * sizeof(*p->users));
	}
	p->users[p->n++] = user;
}

static int by_id(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The first PAGE_MAX of them by id. Returns their number. */
static size_t people_around(const struct conn *c, int64_t *ret_users)
{
	const struct worker *wk = conn_worker(c);
	struct people p = {0};
	size_t n = 0;

	for (const struct sub *sub = c->subs; sub && p.n < ROSTERS_MAX; sub = sub->next_of_conn)
		if (sub->state != SUB_LOADING &&
		    roster_read(wk->shm, (unsigned)wk->slot, sub->chan->conv, people_add, &p) < 0)
			break;
	if (p.n)
		qsort(p.users, p.n, sizeof(*p.users), by_id);
	for (size_t i = 0; i < p.n && n < PAGE_MAX; i++)
		if (!n || ret_users[n - 1] != p.users[i])
			ret_users[n++] = p.users[i];
	free(p.users);
	return n;
}

/* ---- The operation ---- */

/* Who is online, the first PAGE_MAX of them. */
static size_t everybody(const struct conn *c, bool is_shared, int64_t *ret_users)
{
	const struct worker *wk = conn_worker(c);
	int n;

	if (is_shared)
		return people_around(c, ret_users);
	n = roster_page(wk->shm, (unsigned)wk->slot, MEMBER_NODE, 0, PAGE_MAX, ret_users);
	return n > 0 ? (size_t)n : 0;
}

/* The users that are named, or those who are online. */
void on_presence(struct conn *c, const struct cmd *cmd)
{
	struct worker *wk = conn_worker(c);
	bool is_shared = is_scope(wk, "shared");
	int64_t users[PAGE_MAX];
	struct asked a = {.wk = wk, .users = users, .n = MIN(cmd->nusers, (size_t)PAGE_MAX)};
	size_t mark;
	struct buf *b;

	if (is_scope(wk, "off")) {
		cmd_refuse(c, cmd, E_FORBIDDEN);
		return;
	}
	if (is_shared && a.n * c->n_subs > LOOKS_MAX) {
		struct fault fault;

		fault_field(&fault, FAULT_TOO_LARGE, "users", LOOKS_MAX / (int64_t)c->n_subs);
		ws_conn_fault(c, &fault, &cmd->id, NULL, 0);
		return;
	}
	for (size_t i = 0; i < a.n; i++)
		users[i] = cmd_user_at(cmd, i);
	a.is_online_only = !cmd->nusers;
	if (!cmd->nusers)
		a.n = everybody(c, is_shared, users);
	else if (is_shared)
		a.asker = c;
	b = ws_reply_begin(c, &mark);
	native_add_presence_list(b, &cmd->id, asked_next, &a);
	ws_reply_end(c, b, mark);
}

/* ---- GET /api/v1/presence ---- */

/* Who is asked about over HTTP, in that order. */
struct question {
	struct call *call;
	size_t n, n_uids;
	int64_t users[USERS_MAX];     /* 0: the next of UIDS */
	struct uuid uids[USERS_MAX]; /* those who are named by a UUID */
};

static bool read_user(struct str s, struct question *q)
{
	int64_t *user = &q->users[q->n];

	if (q->n == USERS_MAX)
		return false;
	if (uuid_parse(s, &q->uids[q->n_uids]) == 0) {
		q->n_uids++;
		*user = 0;
	} else if (str_to_i64(s, user) < 0 || *user <= 0) {
		return false;
	}
	q->n++;
	return true;
}

/*
 * Ids, separated by commas, into Q. Returns 0; -ERR_NOENT without the parameter, -ERR_INVAL and the
 * fault.
 */
static int read_users(const struct call *call, struct question *q, struct fault *ret_fault)
{
	struct buf text = BUF_INIT;
	int r = http_query_get(call->req, "users", &text);
	struct str left = buf_str(&text);

	while (r == 0 && left.len) {
		const char *comma = memchr(left.p, ',', left.len);
		struct str one = {left.p, comma ? (size_t)(comma - left.p) : left.len};

		if (!read_user(one, q))
			r = -ERR_INVAL;
		left.p += one.len + (comma != NULL);
		left.len -= one.len + (comma != NULL);
	}
	buf_done(&text);
	if (r == -ERR_INVAL)
		fault_field(ret_fault, FAULT_TYPE, "users", 0);
	return r;
}

static void answer(struct call *call, struct asked *a, int64_t next)
{
	struct buf body = BUF_INIT;

	native_add_presence_page(&body, asked_next, a, next);
	call_json(call, 200, buf_str(&body));
	buf_done(&body);
}

static void answer_page(struct call *call)
{
	int64_t users[PAGE_MAX + 1], after = 0, limit = PAGE_DEFAULT;
	struct asked a = {.wk = call->wk, .users = users};
	struct fault fault;
	int n;

	if (rest_query_number(call->req, "cursor", 0, INT64_MAX, &after, &fault) == -ERR_INVAL ||
	    rest_query_number(call->req, "limit", 1, PAGE_MAX, &limit, &fault) == -ERR_INVAL) {
		call_fault(call, &fault, NULL);
		return;
	}
	n = roster_page(call->wk->shm, (unsigned)call->wk->slot, MEMBER_NODE, after,
			(unsigned)limit + 1, users);
	if (n < 0) {
		call_error(call, E_OVERLOADED, NULL);
		return;
	}
	a.n = (size_t)MIN(n, limit);
	answer(call, &a, n > limit ? users[limit - 1] : 0);
}

/* Numbers for UUIDs; nobody's is left out. */
static void on_ids(void *arg, int err, const int64_t *ids, size_t n)
{
	struct question *q = arg;
	struct asked a = {.wk = q->call->wk, .users = q->users};
	size_t next = 0;

	for (size_t i = 0; !err && i < q->n; i++) {
		int64_t user = q->users[i];

		if (!user && next < n)
			user = ids[next++];
		if (user)
			q->users[a.n++] = user;
	}
	if (err)
		call_db_error(q->call, err);
	else
		answer(q->call, &a, 0);
	free(q);
}

static void answer_asked(struct call *call)
{
	struct question *q = xcalloc(1, sizeof(*q));
	struct fault fault;
	int r = read_users(call, q, &fault);

	q->call = call;
	if (r < 0) {
		if (r == -ERR_NOENT)
			answer_page(call);
		else
			call_fault(call, &fault, NULL);
		free(q);
		return;
	}
	if (q->n_uids)
		r = user_ids(dbio_reader(call->wk), q->uids, q->n_uids, dbio_deadline(call->wk),
			     on_ids, q, NULL);
	if (r < 0 || !q->n_uids)
		on_ids(q, r, NULL, 0);
}

void rest_presence(struct call *call)
{
	if (is_scope(call->wk, "off")) {
		call_error(call, E_FORBIDDEN, "Presence is switched off here.");
		return;
	}
	if (is_scope(call->wk, "shared")) { /* nobody shares a conversation with nobody */
		call_error(call, E_FORBIDDEN,
			   "Presence is told on sockets here, to people in the same conversation.");
		return;
	}
	answer_asked(call);
}
