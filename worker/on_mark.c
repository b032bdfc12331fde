/* SPDX-License-Identifier: MIT */
/*
 * How far people have read and received: raising the marks, telling everybody, and telling those
 * who come back. Marks are state: the newest value wins, and whoever is repeated one loses
 * nothing.
 */
#include "worker/on_priv.h"

#include "base/clock.h"
#include "sql/marks.h"
#include "worker/dbio.h"
#include "worker/fanout.h"

/* ---- Raising ---- */

struct marking {
	struct pending *p;
	struct buf name; /* of the user */
	enum event_type type;
};

static enum proto_error error_of(int err)
{
	switch (err) {
	case -ERR_NOENT:
		return E_NO_SUCH_ROOM;
	case -ERR_INVAL:
		return E_INVALID;
	default:
		return E_UNAVAILABLE;
	}
}

static void announce(const struct marking *m, const struct mark_answer *a)
{
	const struct event ev = {
		.type = m->type,
		.conv = a->conv,
		.seq = a->seq,
		.at_ms = clock_wall_ms(),
		.actor = a->user,
		.actor_name = buf_str(&m->name),
	};

	fanout_publish(m->p->wk, &ev, 1);
}

static void on_marked(void *arg, int err, const struct mark_answer *answer)
{
	struct marking *m = arg;
	struct conn *c = pending_conn(m->p);

	if (err) {
		pending_refuse(m->p, error_of(err));
	} else {
		if (answer->is_changed)
			announce(m, answer);
		if (c && m->p->re.len) {
			size_t mark;
			struct buf *b = ws_reply_begin(c, &mark);

			native_add_marked(b, &m->p->re, answer->conv, answer->seq, answer->unread);
			ws_reply_end(c, b, mark);
		}
	}
	buf_done(&m->name);
	free(m->p);
	free(m);
}

void on_mark(struct conn *c, const struct cmd *cmd)
{
	struct worker *wk = conn_worker(c);
	bool is_read = cmd->op == OP_READ;
	struct marking *m;
	int r;

	if (!cmd_sub(c, cmd))
		return;
	m = xcalloc(1, sizeof(*m));
	m->p = pending_new(c, cmd, cmd->conv);
	m->type = is_read ? EVT_READ : EVT_DELIVERED;
	buf_add_cstr(&m->name, c->name);
	r = mark_set(dbio_reader(wk), cmd->conv, c->user, is_read ? MARK_READ : MARK_DELIVERED,
		     cmd->seq, dbio_deadline(wk), on_marked, m, NULL);
	if (r < 0)
		on_marked(m, r, NULL);
}

/* ---- Before "live" ---- */

/*
 * A subscription that is level: the marks that changed while its client was away, and what is
 * unread, are read before it is confirmed. Events go on meanwhile; the confirmation says how far
 * they have come when it leaves.
 */
struct confirming {
	struct worker *wk;
	uint64_t conn_id, serial; /* sub.confirming */
	int64_t conv;
	struct cmd_id re;
	int64_t unread, seq; /* SEQ: the newest message that UNREAD knows of; 0: no marks */
	int left;	     /* answers that are missing */
	bool is_unsure;	     /* one of them did not come */
};

static struct sub *sub_of(const struct confirming *cf)
{
	struct conn *c = conn_find(cf->wk, cf->conn_id);
	struct sub *sub = c ? sub_find(c, cf->conv) : NULL;

	return sub && sub->confirming == cf->serial ? sub : NULL;
}

static void step(struct confirming *cf)
{
	struct sub *sub;

	if (--cf->left > 0)
		return;
	sub = sub_of(cf);
	/*
	 * "live" counts up to its own seq: what the client is told before and after, it counts
	 * itself
	 */
	if (sub && cf->seq)
		cf->unread = MAX(cf->unread + sub->chan->seq - cf->seq, 0);
	if (sub)
		sub_say_live(sub, &cf->re, cf->is_unsure ? UNREAD_UNKNOWN : cf->unread);
	free(cf);
}

static void on_unread(void *arg, int err, const struct unread *u)
{
	struct confirming *cf = arg;

	cf->is_unsure |= err != 0;
	if (!err && u->is_known) {
		cf->unread = u->unread;
		cf->seq = u->seq;
	}
	step(cf);
}

static void say_mark(struct conn *c, enum event_type type, int64_t conv, int64_t user, int64_t seq)
{
	size_t mark;
	struct buf *b = ws_reply_begin(c, &mark);

	native_add_mark(b, type, conv, user, seq);
	ws_reply_end(c, b, mark);
}

static void on_marks(void *arg, int err, const struct db_result *res)
{
	struct confirming *cf = arg;
	struct sub *sub = sub_of(cf);
	int n = err || !sub ? 0 : db_rows(res);

	cf->is_unsure |= err != 0;
	for (int i = 0; i < n; i++) {
		struct mark_row row;

		mark_row_get(res, i, &row);
		if (row.delivered_seq > row.read_seq)
			say_mark(sub->conn, EVT_DELIVERED, cf->conv, row.user, row.delivered_seq);
		if (row.read_seq > 0)
			say_mark(sub->conn, EVT_READ, cf->conv, row.user, row.read_seq);
	}
	step(cf);
}

void on_mark_confirm(struct sub *sub, const struct cmd_id *re)
{
	struct worker *wk = sub->chan->wk;
	struct db *db = dbio_reader(wk);
	struct confirming *cf;

	if (!sub->conn->user || !db_is_connected(db)) {
		sub_say_live(sub, re, sub->conn->user ? UNREAD_UNKNOWN : 0);
		return;
	}
	cf = xcalloc(1, sizeof(*cf));
	*cf = (struct confirming){
		.wk = wk,
		.conn_id = sub->conn->id,
		.serial = sub->confirming = ++wk->next_serial,
		.conv = sub->chan->conv,
		.re = *re,
		.left = 2,
	};
	if (sub->known_rev <= 0) /* it begins here: there is nothing that has changed */
		cf->left--;
	else if (marks_page(db, cf->conv, sub->known_rev, dbio_deadline(wk), on_marks, cf, NULL) < 0)
		on_marks(cf, -ERR_UNAVAILABLE, NULL);
	if (unread_get(db, cf->conv, sub->conn->user, dbio_deadline(wk), on_unread, cf, NULL) < 0)
		on_unread(cf, -ERR_UNAVAILABLE, NULL);
}
