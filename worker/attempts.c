/* SPDX-License-Identifier: MIT */
/*
 * Failed logins, counted for the node. An attempt takes from its allowances before the password is
 * looked at, and gives back when it was right: nobody tries more at once than one after the other.
 * Those in flight are counted apart, so that right ones wait for each other instead of being
 * refused.
 */
#include "worker/attempts.h"

#include "base/clock.h"
#include "base/log.h"
#include "proto/names.h"
#include "shm/limits.h"
#include "sql/accounts.h"
#include "sql/logins.h"
#include "worker/call.h"
#include "worker/dbio.h"

#define WAIT_MS 10000	 /* at most for others */
#define LOOK_S 0.025	 /* how often who waits looks */
#define WAITING_MAX 1024 /* of a worker */

/* Whoever vanishes in flight, with its worker, is forgotten after so long. */
#define FLIGHT_NS UINT64_C(30000000000)
#define FLIGHTS_MAX 1000000

/* Buckets beside those of the classes. */
enum { KEY_FLIGHT = LIMIT_CLASSES, KEY_FORGIVEN = 2 * LIMIT_CLASSES };

struct attempts {
	struct list waiting;
	size_t n_waiting;
	ev_timer look;
};

static struct attempts *attempts_of(struct worker *wk)
{
	if (!wk->attempts) {
		wk->attempts = xcalloc(1, sizeof(*wk->attempts));
		list_init(&wk->attempts->waiting);
	}
	return wk->attempts;
}

/* ---- Buckets ---- */

static const enum limit_class classes[] = {
	LIMIT_LOGINS_ADDRESS, LIMIT_LOGINS_ACCOUNT, LIMIT_LOGINS_EVERYWHERE};

static struct limit_who who_of(const struct attempt *a, enum limit_class class)
{
	if (class == LIMIT_LOGINS_ADDRESS)
		return limit_by_addr(&a->call->addr);
	return limit_by_text(str_of(class == LIMIT_LOGINS_ACCOUNT ? a->pair : a->account));
}

static uint64_t own_key(const struct worker *wk, unsigned key, const struct limit_who *who)
{
	if (who->text.p)
		return limit_key(wk->shm, key, who->text.p, who->text.len);
	return limit_key(wk->shm, key, who->bytes.b, sizeof(who->bytes.b));
}

/* Takes N from a bucket of our own (0: looks). Returns how many are left. */
static uint32_t take_own(struct worker *wk, unsigned key, struct limit_who who,
			 const struct limit_rule *rule, uint32_t n)
{
	struct limit_state state = {.remaining = rule->burst};

	if (limit_take(wk->shm, (unsigned)wk->slot, own_key(wk, key, &who), rule, n,
		       clock_mono_ns(), &state) < 0)
		worker_stop(wk, WORKER_EXIT_SHM);
	return state.remaining;
}

static const struct limit_rule flights = {FLIGHT_NS, FLIGHTS_MAX};

/* Counts A in flight. Whether others are. */
static bool take_off(const struct attempt *a, enum limit_class class)
{
	return take_own(a->wk, KEY_FLIGHT + class, who_of(a, class), &flights, 1) < FLIGHTS_MAX - 1;
}

static void land(const struct attempt *a, enum limit_class class)
{
	struct limit_who who = who_of(a, class);
	uint64_t key = own_key(a->wk, KEY_FLIGHT + class, &who);

	if (limit_give(a->wk->shm, (unsigned)a->wk->slot, key, &flights, 1, clock_mono_ns()) < 0)
		worker_stop(a->wk, WORKER_EXIT_SHM);
}

/* ---- Whose ---- */

/* Forgiveness lasts for as long as anything could still count. */
static struct limit_rule forgiveness(const struct worker *wk)
{
	const struct rate *rate = &wk->settings->limits_logins_account;
	uint64_t window_ns = rate_interval_ns(rate) * rate->burst;

	return (struct limit_rule){MAX(window_ns, UINT64_C(1000000000)), 1000};
}

#define ACCOUNT_SIZE 24 /* '#', 19 digits and a NUL */

static void account_key(int64_t user, char ret[ACCOUNT_SIZE])
{
	snprintf(ret, ACCOUNT_SIZE, "#%" PRId64, user);
}

void attempts_forgive(struct worker *wk, int64_t user)
{
	struct limit_rule rule = forgiveness(wk);
	char key[ACCOUNT_SIZE];

	account_key(user, key);
	take_own(wk, KEY_FORGIVEN, limit_by_text(str_of(key)), &rule, 1);
	limits_forget(wk, LIMIT_LOGINS_EVERYWHERE, limit_by_text(str_of(key)));
}

/* An account is called by its number, however it was typed; what does not exist as it was. */
static void name_keys(struct attempt *a, struct str login)
{
	struct limit_rule rule = forgiveness(a->wk);
	struct limit_who address = limit_by_addr(&a->call->addr);
	char key[ACCOUNT_SIZE], text[ADDR_TEXT_MAX];
	struct buf b = BUF_INIT;
	uint32_t forgiven = 0;

	if (a->user) {
		account_key(a->user, key);
		buf_add_cstr(&b, key);
		forgiven = rule.burst -
			   take_own(a->wk, KEY_FORGIVEN, limit_by_text(buf_str(&b)), &rule, 0);
	} else {
		names_skeleton(&b, login);
	}
	a->account = xstrndup((const char *)b.p, b.len);
	addr_format(&address.bytes, text);
	buf_printf(&b, " %s %" PRIu32, text, forgiven);
	a->pair = xstrndup((const char *)b.p, b.len);
	buf_done(&b);
}

/* ---- The audit ---- */

static void on_noted(void *arg, int err)
{
	static struct log_rate rate;
	uint64_t suppressed;

	(void)arg;
	if (err < 0 && log_rate_pass(&rate, 10000, &suppressed))
		log_warn("a failed login is not in the audit", LF_STR("error", err_name(err)),
			 LF_INT("suppressed", (int64_t)suppressed));
}

/* Some of a burst stand for all of it: nobody fills the disk by being wrong. */
static void note(const struct attempt *a, const char *action)
{
	struct worker *wk = a->wk;
	struct buf key = BUF_INIT;
	int r;

	if (!a->user)
		return;
	buf_printf(&key, "%s %s", action, a->pair);
	if (limits_try(wk, LIMIT_AUDITED_LOGINS, limit_by_text(buf_str(&key)))) {
		r = account_note(dbio_writer(wk), str_of(action), a->user, call_address(a->call),
				 dbio_deadline(wk), on_noted, NULL, NULL);
		if (r < 0)
			on_noted(NULL, r);
	}
	buf_done(&key);
}

/* ---- Taking ---- */

enum verdict { TAKEN, BUSY, REFUSED };

/* An attacker cannot shut out who comes from where the account was used before. */
static bool counts(const struct attempt *a, enum limit_class class)
{
	return class != LIMIT_LOGINS_EVERYWHERE || !a->is_owner;
}

/* Gives back the first N. */
static void give(const struct attempt *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (counts(a, classes[i]))
			limits_give(a->wk, classes[i], who_of(a, classes[i]));
}

/* *RET_CLASS: what stands in the way. Off before anything is taken: who takes is seen by others. */
static enum verdict take(struct attempt *a, enum limit_class *ret_class)
{
	bool is_busy[ARRAY_LEN(classes)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		is_busy[i] = take_off(a, classes[i]);
	while (n < ARRAY_LEN(classes) && (!counts(a, classes[n]) ||
					  limits_try(a->wk, classes[n], who_of(a, classes[n]))))
		n++;
	a->is_held = n == ARRAY_LEN(classes);
	if (a->is_held)
		return TAKEN;
	give(a, n);
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		land(a, classes[i]);
	*ret_class = classes[n];
	return is_busy[n] ? BUSY : REFUSED;
}

static void start(struct attempt *a, enum proto_error error)
{
	if (error)
		attempt_end(a, false);
	a->go(a->arg, error);
}

static void refuse(struct attempt *a, enum limit_class class)
{
	/* so that the answer tells of the limit */
	if (limits_call_take(a->call, class, who_of(a, class)))
		limits_give(a->wk, class, who_of(a, class));
	if (class != LIMIT_LOGINS_ADDRESS)
		note(a, "login.locked");
	start(a, E_RATE_LIMITED);
}

/* ---- Waiting ---- */

static void attempt(struct attempt *a);

static void on_look(EV_P_ ev_timer *w, int revents)
{
	struct worker *wk = w->data;
	struct attempts *all = wk->attempts;
	size_t n = all->n_waiting; /* whoever has to wait again comes behind */

	(void)revents;
	while (n-- && !list_empty(&all->waiting)) {
		struct attempt *a = list_entry(list_first(&all->waiting), struct attempt, node);

		list_remove(&a->node);
		all->n_waiting--;
		attempt(a);
	}
	if (!all->n_waiting)
		ev_timer_stop(loop, w);
}

static void wait_for_others(struct attempt *a, enum limit_class class)
{
	struct worker *wk = a->wk;
	struct attempts *all = attempts_of(wk);

	if (!call_conn(a->call)) {
		start(a, E_UNAVAILABLE); /* nobody will read it */
	} else if (all->n_waiting == WAITING_MAX) {
		start(a, E_OVERLOADED);
	} else if (clock_mono_ms() >= a->until_ms) {
		refuse(a, class);
	} else {
		list_append(&all->waiting, &a->node);
		all->n_waiting++;
		if (!ev_is_active(&all->look)) {
			ev_timer_init(&all->look, on_look, LOOK_S, LOOK_S);
			all->look.data = wk;
			ev_timer_start(wk->loop, &all->look);
		}
	}
}

static void on_owner(void *arg, int err)
{
	struct attempt *a = arg;

	a->is_owner = err == 0;
	attempt(a);
}

static void ask_owner(struct attempt *a)
{
	int r = login_is_known(dbio_reader(a->wk), a->user, call_address(a->call),
			       dbio_deadline(a->wk), on_owner, a, NULL);

	a->was_asked = true;
	if (r < 0)
		on_owner(a, r);
}

static void attempt(struct attempt *a)
{
	enum limit_class class;
	enum verdict verdict = take(a, &class);

	if (verdict == TAKEN)
		start(a, E_NONE);
	else if (verdict == BUSY)
		wait_for_others(a, class);
	else if (class == LIMIT_LOGINS_EVERYWHERE && a->user && !a->was_asked)
		ask_owner(a);
	else
		refuse(a, class);
}

void attempt_begin(struct attempt *a, struct call *call, int64_t user, struct str login,
		   attempt_fn *go, void *arg)
{
	*a = (struct attempt){
		.wk = call->wk,
		.call = call,
		.user = user,
		.until_ms = clock_mono_ms() + WAIT_MS,
		.go = go,
		.arg = arg,
	};
	name_keys(a, login);
	attempt(a);
}

void attempt_end(struct attempt *a, bool is_failure)
{
	if (a->is_held) {
		if (is_failure)
			note(a, "login.failed");
		else
			give(a, ARRAY_LEN(classes));
		for (size_t i = 0; i < ARRAY_LEN(classes); i++)
			land(a, classes[i]);
	}
	a->is_held = false;
	free(a->account);
	free(a->pair);
	a->account = a->pair = NULL;
}

void attempts_close(struct worker *wk)
{
	struct attempts *all = wk->attempts;

	if (!all)
		return;
	ev_timer_stop(wk->loop, &all->look);
	while (!list_empty(&all->waiting)) {
		struct attempt *a = list_entry(list_first(&all->waiting), struct attempt, node);

		list_remove(&a->node);
		start(a, E_UNAVAILABLE);
	}
	free(all);
	wk->attempts = NULL;
}
