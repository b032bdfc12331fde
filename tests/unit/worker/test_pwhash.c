/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/pwhash.c: real threads on a real loop, small hashes. The hashing itself is
 * counted on its way through.
 */
#include "worker_test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/segment.h"
#include "worker/pwhash_priv.h"
#include "worker/worker.h"

#define BCRYPT_72 "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define BCRYPT "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui"

static struct worker_boot boot = {.n_slots = 1};
static struct worker wk;

/* ---- In the place of pwhash_argon.c ---- */

static atomic_uint n_hashes, n_now, n_most;
static struct argon_rule last_rule; /* of the last hash; read when nothing runs */

/* Threads wait here while the gate is closed. */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static bool is_gate_closed;

int __real_argon_hash(const struct argon_rule *rule, const struct argon_input *in, uint8_t *tag,
		      size_t tag_len);
int __wrap_argon_hash(const struct argon_rule *rule, const struct argon_input *in, uint8_t *tag,
		      size_t tag_len);
int __wrap_argon_hash(const struct argon_rule *rule, const struct argon_input *in, uint8_t *tag,
		      size_t tag_len)
{
	unsigned now = atomic_fetch_add(&n_now, 1) + 1, most = atomic_load(&n_most);
	int r;

	while (now > most && !atomic_compare_exchange_weak(&n_most, &most, now))
		;
	atomic_fetch_add(&n_hashes, 1);
	pthread_mutex_lock(&gate_lock);
	last_rule = *rule;
	pthread_cond_broadcast(&gate_changed);
	while (is_gate_closed)
		pthread_cond_wait(&gate_changed, &gate_lock);
	pthread_mutex_unlock(&gate_lock);
	r = __real_argon_hash(rule, in, tag, tag_len);
	atomic_fetch_sub(&n_now, 1);
	return r;
}

static void gate(bool is_closed)
{
	pthread_mutex_lock(&gate_lock);
	is_gate_closed = is_closed;
	pthread_cond_broadcast(&gate_changed);
	pthread_mutex_unlock(&gate_lock);
}

/* Until N hashes have begun. */
static void await_begun(unsigned n)
{
	pthread_mutex_lock(&gate_lock);
	while (atomic_load(&n_hashes) < n)
		pthread_cond_wait(&gate_changed, &gate_lock);
	pthread_mutex_unlock(&gate_lock);
}

/* ---- */

struct answer {
	bool is_there, matches, needs_rehash;
	int err;
	char phc[PWHASH_TEXT_MAX];
};

static void on_done(struct worker *w, void *arg, int err, bool matches, bool needs_rehash,
		    struct str phc)
{
	struct answer *a = arg;

	assert_ptr_equal(w, &wk);
	assert_false(a->is_there);
	assert_in_range(phc.len, 0, sizeof(a->phc) - 1);
	*a = (struct answer){true, matches, needs_rehash, err, ""};
	if (phc.len)
		memcpy(a->phc, phc.p, phc.len);
}

static void await(const struct answer *a)
{
	while (!a->is_there)
		ev_run(wk.loop, EVRUN_ONCE);
}

static struct answer verify(struct str password, const char *stored)
{
	struct answer a = {0};

	ev_ref(wk.loop);
	assert_int_equal(pwhash_verify(&wk, password, str_of(stored), on_done, &a), 0);
	assert_false(a.is_there);
	await(&a);
	ev_unref(wk.loop);
	return a;
}

static struct answer make(struct str password)
{
	struct answer a = {0};

	ev_ref(wk.loop);
	assert_int_equal(pwhash_make(&wk, password, on_done, &a), 0);
	await(&a);
	ev_unref(wk.loop);
	assert_int_equal(a.err, 0);
	assert_false(a.matches);
	return a;
}

static int set_up(void **state)
{
	const struct shm_geometry geo = {.n_slots = 1,
					 .rooms_max = 64,
					 .members_max = 64,
					 .users_max = 64,
					 .typing_max = 64,
					 .ring_bytes = 65536};

	(void)state;
	wk = (struct worker){.boot = &boot, .settings = settings_new(), .loop = ev_loop_new(0)};
	if (shm_create(&geo, &wk.shm) < 0)
		return -1;
	wk.settings->auth_hash_memory = 64 * 1024;
	wk.settings->auth_hash_passes = 1;
	wk.settings->auth_hash_parallel = 2;
	pwhash_open(&wk);
	n_hashes = n_most = 0;
	gate(false);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	gate(false);
	pwhash_close(&wk);
	shm_detach(&wk.shm);
	settings_free(&wk.settings);
	ev_loop_destroy(wk.loop);
	return 0;
}

static void test_make_and_verify(void **state)
{
	struct answer made = make(STR("correct horse")), other = make(STR("correct horse")), a;

	(void)state;
	assert_memory_equal(made.phc, "$argon2id$v=19$m=64,t=1,p=1$", 28);
	assert_string_not_equal(made.phc, other.phc); /* another salt */
	a = verify(STR("correct horse"), made.phc);
	assert_int_equal(a.err, 0);
	assert_true(a.matches);
	assert_false(a.needs_rehash);
	assert_string_equal(a.phc, "");
	a = verify(STR("correct hors"), made.phc);
	assert_int_equal(a.err, 0);
	assert_false(a.matches);
	assert_false(a.needs_rehash);
}

/* Of an Argon2id password every byte counts, however many, and NULs too. */
static void test_s3_17_every_byte_counts(void **state)
{
	char text[PWHASH_PASSWORD_MAX + 1];
	struct answer made;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[500] = '\0';
	made = make((struct str){text, PWHASH_PASSWORD_MAX});
	assert_true(verify((struct str){text, PWHASH_PASSWORD_MAX}, made.phc).matches);
	assert_false(verify((struct str){text, PWHASH_PASSWORD_MAX - 1}, made.phc).matches);
	text[PWHASH_PASSWORD_MAX - 1] = 'y';
	assert_false(verify((struct str){text, PWHASH_PASSWORD_MAX}, made.phc).matches);
	assert_int_equal(pwhash_make(&wk, (struct str){text, sizeof(text)}, on_done, NULL),
			 -ERR_TOOBIG);
	assert_int_equal(pwhash_verify(&wk, (struct str){text, sizeof(text)}, str_of(made.phc),
				       on_done, NULL),
			 -ERR_TOOBIG);
	made = make(STR(""));
	assert_true(verify(STR(""), made.phc).matches);
	assert_false(verify(STR("x"), made.phc).matches);
}

/* As much work for nobody as for a wrong password. */
static void test_s3_07_unknown_user_takes_the_same_work(void **state)
{
	struct answer made = make(STR("right")), a;
	unsigned before = n_hashes, wrong;
	struct argon_rule rule;

	(void)state;
	assert_false(verify(STR("wrong"), made.phc).matches);
	wrong = n_hashes - before;
	rule = last_rule;
	before = n_hashes;
	last_rule = (struct argon_rule){0};
	a = verify(STR("wrong"), NULL);
	assert_int_equal(a.err, 0);
	assert_false(a.matches);
	assert_int_equal(n_hashes - before, wrong);
	assert_memory_equal(&last_rule, &rule, sizeof(rule));
}

static void test_s3_17_bcrypt_is_replaced(void **state)
{
	struct answer a = verify(STR(BCRYPT_72), BCRYPT), again;

	(void)state;
	assert_int_equal(a.err, 0);
	assert_true(a.matches);
	assert_true(a.needs_rehash);
	assert_memory_equal(a.phc, "$argon2id$", 10);
	again = verify(STR(BCRYPT_72), a.phc);
	assert_true(again.matches);
	assert_false(again.needs_rehash);
	a = verify(STR(BCRYPT_72 "x"), BCRYPT);
	assert_int_equal(a.err, 0);
	assert_false(a.matches);
	assert_false(a.needs_rehash);
	assert_string_equal(a.phc, "");
}

static void test_other_parameters_are_replaced(void **state)
{
	struct answer made = make(STR("pass")), a;

	(void)state;
	wk.settings->auth_hash_passes = 2;
	pwhash_reload(&wk);
	a = verify(STR("pass"), made.phc);
	assert_true(a.matches);
	assert_true(a.needs_rehash);
	assert_memory_equal(a.phc, "$argon2id$v=19$m=64,t=2,p=1$", 28);
	a = verify(STR("wrong"), made.phc);
	assert_false(a.matches);
	assert_string_equal(a.phc, "");
}

/* A broken row is told from a wrong password here, but not in time. */
static void test_broken_hash(void **state)
{
	struct answer a = verify(STR("pass"), "$argon2id$v=19$broken");

	(void)state;
	assert_int_equal(a.err, -ERR_INVAL);
	assert_false(a.matches);
	assert_int_equal(n_hashes, 1);
	a = verify(STR(""), "");
	assert_int_equal(a.err, -ERR_INVAL);
	assert_false(a.matches);
}

/* Hashes that were made with more memory take several permits, or are refused. */
static void test_larger_hashes(void **state)
{
	struct answer a;

	(void)state;
	a = verify(STR("password"), "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ"
				    "$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4");
	assert_int_equal(a.err, -ERR_TOOBIG); /* 256 KiB are four permits of 64 */
	assert_int_equal(n_hashes, 0);
	wk.settings->auth_hash_parallel = 4;
	pwhash_reload(&wk);
	a = verify(STR("password"), "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ"
				    "$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4");
	assert_int_equal(a.err, 0);
	assert_true(a.matches);
	assert_true(a.needs_rehash);
}

static void test_never_more_than_allowed(void **state)
{
	struct answer a[40] = {0};

	(void)state;
	ev_ref(wk.loop);
	gate(true);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		assert_int_equal(pwhash_make(&wk, STR("pass"), on_done, &a[i]), 0);
	assert_int_equal(pwhash_pending(&wk), ARRAY_LEN(a));
	await_begun(2); /* both really run at the same time */
	gate(false);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		await(&a[i]);
	ev_unref(wk.loop);
	assert_int_equal(n_most, 2);
	assert_int_equal(n_hashes, ARRAY_LEN(a));
	assert_int_equal(pwhash_pending(&wk), 0);
}

static void test_full(void **state)
{
	struct answer a[3] = {0};

	(void)state;
	wk.settings->auth_hash_queue = 2;
	ev_ref(wk.loop);
	gate(true);
	assert_int_equal(pwhash_make(&wk, STR("pass"), on_done, &a[0]), 0);
	assert_int_equal(pwhash_verify(&wk, STR("pass"), str_of(NULL), on_done, &a[1]), 0);
	assert_int_equal(pwhash_make(&wk, STR("pass"), on_done, &a[2]), -ERR_FULL);
	assert_int_equal(pwhash_verify(&wk, STR("pass"), str_of(NULL), on_done, &a[2]), -ERR_FULL);
	gate(false);
	await(&a[0]);
	await(&a[1]);
	assert_int_equal(pwhash_make(&wk, STR("pass"), on_done, &a[2]), 0);
	await(&a[2]);
	ev_unref(wk.loop);
}

static pid_t fork_holder(void)
{
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct permits p = {.fd = shm_fd(wk.shm), .limit = 2};
		bool taken[PERMITS_MAX];

		c = permits_take(&p, 2, taken) ? 'y' : 'n';
		(void)!write(ready[1], &c, 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	assert_int_equal(c, 'y');
	return pid;
}

static void on_timer(EV_P_ ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	assert_int_equal(kill(*(pid_t *)w->data, SIGKILL), 0);
}

/* Another worker hashes as much as the node may, then dies of it. */
static void test_a_killed_worker_leaves_its_permits(void **state)
{
	struct answer a = {0};
	pid_t other = fork_holder();
	ev_timer timer;

	(void)state;
	ev_timer_init(&timer, on_timer, 0.05, 0.);
	timer.data = &other;
	ev_timer_start(wk.loop, &timer);
	ev_ref(wk.loop);
	assert_int_equal(pwhash_make(&wk, STR("pass"), on_done, &a), 0);
	while (ev_is_active(&timer)) {
		assert_int_equal(n_hashes, 0);
		assert_false(a.is_there);
		ev_run(wk.loop, EVRUN_ONCE);
	}
	assert_int_equal(waitpid(other, NULL, 0), other);
	await(&a);
	ev_unref(wk.loop);
	assert_int_equal(a.err, 0);
}

/* Closing has begun when it comes to this. */
int __real_pthread_join(pthread_t thread, void **ret);
int __wrap_pthread_join(pthread_t thread, void **ret);
int __wrap_pthread_join(pthread_t thread, void **ret)
{
	gate(false);
	return __real_pthread_join(thread, ret);
}

/* Running ones are waited for, and everybody hears of it once. */
static void test_close(void **state)
{
	struct answer a[5] = {0};

	(void)state;
	gate(true);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		assert_int_equal(pwhash_make(&wk, STR("pass"), on_done, &a[i]), 0);
	await_begun(2);
	pwhash_close(&wk);
	for (size_t i = 0; i < ARRAY_LEN(a); i++) {
		assert_true(a[i].is_there);
		assert_int_equal(a[i].err, -ERR_CLOSED);
	}
	assert_int_equal(n_hashes, 2);
	assert_int_equal(n_now, 0);
	assert_null(wk.pwhash);
}

static long status_kib(const char *field)
{
	char line[256];
	long v = -1;
	FILE *f = fopen("/proc/self/status", "r");

	assert_non_null(f);
	while (v < 0 && fgets(line, sizeof(line), f))
		if (strncmp(line, field, strlen(field)) == 0)
			v = strtol(line + strlen(field) + 1, NULL, 10);
	fclose(f);
	return v;
}

/* What watches every access keeps notes beside the memory. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_WATCHED true
#elif defined(__has_feature)
#define IS_WATCHED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define IS_WATCHED false
#endif

/* The peak is what the settings say, and none of it stays. */
static void test_memory_is_bounded(void **state)
{
	const long unit_kib = 20 * 1024, slack_kib = 10 * 1024;
	struct answer a[12] = {0};
	long before;
	FILE *f;

	(void)state;
	if (IS_WATCHED)
		skip();
	wk.settings->auth_hash_memory = unit_kib * 1024;
	pwhash_reload(&wk);
	(void)make(STR("warm up"));
	f = fopen("/proc/self/clear_refs", "w"); /* 5: the peak begins anew */
	if (!f || fputs("5", f) < 0 || fclose(f) != 0)
		skip();
	before = status_kib("VmRSS:");
	ev_ref(wk.loop);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		assert_int_equal(pwhash_make(&wk, STR("pass"), on_done, &a[i]), 0);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		await(&a[i]);
	ev_unref(wk.loop);
	assert_in_range(status_kib("VmHWM:"), before + unit_kib, before + 2 * unit_kib + slack_kib);
	assert_in_range(status_kib("VmRSS:"), 1, before + slack_kib);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_make_and_verify),
		CASE(test_s3_17_every_byte_counts),
		CASE(test_s3_07_unknown_user_takes_the_same_work),
		CASE(test_s3_17_bcrypt_is_replaced),
		CASE(test_other_parameters_are_replaced),
		CASE(test_broken_hash),
		CASE(test_larger_hashes),
		CASE(test_never_more_than_allowed),
		CASE(test_full),
		CASE(test_a_killed_worker_leaves_its_permits),
		CASE(test_close),
		CASE(test_memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
