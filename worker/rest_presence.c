/* SPDX-License-Identifier: MIT */
/*
 * Who is online: the answer to a question over a socket or by HTTP, from shared memory.
 * Changes are told by presence.c.
 */
#include "proto/dialect_native.h"
#include "shm/presence.h"
#include "shm/users.h"
#include "worker/call.h"
#include "worker/on_priv.h"
#include "worker/presence.h"
#include "worker/rest.h"
#include "worker/routes.h"

#define USERS_MAX 500	 /* asked about at once */
#define PAGE_DEFAULT 100
#define PAGE_MAX 1000

/* Who was asked about, one after the other. */
struct asked {
	struct worker *wk;
	const int64_t *users;
	size_t n, at;
	struct user_info info; /* holds the name until the next */
};

static bool asked_next(void *arg, struct native_presence *ret)
{
	struct asked *a = arg;
	unsigned me = (unsigned)a->wk->slot;
	bool is_online = false;

	if (a->at == a->n)
		return false;
	*ret = (struct native_presence){.user = a->users[a->at++]};
	if (member_is_present(a->wk->shm, me, MEMBER_NODE, ret->user, true, &is_online) < 0)
		is_online = false;
	ret->state = is_online ? "online" : "offline";
	if (is_online && user_read(a->wk->shm, me, ret->user, &a->info) == 0)
		ret->name = (struct str){a->info.name, a->info.name_len};
	return true;
}

static bool is_off(const struct worker *wk)
{
	return str_eq(presence_scope(wk), STR("off"));
}

/* ---- The operation ---- */

/* The users that are named, or those who are online, the first PAGE_MAX of them. */
void on_presence(struct conn *c, const struct cmd *cmd)
{
	struct worker *wk = conn_worker(c);
	int64_t users[PAGE_MAX];
	struct asked a = {.wk = wk, .users = users};
	size_t mark;
	struct buf *b;
	int n;

	if (is_off(wk)) {
		cmd_refuse(c, cmd, E_FORBIDDEN);
		return;
	}
	if (cmd->nusers) {
		a.n = MIN(cmd->nusers, (size_t)PAGE_MAX);
		for (size_t i = 0; i < a.n; i++)
			users[i] = cmd_user_at(cmd, i);
	} else {
		n = roster_page(wk->shm, (unsigned)wk->slot, MEMBER_NODE, 0, PAGE_MAX, users);
		a.n = n > 0 ? (size_t)n : 0;
	}
	b = ws_reply_begin(c, &mark);
	native_add_presence_list(b, &cmd->id, asked_next, &a);
	ws_reply_end(c, b, mark);
}

/* ---- GET /api/v1/presence ---- */

/*
 * "1,2,3" into USERS. Returns their number; -ERR_NOENT without the parameter, -ERR_INVAL and the
 * fault.
 */
static int read_users(const struct call *call, int64_t *users, struct fault *ret_fault)
{
	struct buf text = BUF_INIT;
	int r = http_query_get(call->req, "users", &text), n = 0;
	struct str left = buf_str(&text);

	while (r == 0 && left.len) {
		const char *comma = memchr(left.p, ',', left.len);
		struct str one = {left.p, comma ? (size_t)(comma - left.p) : left.len};

		if (n == USERS_MAX || str_to_i64(one, &users[n]) < 0 || users[n] <= 0)
			r = -ERR_INVAL;
		n++;
		left.p += one.len + (comma != NULL);
		left.len -= one.len + (comma != NULL);
	}
	buf_done(&text);
	if (r == -ERR_INVAL)
		fault_field(ret_fault, FAULT_TYPE, "users", 0);
	return r < 0 ? r : n;
}

static void answer(struct call *call, struct asked *a, int64_t next)
{
	struct buf body = BUF_INIT;

	native_add_presence_page(&body, asked_next, a, next);
	call_json(call, 200, buf_str(&body));
	buf_done(&body);
}

static void answer_page(struct call *call, int64_t *users)
{
	int64_t after = 0, limit = PAGE_DEFAULT;
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

void rest_presence(struct call *call)
{
	int64_t users[PAGE_MAX + 1];
	struct asked a = {.wk = call->wk, .users = users};
	struct fault fault;
	int n;

	if (is_off(call->wk)) {
		call_error(call, E_FORBIDDEN, "Presence is switched off here.");
		return;
	}
	n = read_users(call, users, &fault);
	if (n == -ERR_INVAL) {
		call_fault(call, &fault, NULL);
	} else if (n == -ERR_NOENT) {
		answer_page(call, users);
	} else {
		a.n = (size_t)MAX(n, 0);
		answer(call, &a, 0);
	}
}
