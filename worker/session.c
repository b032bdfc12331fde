/* SPDX-License-Identifier: MIT */
/*
 * Guests by name: a bounded cache over the table of users. Equal names are the same guest.
 * Which names are acceptable was checked by the decoder.
 */
#include "worker/session.h"

#include "base/clock.h"
#include "sql/users.h"
#include "worker/dbio.h"

#define CACHE_MAX 100000 /* guests remembered; the cache starts over when it is full */

struct guest {
	int64_t user;
	struct str name; /* behind the structure */
	char bytes[];
};

struct lookup {
	struct worker *wk;
	session_guest_fn *done;
	void *arg;
	size_t key_len;
	char key[];
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

static void cache_put(struct worker *wk, struct str key, const struct user *user)
{
	struct guest *g;

	if (wk->guests.count >= CACHE_MAX)
		cache_clear(wk);
	if (strmap_get(&wk->guests, key))
		return;
	g = xmalloc(sizeof(*g) + user->name.len);
	g->user = user->id;
	g->name = (struct str){g->bytes, user->name.len};
	memcpy(g->bytes, user->name.p, user->name.len);
	strmap_put(&wk->guests, key, g);
}

static enum proto_error error_of(int err)
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

static void on_guest(void *arg, int err, const struct user *user)
{
	struct lookup *l = arg;

	if (!err)
		cache_put(l->wk, (struct str){l->key, l->key_len}, user);
	l->done(l->wk, l->arg, error_of(err), err ? 0 : user->id, err ? STR("") : user->name);
	free(l);
}

void session_guest(struct worker *wk, struct str name, session_guest_fn *done, void *arg)
{
	const struct guest *g = strmap_get(&wk->guests, name);
	struct lookup *l;

	if (!wk->settings->chat_guests) {
		done(wk, arg, E_UNAUTHORIZED, 0, STR(""));
		return;
	}
	if (g) {
		done(wk, arg, E_NONE, g->user, g->name);
		return;
	}
	l = xmalloc(sizeof(*l) + name.len);
	*l = (struct lookup){wk, done, arg, name.len};
	memcpy(l->key, name.p, name.len);
	if (user_guest_get(dbio_reader(wk), name, dbio_deadline(wk), on_guest, l, NULL) < 0)
		on_guest(l, -ERR_UNAVAILABLE, NULL);
}

void session_close(struct worker *wk)
{
	cache_clear(wk);
}
