/* SPDX-License-Identifier: MIT */
/*
 * Sessions in memory, and their way into the database; the way back is resume_recall.c's.
 * A position that is kept is one the client is known to have reached: what it said itself, or
 * where its subscription began. So a resume may repeat, and never leaves out.
 */
#include "worker/resume.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "shm/ring.h"
#include "sql/resume.h"
#include "worker/chan.h"
#include "worker/dbio.h"
#include "worker/deliver.h"
#include "worker/fanout.h"
#include "worker/ws_conn.h"

#define KEEP_DAYS 7
#define SAVE_CONVS_MAX 20000		     /* subscriptions in one statement */
#define SAVE_RETRY_MS 1000		     /* without the database */
#define RENEW_MS (24 * 3600 * UINT64_C(1000)) /* a session that lives on is written so often */
#define RENEW_LOOK_MS (3600 * UINT64_C(1000))

struct resume {
	struct list node;	/* in resumes.dirty or resumes.saving, or none */
	struct list ended;	/* in resumes.ended, or none */
	struct conn *conn;	/* NULL: it has ended, POS is what it followed */
	struct uuid session;
	int64_t user;
	struct cursor_pos *pos; /* owned; NULL while there is a connection */
	size_t n;
	/* owned; given up by its user, in the order of leaving: older positions bring none back */
	struct cursor_pos *left;
	size_t n_left;
	uint64_t since_ns;	/* CLOCK_MONOTONIC: here since then */
	uint64_t written_ms;
	bool is_dirty;		/* has changed since it was last written, or taken to be written */
	bool is_saving;
	bool is_restoring;
};

struct resumes {
	struct map sessions; /* key_of -> struct resume */
	struct list dirty, saving;
	struct list ended;   /* those without a connection, the oldest first */
	size_t ended_bytes;  /* what they take */
	uint64_t next_ms;    /* no statement before */
	uint64_t renew_ms;   /* next look for sessions that are written long ago */
	struct log_rate rate;
};

/* The random half of a UUIDv7, never 0: its two top bits are the variant's. */
static uint64_t key_of(const struct uuid *session)
{
	uint64_t key;

	memcpy(&key, session->b + 8, sizeof(key));
	return key ? key : 1;
}

static struct resume *find(const struct worker *wk, const struct uuid *session)
{
	struct resume *r = map_get(&wk->resumes->sessions, key_of(session));

	return r && memcmp(&r->session, session, sizeof(*session)) == 0 ? r : NULL;
}

static size_t bytes_of(const struct resume *r)
{
	return sizeof(*r) + r->n * sizeof(*r->pos);
}

static void resume_free(struct worker *wk, struct resume *r)
{
	list_remove(&r->node);
	if (!list_empty(&r->ended))
		wk->resumes->ended_bytes -= bytes_of(r);
	list_remove(&r->ended);
	if (map_get(&wk->resumes->sessions, key_of(&r->session)) == r)
		map_del(&wk->resumes->sessions, key_of(&r->session));
	if (r->conn)
		r->conn->resume = NULL;
	free(r->pos);
	free(r->left);
	free(r);
}

/* ---- What it follows no more ---- */

static void forget_left(struct resume *r, int64_t conv)
{
	size_t i = 0;

	while (i < r->n_left && r->left[i].conv != conv)
		i++;
	if (i == r->n_left)
		return;
	r->n_left--;
	memmove(r->left + i, r->left + i + 1, (r->n_left - i) * sizeof(*r->left));
}

/* No more of them than what a connection may follow, which is what a position can name. */
static void add_left(struct resume *r, int64_t conv, size_t max)
{
	forget_left(r, conv);
	if (r->n_left >= max)
		forget_left(r, r->left[0].conv);
	r->left = xrealloc(r->left, (r->n_left + 1) * sizeof(*r->left));
	r->left[r->n_left++] = (struct cursor_pos){conv, RESUME_REV_LEFT};
}

/* ---- The session of a connection ---- */

void resume_start(struct conn *c, const struct uuid *session, struct uuid *ret)
{
	struct resumes *rs = conn_worker(c)->resumes;
	struct resume *r = xcalloc(1, sizeof(*r));

	assert(!c->resume);
	r->conn = c;
	r->session = session ? *session : uuid_v7();
	r->user = c->user;
	r->since_ns = clock_mono_ns();
	r->written_ms = clock_mono_ms();
	list_init(&r->node);
	list_init(&r->ended);
	if (!map_get(&rs->sessions, key_of(&r->session)))
		map_put(&rs->sessions, key_of(&r->session), r);
	c->resume = r;
	*ret = r->session;
}

static void set_dirty(struct resumes *rs, struct resume *r)
{
	r->is_dirty = true;
	if (!r->is_saving && list_empty(&r->node))
		list_append(&rs->dirty, &r->node);
}

void resume_mark(struct conn *c)
{
	if (c->resume)
		set_dirty(conn_worker(c)->resumes, c->resume);
}

void resume_left(struct conn *c, int64_t conv)
{
	if (!c->resume)
		return;
	add_left(c->resume, conv,
		 (size_t)conn_worker(c)->settings->websocket_subscriptions_max);
	resume_mark(c);
}

void resume_confirmed(struct sub *sub)
{
	struct conn *c = sub->conn;

	if (sub->known_rev < 0)
		sub->known_rev = sub->chan->rev;
	if (!c->resume || sub->is_kept)
		return;
	sub->is_kept = true;
	forget_left(c->resume, sub->chan->conv);
	if (!c->resume->is_restoring)
		resume_mark(c);
}

void resume_restore_begin(struct conn *c)
{
	c->resume->is_restoring = true;
}

void resume_restore_end(struct conn *c, const struct resume_known *was)
{
	const struct cursor known = {.pos = (struct cursor_pos *)was->kept, .n = was->n_kept};
	size_t n = 0;

	if (!c->resume)
		return;
	c->resume->is_restoring = false;
	for (size_t i = 0; i < was->n_left; i++)
		add_left(c->resume, was->left[i].conv, was->n_left);
	for (struct sub *sub = c->subs; sub; sub = sub->next_of_conn) {
		if (!cursor_find(&known, sub->chan->conv))
			continue;
		sub->is_kept = true;
		n++;
	}
	/* others are written as soon as they are confirmed */
	if (n != was->n_kept || n != c->n_subs)
		resume_mark(c);
}

/*
 * What the session follows, confirmed subscriptions only, and what it has left. *RET_N positions,
 * which the caller frees.
 */
static struct cursor_pos *positions_of(const struct resume *r, size_t *ret_n)
{
	size_t n = 0, room = r->conn ? r->conn->n_subs + r->n_left : r->n;
	struct cursor_pos *pos = xcalloc(room + 1, sizeof(*pos));

	for (const struct sub *sub = r->conn ? r->conn->subs : NULL; sub; sub = sub->next_of_conn)
		if (sub->is_kept && sub->known_rev >= 0)
			pos[n++] = (struct cursor_pos){sub->chan->conv, sub->known_rev};
	if (r->conn && r->n_left)
		memcpy(pos + n, r->left, r->n_left * sizeof(*pos));
	else if (r->n)
		memcpy(pos, r->pos, r->n * sizeof(*pos));
	*ret_n = r->conn ? n + r->n_left : r->n;
	return pos;
}

/* The database may be away for long, and connections come and go all the same. */
static void keep_ended(struct worker *wk, struct resume *r)
{
	struct resumes *rs = wk->resumes;

	list_append(&rs->ended, &r->ended);
	rs->ended_bytes += bytes_of(r);
	while (rs->ended_bytes > RESUME_ENDED_BYTES) {
		resume_free(wk, list_entry(list_first(&rs->ended), struct resume, ended));
		worker_count(wk, M_SESSIONS_FORGOTTEN, 1);
	}
}

void resume_end(struct conn *c)
{
	struct worker *wk = conn_worker(c);
	struct resume *r = c->resume;

	if (!r)
		return;
	if (list_empty(&r->node)) {
		resume_free(wk, r);
		return;
	}
	r->pos = positions_of(r, &r->n);
	r->conn = NULL;
	c->resume = NULL;
	keep_ended(wk, r);
	worker_kick(wk);
}

bool resume_cursor(struct conn *c, struct buf *b)
{
	struct cursor cur = {.user = c->user};
	uint64_t id = c->id;
	struct worker *wk = conn_worker(c);

	if (!c->resume)
		return false;
	/* what the channels owe comes before what the cursor is part of */
	for (struct sub *sub = c->subs; sub; sub = sub->next_of_conn) {
		deliver_flush(sub->chan);
		if (conn_find(wk, id) != c || !c->resume)
			return false;
	}
	cur.session = c->resume->session;
	cur.pos = xcalloc(c->n_subs + 1, sizeof(*cur.pos));
	for (struct sub *sub = c->subs; sub; sub = sub->next_of_conn) {
		int64_t rev = sub_position(sub);

		if (rev >= 0)
			cur.pos[cur.n++] = (struct cursor_pos){sub->chan->conv, rev};
	}
	cursor_encode(b, &cur);
	free(cur.pos);
	return true;
}

bool resume_is_here(const struct worker *wk, const struct uuid *session)
{
	return find(wk, session) != NULL;
}

bool resume_here(const struct worker *wk, const struct cursor *cur, struct cursor_pos **ret_pos,
		 size_t *ret_n)
{
	const struct resume *r = find(wk, &cur->session);

	if (!r || r->user != cur->user)
		return false;
	*ret_pos = positions_of(r, ret_n);
	return true;
}

/* ---- Taking over ---- */

/* What resume_take_over tells the other workers. */
struct takeover {
	char mark[8];
	struct uuid session;
};
#define TAKEOVER_MARK "takeover"

/* Returns whether something was not written yet. */
static bool replace(struct worker *wk, const struct uuid *session, uint64_t before_ns)
{
	struct resume *r = find(wk, session);
	struct conn *c;
	bool is_owed;

	if (!r || r->since_ns >= before_ns)
		return false;
	c = r->conn;
	is_owed = r->is_dirty || r->is_saving;
	resume_free(wk, r);
	if (c)
		ws_conn_close(c, E_REPLACED);
	return is_owed;
}

static void tell_others(struct worker *wk, const struct uuid *session)
{
	struct takeover t = {.session = *session};
	int r;

	memcpy(t.mark, TAKEOVER_MARK, sizeof(t.mark));
	r = fanout_control(wk, &t, sizeof(t));
	if (r < 0) /* the other socket ends by its own silence then */
		log_warn("a session's former connection was not told",
			 LF_STR("error", err_text(r)));
}

bool resume_take_over(struct worker *wk, const struct uuid *session)
{
	if (find(wk, session))
		return replace(wk, session, UINT64_MAX);
	tell_others(wk, session);
	return false;
}

void resume_control(struct worker *wk, struct str bytes, uint64_t stamp_ns)
{
	struct takeover t;

	if (bytes.len != sizeof(t) || memcmp(bytes.p, TAKEOVER_MARK, sizeof(t.mark)) != 0)
		return;
	memcpy(&t, bytes.p, sizeof(t));
	replace(wk, &t.session, stamp_ns);
}

/* ---- Writing ---- */

static void on_saved(void *arg, int err)
{
	struct worker *wk = arg;
	struct resumes *rs = wk->resumes;
	struct list *node;
	uint64_t held;

	while ((node = list_first(&rs->saving))) {
		struct resume *r = list_entry(node, struct resume, node);

		list_remove(node);
		r->is_saving = false;
		r->is_dirty |= err != 0;
		if (!err)
			r->written_ms = clock_mono_ms();
		if (r->is_dirty)
			list_append(&rs->dirty, node);
		else if (!r->conn)
			resume_free(wk, r);
	}
	if (err && log_rate_pass(&rs->rate, 10000, &held))
		log_warn("sessions were not written", LF_STR("error", err_text(err)),
			 LF_INT("suppressed", held));
	if (err)
		rs->next_ms = clock_mono_ms() + SAVE_RETRY_MS;
	worker_kick(wk);
}

static size_t size_of(const struct resume *r)
{
	return MIN(r->conn ? r->conn->n_subs + r->n_left : r->n, RESUME_CONVS_MAX);
}

/*
 * The oldest of the dirty ones, as many as one statement takes. Returns how many; *RET_CONVS:
 * what they follow.
 */
static size_t take(struct resumes *rs, size_t *ret_convs)
{
	struct list *node;
	size_t n = 0, convs = 0;

	while (n < RESUME_POINTS_MAX && convs < SAVE_CONVS_MAX && (node = list_first(&rs->dirty))) {
		struct resume *r = list_entry(node, struct resume, node);

		list_remove(node);
		list_append(&rs->saving, node);
		r->is_dirty = false;
		r->is_saving = true;
		convs += size_of(r);
		n++;
	}
	*ret_convs = convs;
	return n;
}

static void add_point(const struct resume *r, struct resume_point *point, int64_t *convs,
		      int64_t *revs)
{
	size_t n;
	struct cursor_pos *pos = positions_of(r, &n);

	n = MIN(n, RESUME_CONVS_MAX);
	for (size_t i = 0; i < n; i++) {
		convs[i] = pos[i].conv;
		revs[i] = pos[i].rev;
	}
	*point = (struct resume_point){r->session, r->user, n, convs, revs};
	free(pos);
}

static void save(struct worker *wk)
{
	struct resumes *rs = wk->resumes;
	size_t n_convs, n = take(rs, &n_convs), i = 0, at = 0;
	struct resume_point *points = xcalloc(n, sizeof(*points));
	int64_t *convs = xcalloc(n_convs + 1, sizeof(*convs)),
		*revs = xcalloc(n_convs + 1, sizeof(*revs));
	struct list *node, *tmp;

	list_each_safe(node, tmp, &rs->saving) {
		add_point(list_entry(node, struct resume, node), &points[i], convs + at, revs + at);
		at += points[i++].n;
	}
	if (resume_save(dbio_reader(wk), points, n, KEEP_DAYS, dbio_deadline(wk), on_saved, wk,
			NULL) < 0)
		on_saved(wk, -ERR_UNAVAILABLE);
	free(points);
	free(convs);
	free(revs);
}

/* Sessions of connections that live long must not be taken for abandoned. */
static void renew(struct worker *wk, uint64_t now)
{
	struct resumes *rs = wk->resumes;
	uint32_t pos = 0;
	uint64_t key;
	void *r;

	if (now < rs->renew_ms)
		return;
	rs->renew_ms = now + RENEW_LOOK_MS;
	while (map_next(&rs->sessions, &pos, &key, &r))
		if (now - ((struct resume *)r)->written_ms >= RENEW_MS)
			set_dirty(rs, r);
}

void resume_flush(struct worker *wk)
{
	struct resumes *rs = wk->resumes;
	uint64_t now = clock_mono_ms();

	renew(wk, now);
	if (list_empty(&rs->dirty) || !list_empty(&rs->saving))
		return;
	if (now >= rs->next_ms && !db_is_connected(dbio_reader(wk)))
		rs->next_ms = now + SAVE_RETRY_MS;
	if (now < rs->next_ms) {
		worker_wake_in(wk, rs->next_ms - now);
		return;
	}
	rs->next_ms = now + (wk->draining ? 0 : RESUME_SAVE_MS);
	save(wk);
}

bool resume_is_idle(const struct worker *wk)
{
	return list_empty(&wk->resumes->dirty) && list_empty(&wk->resumes->saving);
}

/* ---- With the worker ---- */

void resume_open(struct worker *wk)
{
	struct resumes *rs = wk->resumes = xcalloc(1, sizeof(*rs));

	list_init(&rs->dirty);
	list_init(&rs->saving);
	list_init(&rs->ended);
	list_init(&wk->recalls);
}

void resume_close(struct worker *wk)
{
	struct resumes *rs = wk->resumes;
	uint32_t pos = 0;
	struct list *node;
	uint64_t key;
	void *r;

	resume_recall_close(wk);
	while ((node = list_first(&rs->dirty)) || (node = list_first(&rs->saving)))
		resume_free(wk, list_entry(node, struct resume, node));
	while (map_next(&rs->sessions, &pos, &key, &r))
		resume_free(wk, r);
	map_done(&rs->sessions);
	free(rs);
	wk->resumes = NULL;
}
