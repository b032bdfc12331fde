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
#include "worker/deliver.h"
#include "worker/fanout.h"
#include "worker/sio.h"

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
		.target_rev = a->rev,
		.at_ms = clock_wall_ms(),
		.actor = a->user,
		.actor_name = buf_str(&m->name),
	};

	fanout_publish(m->p->wk, &ev, 1);
}

static void say_marked(struct conn *c, const struct pending *p, const struct mark_answer *a)
{
	size_t mark;
	struct buf *b;

	if (dialect_is_sio(c->dialect)) {
		sio_say_marked(c, &p->re, a->count, a->conv, a->rev);
		return;
	}
	b = ws_reply_begin(c, &mark);
	native_add_marked(b, &p->re, a->conv, a->seq, a->unread);
	ws_reply_end(c, b, mark);
}

static void on_marked(void *arg, int err, const struct mark_answer *answer)
{
	struct marking *m = arg;
	struct conn *c = pending_conn(m->p);

	if (err)
		pending_refuse(m->p, error_of(err));
	else if (answer->is_changed)
		announce(m, answer);
	if (!err && c && m->p->re.len)
		say_marked(c, m->p, answer);
	buf_done(&m->name);
	free(m->p);
	free(m);
}

void on_mark(struct conn *c, const struct cmd *cmd)
{
	struct worker *wk = conn_worker(c);
	bool is_read = cmd->op == OP_READ;
	const struct mark_place place = {
		.seq = cmd->seq ? cmd->seq : MARK_ALL,
		.rev = cmd->target_rev,
		.wants_rev = dialect_is_sio(c->dialect),
	};
	struct marking *m;
	int r;

	if (!cmd_may_mark(c, cmd))
		return;
	m = xcalloc(1, sizeof(*m));
	m->p = pending_new(c, cmd, cmd->conv);
	m->type = is_read ? EVT_READ : EVT_DELIVERED;
	buf_add_cstr(&m->name, c->name);
	r = mark_set(dbio_reader(wk), cmd->conv, c->user, is_read ? MARK_READ : MARK_DELIVERED,
		     &place, dbio_deadline(wk), on_marked, m, NULL);
	if (r < 0)
		on_marked(m, r, NULL);
}

/* ---- Before "live" ---- */

#define BATCHES_MAX 4 /* under way at once: the database connection is never idle with them */

/*
 * A subscription that is level: the marks that changed while its client was away, and what is
 * unread, are read before it is confirmed. Events go on meanwhile; the confirmation says how far
 * they have come when it leaves.
 */
struct confirming {
	struct list node; /* in worker.confirming, or none */
	uint64_t conn_id, joined; /* sub.joined */
	uint64_t serial;	  /* sub.confirming */
	int64_t conv, user;
	int64_t since; /* the marks that changed after this rev; 0: it begins here, none did */
	struct cmd_id re;
	int64_t unread, seq; /* SEQ: the newest message that UNREAD knows of; 0: no marks */
};

/* Many of them are asked about at once, whosever they are. */
struct batch {
	struct worker *wk;
	int left;	/* answers that are missing */
	bool is_unsure; /* one of them did not come */
	size_t n, n_marks;
	struct confirming *all[MARKS_CONVS_MAX];   /* owned */
	struct confirming *marks[MARKS_CONVS_MAX]; /* those of them whose marks are asked for */
};

static struct sub *sub_of(struct worker *wk, const struct confirming *cf)
{
	struct conn *c = conn_find(wk, cf->conn_id);
	struct sub *sub = c ? sub_find(c, cf->conv) : NULL;

	return sub && sub->confirming == cf->serial ? sub : NULL;
}

/*
 * The subscription has been confirmed again since, or is over: what was asked for is answered all
 * the same.
 */
static void answer_late(struct worker *wk, const struct confirming *cf)
{
	struct conn *c = conn_find(wk, cf->conn_id);
	struct sub *sub = c ? sub_find(c, cf->conv) : NULL;

	if (!c || c->state != CONN_WS || !cf->re.len)
		return;
	if (sub && sub->joined == cf->joined)
		sub_say_live(sub, &cf->re, UNREAD_UNKNOWN);
	else
		ws_conn_error(c, E_NOT_SUBSCRIBED, &cf->re, NULL, cf->conv);
}

static void confirm(struct worker *wk, struct confirming *cf, bool is_unsure)
{
	struct sub *sub = sub_of(wk, cf);

	/*
	 * "live" counts up to its own seq: what the client is told before and after, it counts
	 * itself
	 */
	if (sub && cf->seq)
		cf->unread = MAX(cf->unread + sub->chan->seq - cf->seq, 0);
	if (sub)
		sub_say_live(sub, &cf->re, is_unsure ? UNREAD_UNKNOWN : cf->unread);
	else
		answer_late(wk, cf);
	free(cf);
}

static void step(struct batch *b)
{
	if (--b->left > 0)
		return;
	for (size_t i = 0; i < b->n; i++)
		confirm(b->wk, b->all[i], b->is_unsure);
	b->wk->n_confirming--;
	worker_kick(b->wk);
	free(b);
}

static void on_unread(void *arg, int err, const struct db_result *res)
{
	struct batch *b = arg;
	int n = err ? 0 : db_rows(res);

	b->is_unsure |= err != 0;
	for (int i = 0; i < n; i++) {
		struct unread_row row;

		unread_row_get(res, i, &row);
		if (row.at >= b->n)
			continue;
		b->all[row.at]->unread = row.unread;
		b->all[row.at]->seq = row.seq;
	}
	step(b);
}

static void say_mark(struct sub *sub, enum event_type type, const struct mark_row *row)
{
	const struct event ev = {
		.type = type,
		.conv = sub->chan->conv,
		.seq = type == EVT_READ ? row->read_seq : row->delivered_seq,
		.at_ms = row->at_ms,
		.actor = row->user,
	};

	if (!deliver_mark_is_stale(sub->chan, &ev)) /* read before, and announced since */
		deliver_single(sub, &ev);
}

static void on_marks(void *arg, int err, const struct db_result *res)
{
	struct batch *b = arg;
	int n = err ? 0 : db_rows(res);

	b->is_unsure |= err != 0;
	for (int i = 0; i < n; i++) {
		struct mark_row row;
		struct sub *sub;

		mark_row_get(res, i, &row);
		sub = row.at < b->n_marks ? sub_of(b->wk, b->marks[row.at]) : NULL;
		if (sub && row.delivered_seq > row.read_seq)
			say_mark(sub, EVT_DELIVERED, &row);
		if (sub && row.read_seq > 0)
			say_mark(sub, EVT_READ, &row);
	}
	step(b);
}

static void ask_unread(struct db *db, struct batch *b)
{
	int64_t convs[MARKS_CONVS_MAX], users[MARKS_CONVS_MAX];

	for (size_t i = 0; i < b->n; i++) {
		convs[i] = b->all[i]->conv;
		users[i] = b->all[i]->user;
	}
	if (unread_get(db, convs, users, b->n, dbio_deadline(b->wk), on_unread, b, NULL) < 0)
		on_unread(b, -ERR_UNAVAILABLE, NULL);
}

static void ask_marks(struct db *db, struct batch *b)
{
	int64_t convs[MARKS_CONVS_MAX], revs[MARKS_CONVS_MAX];

	for (size_t i = 0; i < b->n_marks; i++) {
		convs[i] = b->marks[i]->conv;
		revs[i] = b->marks[i]->since;
	}
	if (!b->n_marks)
		step(b);
	else if (marks_page(db, convs, revs, b->n_marks, dbio_deadline(b->wk), on_marks, b, NULL) <
		 0)
		on_marks(b, -ERR_UNAVAILABLE, NULL);
}

/* The next ones in line, as many as one question takes. */
static struct batch *batch_new(struct worker *wk)
{
	struct batch *b = xcalloc(1, sizeof(*b));
	struct list *node;

	b->wk = wk;
	b->left = 2;
	while (b->n < MARKS_CONVS_MAX && (node = list_first(&wk->confirming))) {
		struct confirming *cf = list_entry(node, struct confirming, node);

		list_remove(node);
		b->all[b->n++] = cf;
		if (cf->since > 0)
			b->marks[b->n_marks++] = cf;
	}
	return b;
}

void on_mark_flush(struct worker *wk)
{
	struct db *db = dbio_reader(wk);

	while (!list_empty(&wk->confirming) && wk->n_confirming < BATCHES_MAX) {
		struct batch *b = batch_new(wk);

		wk->n_confirming++;
		ask_marks(db, b); /* their answers come first, too: LEFT keeps B until both did */
		ask_unread(db, b);
	}
}

void on_mark_close(struct worker *wk)
{
	struct list *node;

	while ((node = list_first(&wk->confirming))) {
		list_remove(node);
		free(list_entry(node, struct confirming, node));
	}
}

/* The marks that changed after SINCE, if it is not 0, and what is unread. */
static void confirm_later(struct sub *sub, const struct cmd_id *re, int64_t since)
{
	struct worker *wk = sub->chan->wk;
	struct confirming *cf = xcalloc(1, sizeof(*cf));

	*cf = (struct confirming){
		.conn_id = sub->conn->id,
		.joined = sub->joined,
		.serial = sub->confirming,
		.conv = sub->chan->conv,
		.user = sub->conn->user,
		.since = since,
		.re = *re,
	};
	list_init(&cf->node);
	list_append(&wk->confirming, &cf->node);
	worker_kick(wk);
}

/* What the database has to tell for the confirmation can be asked for. */
static bool may_ask(const struct sub *sub)
{
	return sub->conn->user && db_is_connected(dbio_reader(sub->chan->wk));
}

void on_mark_confirm(struct sub *sub, const struct cmd_id *re)
{
	if (!may_ask(sub)) {
		sub_say_live(sub, re, sub->conn->user ? UNREAD_UNKNOWN : 0);
		return;
	}
	sub->confirming = ++sub->chan->wk->next_serial;
	confirm_later(sub, re, MAX(sub->known_rev, 0));
}

void on_mark_again(struct sub *sub, const struct cmd_id *re)
{
	if (!re->len)
		return;
	if (sub->state == SUB_LIVE && may_ask(sub))
		confirm_later(sub, re, 0);
	else
		sub_say_live(sub, re, UNREAD_UNKNOWN);
}
