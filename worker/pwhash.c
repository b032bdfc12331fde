/* SPDX-License-Identifier: MIT */
/*
 * The pool: work in from the loop, threads that hash, results back to the loop.
 * The hashing itself is pwhash_argon.c's and pwhash_bcrypt.c's, the node's limit pwhash_permit.c's.
 */
#include "worker/pwhash_priv.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "shm/metrics.h"
#include "shm/segment.h"
#include "worker/worker.h"

#define STACK_BYTES (512 * 1024)
#define NICE_STEP 10	   /* threads that hash give way to the loops */
#define PERMIT_WAIT_MS 5   /* between two looks whether another process gave a permit back */

struct job {
	struct list node;
	pwhash_done *done;
	void *arg;
	struct argon_rule rule; /* in force when it was asked */
	uint64_t asked_ms;
	struct buf password, stored; /* owned, cleared at the end; stored is empty for a new hash */
	bool is_make, is_dummy;
	/* what the thread found */
	int err;
	bool matches, needs_rehash;
	struct buf phc; /* owned */
};

struct pwhash {
	struct worker *wk;
	ev_async io;
	unsigned n_pending;	/* the loop's: asked and not yet answered */
	struct argon_rule rule; /* the loop's */
	struct log_rate log_full;

	/* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* work came, permits were given back, or the end */
	struct list queued, finished; /* struct job.node */
	struct permits permits;
	unsigned n_busy;     /* threads that hash */
	bool is_looking;     /* one thread waits for permits of other processes */
	bool is_closing;
	uint32_t unit_kib; /* what one permit stands for: auth.hash_memory */

	unsigned n_threads; /* the loop's */
	pthread_t threads[PERMITS_MAX];
};

/* Hashing, in a thread --------------------------------------------------------------- */

static int make(struct job *j)
{
	struct phc phc = {.kind = PHC_ARGON2ID,
			  .rule = j->rule,
			  .salt_len = ARGON_SALT_BYTES,
			  .tag_len = ARGON_TAG_BYTES};
	const struct argon_input in = {.password = buf_str(&j->password),
				       .salt = {(char *)phc.salt, ARGON_SALT_BYTES}};
	int r;

	if (RAND_bytes(phc.salt, ARGON_SALT_BYTES) != 1)
		return -ERR_IO;
	r = argon_hash(&j->rule, &in, phc.tag, phc.tag_len);
	if (r == 0)
		phc_format(&phc, &j->phc);
	return r;
}

/* The same work as for somebody who exists. */
static int pretend(struct job *j)
{
	static const uint8_t salt[ARGON_SALT_BYTES] = "nobody";
	const struct argon_input in = {.password = buf_str(&j->password),
				       .salt = {(const char *)salt, sizeof(salt)}};
	uint8_t tag[ARGON_TAG_BYTES];

	return argon_hash(&j->rule, &in, tag, sizeof(tag));
}

static bool is_current(const struct phc *phc, const struct argon_rule *rule)
{
	return phc->kind == PHC_ARGON2ID && phc->rule.memory_kib == rule->memory_kib &&
	       phc->rule.passes == rule->passes && phc->rule.lanes == rule->lanes &&
	       phc->salt_len == ARGON_SALT_BYTES && phc->tag_len == ARGON_TAG_BYTES;
}

static int compare_argon(const struct phc *phc, struct job *j)
{
	const struct argon_input in = {.password = buf_str(&j->password),
				       .salt = {(const char *)phc->salt, phc->salt_len}};
	uint8_t tag[ARGON_PART_MAX];
	int r = argon_hash(&phc->rule, &in, tag, phc->tag_len);

	if (r == 0)
		j->matches = CRYPTO_memcmp(tag, phc->tag, phc->tag_len) == 0;
	explicit_bzero(tag, sizeof(tag));
	return r;
}

static int compare(struct job *j)
{
	struct phc phc;
	int r = phc_parse(buf_str(&j->stored), &phc);

	if (r < 0) {
		(void)pretend(j);
		return r;
	}
	if (phc.kind == PHC_BCRYPT)
		r = bcrypt_verify(buf_str(&j->password), buf_str(&j->stored), &j->matches);
	else
		r = compare_argon(&phc, j);
	if (r < 0 || !j->matches || is_current(&phc, &j->rule))
		return r;
	j->needs_rehash = true;
	return make(j);
}

static void run(struct job *j)
{
	if (j->is_make)
		j->err = make(j);
	else if (j->is_dummy)
		j->err = pretend(j);
	else if (j->err == 0)
		j->err = compare(j);
	if (j->err < 0) {
		j->matches = j->needs_rehash = false;
		buf_clear(&j->phc);
	}
}

/* Threads ---------------------------------------------------------------------------- */

/* How many permits J's memory takes: more than one only for a hash of larger parameters. */
static unsigned weight(const struct pwhash *pool, const struct job *j)
{
	uint32_t most = j->rule.memory_kib;
	struct phc phc;

	if (j->stored.len && phc_parse(buf_str(&j->stored), &phc) == 0 &&
	    phc.kind == PHC_ARGON2ID)
		most = MAX(most, phc.rule.memory_kib);
	return (unsigned)(((uint64_t)most + pool->unit_kib - 1) / pool->unit_kib);
}

static void finish(struct pwhash *pool, struct job *j)
{
	list_append(&pool->finished, &j->node);
	ev_async_send(pool->wk->loop, &pool->io);
}

/* Until something changes; one thread also looks from time to time at the other processes. */
static void wait_for_permits(struct pwhash *pool)
{
	struct timespec until;

	if (pool->is_looking) {
		pthread_cond_wait(&pool->changed, &pool->lock);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += PERMIT_WAIT_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pool->is_looking = true;
	(void)pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
	pool->is_looking = false;
}

/* The first of the queue and the permits for it; NULL at the end. The lock is held. */
static struct job *next_job(struct pwhash *pool, bool ret_permits[PERMITS_MAX])
{
	struct job *j;
	unsigned n;

	while (!pool->is_closing) {
		if (list_empty(&pool->queued)) {
			pthread_cond_wait(&pool->changed, &pool->lock);
			continue;
		}
		j = container_of(list_first(&pool->queued), struct job, node);
		n = weight(pool, j);
		if (n > pool->permits.limit) { /* would never come to its turn */
			list_remove(&j->node);
			j->err = -ERR_TOOBIG;
			finish(pool, j);
		} else if (permits_take(&pool->permits, n, ret_permits)) {
			list_remove(&j->node);
			return j;
		} else {
			wait_for_permits(pool);
		}
	}
	return NULL;
}

/* Of this thread alone; refused in some sandboxes, and then it has the loop's priority. */
static void give_way(void)
{
	int nice_now = getpriority(PRIO_PROCESS, (id_t)gettid());

	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), nice_now + NICE_STEP);
}

static void *thread_main(void *arg)
{
	struct pwhash *pool = arg;
	bool permits[PERMITS_MAX];
	struct job *j;

	give_way();
	pthread_mutex_lock(&pool->lock);
	while ((j = next_job(pool, permits))) {
		pool->n_busy++;
		pthread_cond_signal(&pool->changed); /* somebody else may look meanwhile */
		pthread_mutex_unlock(&pool->lock);
		run(j);
		pthread_mutex_lock(&pool->lock);
		pool->n_busy--;
		permits_give(&pool->permits, permits);
		finish(pool, j);
		pthread_cond_signal(&pool->changed);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* Signals are the loop's affair. */
static bool thread_start(struct pwhash *pool)
{
	sigset_t all, old;
	pthread_attr_t attr;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&pool->threads[pool->n_threads], &attr, thread_main, pool);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (r == 0)
		pool->n_threads++;
	return r == 0;
}

/* As many as there is work for, and permits. */
static bool start_threads(struct pwhash *pool)
{
	unsigned wanted = MIN(pool->n_pending, pool->permits.limit);

	while (pool->n_threads < wanted)
		if (!thread_start(pool))
			break;
	return pool->n_threads > 0;
}

/* The loop's side -------------------------------------------------------------------- */

static void buf_wipe(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	buf_done(b);
}

static void job_free(struct job *j)
{
	buf_wipe(&j->password);
	buf_done(&j->stored);
	buf_done(&j->phc);
	free(j);
}

static void answer(struct pwhash *pool, struct job *j, int err)
{
	struct worker *wk = pool->wk;
	struct str phc = {NULL, 0};

	if (err == 0 && j->phc.len)
		phc = buf_str(&j->phc);
	pool->n_pending--;
	worker_count(wk, M_HASH_PENDING, -1);
	j->done(wk, j->arg, err, err == 0 && j->matches, err == 0 && j->needs_rehash, phc);
	job_free(j);
}

static void answer_all(struct pwhash *pool, struct list *jobs, bool is_closing)
{
	struct job *j;

	while (!list_empty(jobs)) {
		j = container_of(list_first(jobs), struct job, node);
		list_remove(&j->node);
		if (!is_closing) {
			worker_count(pool->wk, M_HASHES, 1);
			worker_count(pool->wk, M_HASH_WAIT_MS,
				     (int64_t)(clock_mono_ms() - j->asked_ms));
		}
		answer(pool, j, is_closing ? -ERR_CLOSED : j->err);
	}
}

static void on_finished(EV_P_ ev_async *w, int revents)
{
	struct pwhash *pool = w->data;
	struct list finished;

	(void)loop;
	(void)revents;
	pthread_mutex_lock(&pool->lock);
	list_move(&finished, &pool->finished);
	pthread_mutex_unlock(&pool->lock);
	answer_all(pool, &finished, false);
}

static struct job *job_new(struct pwhash *pool, struct str password, pwhash_done *done, void *arg)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->done = done;
	j->arg = arg;
	j->rule = pool->rule;
	j->asked_ms = clock_mono_ms();
	/* in one piece: a buffer that grows would leave copies behind */
	(void)buf_reserve(&j->password, password.len + 1);
	buf_add_str(&j->password, password);
	return j;
}

static int refuse(struct pwhash *pool, struct str password)
{
	uint64_t suppressed;

	if (password.len > PWHASH_PASSWORD_MAX)
		return -ERR_TOOBIG;
	if (pool->n_pending < (uint64_t)pool->wk->settings->auth_hash_queue)
		return 0;
	worker_count(pool->wk, M_HASH_REFUSED, 1);
	if (log_rate_pass(&pool->log_full, 10000, &suppressed))
		log_warn("too many passwords wait to be hashed: more are refused",
			 LF_INT("waiting", pool->n_pending), LF_INT("suppressed", suppressed));
	return -ERR_FULL;
}

static int submit(struct pwhash *pool, struct job *j)
{
	bool is_running;

	pool->n_pending++;
	worker_count(pool->wk, M_HASH_PENDING, 1);
	pthread_mutex_lock(&pool->lock);
	list_append(&pool->queued, &j->node);
	is_running = start_threads(pool);
	if (!is_running)
		list_remove(&j->node);
	pthread_cond_signal(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	if (is_running)
		return 0;
	log_error("no thread for passwords: the system refused it");
	pool->n_pending--;
	worker_count(pool->wk, M_HASH_PENDING, -1);
	job_free(j);
	return -ERR_FULL;
}

int pwhash_verify(struct worker *wk, struct str password, struct str stored, pwhash_done *done,
		  void *arg)
{
	struct pwhash *pool = wk->pwhash;
	int r = refuse(pool, password);
	struct job *j;

	if (r < 0)
		return r;
	j = job_new(pool, password, done, arg);
	j->is_dummy = !stored.p;
	if (stored.p)
		buf_add(&j->stored, stored.p, MIN(stored.len, PWHASH_TEXT_MAX + 1));
	return submit(pool, j);
}

int pwhash_make(struct worker *wk, struct str password, pwhash_done *done, void *arg)
{
	struct pwhash *pool = wk->pwhash;
	int r = refuse(pool, password);
	struct job *j;

	if (r < 0)
		return r;
	j = job_new(pool, password, done, arg);
	j->is_make = true;
	return submit(pool, j);
}

unsigned pwhash_pending(const struct worker *wk)
{
	return wk->pwhash->n_pending;
}

/* Opening and closing ---------------------------------------------------------------- */

void pwhash_reload(struct worker *wk)
{
	struct pwhash *pool = wk->pwhash;
	const struct settings *s = wk->settings;
	unsigned limit = (unsigned)MIN(s->auth_hash_parallel, PERMITS_MAX);

	pool->rule = (struct argon_rule){(uint32_t)(s->auth_hash_memory / 1024),
					 (uint32_t)s->auth_hash_passes, 1};
	pthread_mutex_lock(&pool->lock);
	pool->unit_kib = pool->rule.memory_kib;
	pool->permits.limit = limit;
	pool->permits.share = MAX(1u, limit / (unsigned)wk->boot->n_slots);
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
}

void pwhash_open(struct worker *wk)
{
	struct pwhash *pool = xcalloc(1, sizeof(*pool));
	pthread_condattr_t attr;

	pool->wk = wk;
	list_init(&pool->queued);
	list_init(&pool->finished);
	pool->permits.fd = shm_fd(wk->shm);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->changed, &attr);
	pthread_condattr_destroy(&attr);
	ev_async_init(&pool->io, on_finished);
	pool->io.data = pool;
	ev_async_start(wk->loop, &pool->io);
	ev_unref(wk->loop); /* waiting for passwords alone keeps no loop alive */
	wk->pwhash = pool;
	pwhash_reload(wk);
}

static void join_threads(struct pwhash *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->is_closing = true;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->n_threads; i++)
		pthread_join(pool->threads[i], NULL);
}

void pwhash_close(struct worker *wk)
{
	struct pwhash *pool = wk->pwhash;

	if (!pool)
		return;
	join_threads(pool);
	answer_all(pool, &pool->finished, true);
	answer_all(pool, &pool->queued, true);
	assert(pool->n_pending == 0);
	ev_ref(wk->loop);
	ev_async_stop(wk->loop, &pool->io);
	pthread_cond_destroy(&pool->changed);
	pthread_mutex_destroy(&pool->lock);
	wk->pwhash = NULL;
	free(pool);
}
