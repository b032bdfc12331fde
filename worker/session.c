/* SPDX-License-Identifier: MIT */
/*
 * Guests by name: a bounded cache over the table of users, by each way of writing a name that was
 * used. Equal names are the same guest.
 * Whoever is asked for in one turn of the loop is looked up by one statement: a crowd that comes
 * back costs few. The other workers are told, so that a guest whom the node knows is let in while
 * the database is away. Which names are acceptable was checked by the decoder.
 */
#include "worker/session.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "proto/names.h"
#include "shm/epochs.h"
#include "shm/presence.h"
#include "sql/guests.h"
#include "sql/users.h"
#include "worker/dbio.h"
#include "worker/fanout.h"
#include "worker/revoke.h"

#define CACHE_MAX 100000 /* guests remembered; the cache starts over when it is full */

/*
 * How long a guest is remembered: other programs and other nodes make accounts as well, and tell
 * this one nothing. While the database is away nobody can, and whoever was known stays so.
 */
#define CACHE_MS 10000

/* Times that a name is looked up while others are being taken. */
#define ASK_MAX 4

/*
 * Names that are compared as equal are in one class; how often a name of it was taken when the
 * database was asked.
 */
struct taking {
	uint64_t epoch;
	uint32_t class;
};

/* Every guest of the node has one in each worker: made so that it takes the smallest block. */
struct guest {
	int64_t user;
	uint64_t epoch;
	uint16_t class;
	uint16_t name_len; /* 0: the name is as the key is written */
	uint32_t until_s;  /* of clock_mono_ms */
	char name[];
};
_Static_assert(sizeof(struct guest) == 24 && EPOCHS <= UINT16_MAX, "one block");

struct lookup {
	struct list node; /* in worker.lookups */
	session_guest_fn *done;
	void *arg;
	unsigned asked; /* times */
	struct taking taking;
	size_t key_len;
	char key[];
};

/* The lookups of one statement, in the order of its rows. */
struct asking {
	struct worker *wk;
	size_t n;
	struct lookup *lookups[]; /* owned */
};

static void cache_clear(struct worker *wk)
{
	uint32_t pos = 0;
	struct str key;
	void *g;

	while (strmap_next(&wk->guests, &pos, &key, &g))
		free(g);
	strmap_done(&wk->guests);
	wk->guests = (struct strmap){0};
}

static uint32_t class_of(const struct worker *wk, struct str name)
{
	struct buf key = BUF_INIT;
	uint32_t class;

	names_skeleton(&key, name);
	class = epoch_class(wk->shm, buf_str(&key));
	buf_done(&key);
	return class;
}

/* No name like it was taken since. */
static bool is_fresh(const struct worker *wk, const struct taking *t)
{
	return epoch_get(wk->shm, t->class) == t->epoch;
}

static const struct guest *cache_get(struct worker *wk, struct str name)
{
	static const struct uuid none;
	struct guest *g = strmap_get(&wk->guests, name);

	if (g && epoch_get(wk->shm, g->class) != g->epoch) {
		strmap_del(&wk->guests, name);
		free(g);
		g = NULL;
	}
	if (!g || revoke_is_due(wk, &none, g->user))
		return NULL;
	return clock_mono_ms() / 1000 < g->until_s || dbio_is_away(wk) ? g : NULL;
}

/* TAKING: what the database said belongs to it. */
static void cache_put(struct worker *wk, const struct taking *taking, struct str key,
		      const struct user *user)
{
	const struct str name = str_eq(key, user->name) ? STR("") : user->name;
	struct guest *g;

	if (!is_fresh(wk, taking))
		return;
	if (wk->guests.count >= CACHE_MAX)
		cache_clear(wk);
	g = strmap_del(&wk->guests, key);
	free(g);
	g = xmalloc(sizeof(*g) + name.len);
	*g = (struct guest){
		.user = user->id,
		.epoch = taking->epoch,
		.class = (uint16_t)taking->class,
		.name_len = (uint16_t)name.len,
		.until_s = (uint32_t)((clock_mono_ms() + CACHE_MS) / 1000),
	};
	memcpy(g->name, name.p, name.len);
	strmap_put(&wk->guests, key, g);
}

/* ---- The other workers ---- */

#define NEWS_MARK "guestnew"
#define NEWS_MAX (32 * 1024) /* bytes in one record of the ring, about */

/* Before each guest's two names in a record, which begins with the mark. */
struct news {
	int64_t user;
	struct taking taking;
	uint16_t key_len, name_len;
};

static void news_send(struct worker *wk, struct buf *b)
{
	int r = b->len ? fanout_control(wk, b->p, b->len) : 0;

	if (r < 0) /* they ask the database themselves */
		log_debug("guests were not told to the other workers",
			  LF_STR("error", err_text(r)));
	buf_clear(b);
}

static void news_add(struct worker *wk, struct buf *b, const struct taking *taking, struct str key,
		     const struct user *user)
{
	const struct news n = {user->id, *taking, (uint16_t)key.len, (uint16_t)user->name.len};

	if (b->len > NEWS_MAX)
		news_send(wk, b);
	if (!b->len)
		buf_add_cstr(b, NEWS_MARK);
	buf_add(b, &n, sizeof(n));
	buf_add_str(b, key);
	buf_add_str(b, user->name);
}

void session_control(struct worker *wk, struct str bytes)
{
	const size_t mark = strlen(NEWS_MARK);
	struct news n;

	if (bytes.len < mark || memcmp(bytes.p, NEWS_MARK, mark) != 0)
		return;
	for (size_t at = mark; bytes.len - at >= sizeof(n); at += (size_t)n.key_len + n.name_len) {
		const char *names = bytes.p + at + sizeof(n);

		memcpy(&n, bytes.p + at, sizeof(n));
		at += sizeof(n);
		if (bytes.len - at < (size_t)n.key_len + n.name_len)
			return;
		cache_put(wk, &n.taking, (struct str){names, n.key_len},
			  &(struct user){.id = n.user, .name = {names + n.key_len, n.name_len}});
	}
}

/* ---- The database ---- */

enum proto_error session_error(int err)
{
	switch (err) {
	case 0:
		return E_NONE;
	case -ERR_EXISTS:
		return E_NAME_TAKEN;
	case -ERR_DENIED:
		return E_FORBIDDEN;
	case -ERR_INVAL:
		return E_BAD_NAME;
	default:
		return E_UNAVAILABLE;
	}
}

/* NEWS: of those who were not known before. */
static void answer(const struct asking *a, struct lookup *l, int err, const struct user *user,
		   struct buf *news)
{
	const struct str key = {l->key, l->key_len};
	struct worker *wk = a->wk;

	if (!err && !is_fresh(wk, &l->taking) && ++l->asked < ASK_MAX) {
		list_append(&wk->lookups, &l->node); /* a name was taken: perhaps this one */
		worker_kick(wk);
		return;
	}
	if (!err && !strmap_get(&wk->guests, key))
		news_add(wk, news, &l->taking, key, user);
	if (!err)
		cache_put(wk, &l->taking, key, user);
	l->done(wk, l->arg, session_error(err), err ? 0 : user->id, err ? STR("") : user->name);
	free(l);
}

static void on_guests(void *arg, int err, const struct db_result *res)
{
	struct asking *a = arg;
	struct buf news = BUF_INIT;

	for (size_t i = 0; i < a->n; i++) {
		struct user user;
		int r = err ? err : user_guests_row(res, (int)i, &user);

		answer(a, a->lookups[i], r, r ? NULL : &user, &news);
	}
	news_send(a->wk, &news);
	buf_done(&news);
	free(a);
}

void session_guest(struct worker *wk, struct str name, session_guest_fn *done, void *arg)
{
	const struct guest *g;
	struct lookup *l;

	if (!wk->settings->chat_guests) {
		done(wk, arg, E_UNAUTHORIZED, 0, STR(""));
		return;
	}
	if (session_is_reserved(wk, name)) {
		done(wk, arg, E_NAME_TAKEN, 0, STR(""));
		return;
	}
	g = cache_get(wk, name);
	if (g) {
		done(wk, arg, E_NONE, g->user,
		     g->name_len ? (struct str){g->name, g->name_len} : name);
		return;
	}
	l = xcalloc(1, sizeof(*l) + name.len);
	l->done = done;
	l->arg = arg;
	l->taking.class = class_of(wk, name);
	l->key_len = name.len;
	memcpy(l->key, name.p, name.len);
	list_append(&wk->lookups, &l->node);
	worker_kick(wk);
}

/* The oldest lookups, as many as one statement takes. */
static struct asking *take(struct worker *wk)
{
	struct asking *a = xcalloc(1, sizeof(*a) + USER_GUESTS_MAX * sizeof(a->lookups[0]));
	struct list *node;

	a->wk = wk;
	while (a->n < USER_GUESTS_MAX && (node = list_first(&wk->lookups))) {
		struct lookup *l = list_entry(node, struct lookup, node);

		list_remove(node);
		l->taking.epoch = epoch_get(wk->shm, l->taking.class);
		a->lookups[a->n++] = l;
	}
	return a;
}

void session_flush(struct worker *wk)
{
	while (!list_empty(&wk->lookups)) {
		struct asking *a = take(wk);
		struct str *names = xcalloc(a->n, sizeof(*names));
		int r;

		for (size_t i = 0; i < a->n; i++)
			names[i] = (struct str){a->lookups[i]->key, a->lookups[i]->key_len};
		r = user_guests_get(dbio_reader(wk), names, a->n, dbio_deadline(wk), on_guests, a,
				    NULL);
		free(names);
		if (r < 0)
			on_guests(a, -ERR_UNAVAILABLE, NULL);
	}
}

/* ---- Names that are taken ---- */

void session_name_changed(struct worker *wk, struct str name)
{
	epoch_raise(wk->shm, class_of(wk, name));
	worker_count(wk, M_NAMES_TAKEN, 1);
}

static void reserved_clear(struct worker *wk)
{
	strmap_done(&wk->reserved);
	wk->reserved = (struct strmap){0};
	free(wk->reserved_of);
	wk->reserved_of = NULL;
}

/* To compare each name with each of the list would fold all of them anew. */
static void reserved_refresh(struct worker *wk)
{
	const char *list = wk->settings->auth_reserved_names;
	struct buf key = BUF_INIT;
	struct str item;
	size_t pos = 0;

	if (wk->reserved_of && strcmp(wk->reserved_of, list) == 0)
		return;
	reserved_clear(wk);
	wk->reserved_of = xstrndup(list, strlen(list));
	while (settings_list_next(list, &pos, &item)) {
		buf_clear(&key);
		names_skeleton(&key, item);
		strmap_put(&wk->reserved, buf_str(&key), wk->reserved_of);
	}
	buf_done(&key);
}

bool session_is_reserved(struct worker *wk, struct str name)
{
	struct buf key = BUF_INIT;
	bool is_reserved;

	reserved_refresh(wk);
	names_skeleton(&key, name);
	is_reserved = strmap_get(&wk->reserved, buf_str(&key)) != NULL;
	buf_done(&key);
	return is_reserved;
}

struct asking_free {
	struct worker *wk;
	int64_t user;
	session_free_fn *done;
	void *arg;
};

static void on_users_named(void *arg, int err, const int64_t *users, size_t n)
{
	struct asking_free a = *(struct asking_free *)arg;
	bool is_here = false;

	free(arg);
	for (size_t i = 0; i < n && !is_here && !err; i++)
		if (users[i] != a.user)
			err = member_is_present(a.wk->shm, (unsigned)a.wk->slot, MEMBER_NODE,
						users[i], false, &is_here);
	a.done(a.wk, a.arg, err < 0 ? E_UNAVAILABLE : is_here ? E_NAME_TAKEN : E_NONE);
}

void session_is_free(struct worker *wk, struct str name, int64_t user, session_free_fn *done,
		     void *arg)
{
	struct asking_free *a = xmalloc(sizeof(*a));
	int r;

	*a = (struct asking_free){wk, user, done, arg};
	r = guests_named(dbio_reader(wk), name, dbio_deadline(wk), on_users_named, a, NULL);
	if (r < 0)
		on_users_named(a, r, NULL, 0);
}

struct putting_out {
	struct worker *wk;
	int64_t user;
};

static void on_named(void *arg, int err, const int64_t *users, size_t n)
{
	struct putting_out p = *(struct putting_out *)arg;

	free(arg);
	if (err < 0)
		log_warn("guests may still use the name of a new account",
			 LF_STR("error", err_name(err)));
	for (size_t i = 0; i < n; i++)
		if (users[i] != p.user)
			revoke_user(p.wk, users[i]);
}

void session_put_out(struct worker *wk, struct str name, int64_t user)
{
	struct putting_out *p = xmalloc(sizeof(*p));
	int r;

	*p = (struct putting_out){wk, user};
	r = guests_named(dbio_reader(wk), name, dbio_deadline(wk), on_named, p, NULL);
	if (r < 0)
		on_named(p, r, NULL, 0);
}

/* By whichever of the ways to write the name comes first; false: by none any more. */
static bool forget_one(struct worker *wk, int64_t user)
{
	uint32_t pos = 0;
	struct str key;
	void *value;

	while (strmap_next(&wk->guests, &pos, &key, &value)) {
		struct guest *g = value;

		if (g->user != user)
			continue;
		strmap_del(&wk->guests, key);
		free(g);
		return true;
	}
	return false;
}

void session_forget(struct worker *wk, int64_t user)
{
	while (forget_one(wk, user))
		;
}

void session_open(struct worker *wk)
{
	list_init(&wk->lookups);
}

void session_close(struct worker *wk)
{
	while (!list_empty(&wk->lookups))
		on_guests(take(wk), -ERR_UNAVAILABLE, NULL);
	cache_clear(wk);
	reserved_clear(wk);
}
