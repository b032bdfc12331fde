/* SPDX-License-Identifier: MIT */
/*
 * Rows of refusals, and the chain of the audit log.
 * What a row and a link look like is sql/audit.h's.
 */
#include "worker/audit.h"

#include "base/addr.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "proto/json.h"
#include "sql/audit.h"
#include "worker/call.h"
#include "worker/conn.h"
#include "worker/dbio.h"
#include "worker/peer.h"

#define REPEAT_MS 10000
#define KEPT_MAX 4096	/* refusals that are watched for repeats */
#define LINK_MOST 500	/* rows chained in one statement */
#define LINK_IDLE_MS 5000 /* rows of others' transactions: look so often at least */

struct refusal {
	uint64_t until_ms;
};

struct audit {
	struct map refusals; /* hash of who, what, where -> struct refusal, owned */
	bool is_linking, has_new;
	uint64_t looked_ms;
	struct log_rate rate;
};

/* ---- Refusals ---- */

static void forget_all(struct audit *a)
{
	uint32_t pos = 0;
	uint64_t key;
	void *value;

	while (map_next(&a->refusals, &pos, &key, &value))
		free(value);
	map_done(&a->refusals);
	a->refusals = (struct map){0};
}

static bool is_repeat(struct audit *a, uint64_t key)
{
	struct refusal *r = map_get(&a->refusals, key);
	uint64_t now = clock_mono_ms();

	if (r && now < r->until_ms)
		return true;
	if (!r && a->refusals.count >= KEPT_MAX)
		forget_all(a);
	if (!r) {
		r = xcalloc(1, sizeof(*r));
		map_put(&a->refusals, key, r);
	}
	r->until_ms = now + REPEAT_MS;
	return false;
}

static void on_added(void *arg, int err)
{
	struct worker *wk = arg;
	uint64_t held;

	if (wk->audit)
		wk->audit->has_new = true;
	if (err && wk->audit && log_rate_pass(&wk->audit->rate, 10000, &held))
		log_warn("a refusal was not written to the audit log",
			 LF_STR("error", err_text(err)), LF_INT("suppressed", held));
}

/* DENIED: the action that was refused; NULL for one that was done. */
static void write_entry(struct worker *wk, struct audit_entry *entry, const char *denied,
			struct str address)
{
	struct buf detail = BUF_INIT;

	buf_add_char(&detail, '{');
	if (denied)
		json_add_key_cstr(&detail, "action", denied);
	if (address.len)
		json_add_key_str(&detail, "address", address);
	buf_add_char(&detail, '}');
	entry->detail = buf_str(&detail);
	if (audit_add(dbio_reader(wk), entry, dbio_deadline(wk), on_added, wk, NULL) < 0)
		on_added(wk, -ERR_FULL);
	buf_done(&detail);
}

void audit_denied(struct worker *wk, int64_t user, enum authz_action action, int64_t conv,
		  int64_t target, struct str address)
{
	const int64_t who[4] = {user, action, conv, target};
	struct audit_entry entry = {
		.actor = user, .action = STR("denied"), .conv = conv, .target = target};

	worker_count(wk, M_DENIED, 1);
	if (!is_repeat(wk->audit, hash_bytes(who, sizeof(who)) | 1))
		write_entry(wk, &entry, authz_action_name(action), address);
}

void audit_act(struct worker *wk, int64_t user, const char *action, int64_t conv, int64_t target,
	       struct str address)
{
	struct audit_entry entry = {
		.actor = user, .action = str_of(action), .conv = conv, .target = target};

	write_entry(wk, &entry, NULL, address);
}

void audit_denied_conn(struct conn *c, enum authz_action action, int64_t conv)
{
	char address[ADDR_TEXT_MAX];

	peer_format(c, address);
	audit_denied(conn_worker(c), c->user, action, conv, 0, str_of(address));
}

void audit_denied_call(struct call *call, enum authz_action action, int64_t conv, int64_t target)
{
	audit_denied(call->wk, call->who.user, action, conv, target, str_of(call->address));
}

/* ---- The chain ---- */

static void on_linked(void *arg, int err, int64_t n)
{
	struct worker *wk = arg;

	if (!wk->audit)
		return;
	wk->audit->is_linking = false;
	wk->audit->has_new = err || n == LINK_MOST;
}

void audit_look(struct worker *wk)
{
	struct audit *a = wk->audit;
	uint64_t now = clock_mono_ms();

	if (a->is_linking || (!a->has_new && now - a->looked_ms < LINK_IDLE_MS))
		return;
	a->looked_ms = now;
	a->is_linking = audit_link(dbio_reader(wk), LINK_MOST, dbio_deadline(wk), on_linked, wk,
				   NULL) == 0;
}

void audit_open(struct worker *wk)
{
	wk->audit = xcalloc(1, sizeof(*wk->audit));
	wk->audit->has_new = true;
}

void audit_close(struct worker *wk)
{
	forget_all(wk->audit);
	free(wk->audit);
	wk->audit = NULL;
}
