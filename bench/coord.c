/* SPDX-License-Identifier: MIT */
/* The coordinator: stages of a run, snapshots of counters and of the servers' cost.
 * Makes no load itself. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/coord.h"
#include "bench/gen.h"
#include "bench/rooms.h"
#include "bench/stamp.h"

#define STALL_NS (10 * SEC_NS)

struct run {
	struct conf *conf;
	struct shared *shared;
	_Atomic uint32_t *done, *completed;
	uint64_t *order;
	uint64_t nonce;
	pid_t pid[PROCS_MAX];
	bool has_dead;              /* a generator process ended early */
};

static volatile sig_atomic_t is_interrupted;

static void on_signal(int number)
{
	(void)number;
	is_interrupted = 1;
}

static void nap(void)
{
	struct timespec ts = {.tv_nsec = 2000000};

	nanosleep(&ts, NULL);
}

static void *share(size_t n, size_t size)
{
	void *p = mmap(NULL, (n ? n : 1) * size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		fprintf(stderr, "roombench: mmap: %s\n", strerror(errno));
		exit(3);
	}
	return p;
}

static struct totals sum(const struct run *r)
{
	struct totals t = {0};

	for (unsigned i = 0; i < r->conf->procs; i++) {
		const struct counters *c = &r->shared->proc[i];

		t.live += c->live;
		t.failed += c->failed;
		t.lost += c->lost;
		t.sends += c->sends;
		t.deliveries += c->deliveries;
		t.acks += c->acks;
		t.errors += c->errors;
		t.strays += c->strays;
		t.others += c->others;
		t.reads += c->reads;
		t.bytes += c->bytes;
		t.handshakes += c->handshakes;
		t.cut += c->cut;
		t.resumed += c->resumed;
		t.retries += c->retries;
		t.gaps += c->gaps;
	}
	return t;
}

static void look(const struct run *r, struct moment *m)
{
	m->ns = stamp_now();
	m->totals = sum(r);
	if (r->conf->server_pid && proctree_read(r->conf->server_pid, 0, &m->server) < 0)
		m->server.count = 0;
	if (r->conf->db_pid && proctree_read(r->conf->db_pid, 0, &m->db) < 0)
		m->db.count = 0;
	proctree_read(getpid(), 0, &m->self);
	m->host_us = proctree_host_us();
}

static void look_memory(const struct conf *cf, struct proctree *server, struct proctree *db,
			uint64_t *slab_kb)
{
	if (cf->server_pid)
		proctree_read(cf->server_pid, 1, server);
	if (cf->db_pid)
		proctree_read(cf->db_pid, 1, db);
	*slab_kb = proctree_slab_kb();
}

static void set_stage(struct run *r, enum stage stage)
{
	atomic_store_explicit(&r->shared->stage, stage, memory_order_release);
	for (unsigned i = 0; i < r->conf->procs; i++)
		eventfd_write(r->shared->wake_fd[i], 1);
}

static void run_init(struct run *r)
{
	const struct conf *cf = r->conf;
	size_t pubs = (size_t)cf->rooms * cf->publishers;

	r->shared = share(1, sizeof(*r->shared));
	r->done = share(pubs * cf->inflight, sizeof(*r->done));
	r->completed = share(pubs, sizeof(*r->completed));
	if (cf->mode == MODE_ORDER)
		r->order = share(total_of(cf) * cells_of(cf), sizeof(*r->order));
	if (getrandom(&r->nonce, sizeof(r->nonce), 0) != sizeof(r->nonce))
		r->nonce = stamp_now();
	for (unsigned i = 0; i < cf->procs; i++)
		r->shared->wake_fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

static int start_all(struct run *r)
{
	pid_t parent = getpid();

	r->shared->start_ns = stamp_now();
	for (unsigned i = 0; i < r->conf->procs; i++) {
		r->pid[i] = fork();
		if (r->pid[i] < 0)
			return -1;
		if (r->pid[i] == 0) {
			struct gen g = {.conf = r->conf, .shared = r->shared, .index = i,
					.own = &r->shared->proc[i], .done = r->done,
					.completed = r->completed, .order = r->order,
					.nonce = r->nonce};

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			signal(SIGINT, SIG_IGN);
			if (getppid() != parent)
				_exit(1);
			gen_run(&g);
		}
	}
	return 0;
}

static void stop_all(struct run *r)
{
	set_stage(r, STAGE_QUIT);
	for (unsigned i = 0; i < r->conf->procs; i++)
		if (r->pid[i] > 0)
			waitpid(r->pid[i], NULL, 0);
}

/* True while it makes sense to go on waiting. */
static bool is_going(struct run *r)
{
	siginfo_t info = {0};

	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid)
		r->has_dead = true;
	return !is_interrupted && !r->has_dead;
}

/* Every process has tried all its sockets, or timeout_ns passed without a new one. */
static void wait_connected(struct run *r)
{
	uint64_t last = 0, since = stamp_now(), shown = since;
	unsigned ready = 0;

	while (is_going(r) && ready < r->conf->procs) {
		struct totals t = sum(r);
		uint64_t now = stamp_now();

		if (t.live + t.failed != last) {
			last = t.live + t.failed;
			since = now;
		}
		if (r->conf->is_verbose && now - shown > SEC_NS) {
			fprintf(stderr, "  %llu connected, %llu failed\n",
				(unsigned long long)t.live, (unsigned long long)t.failed);
			shown = now;
		}
		if (now - since > r->conf->timeout_ns)
			break;
		ready = 0;
		for (unsigned i = 0; i < r->conf->procs; i++)
			ready += (unsigned)r->shared->proc[i].is_ready;
		nap();
	}
}

static void hold(struct run *r, uint64_t ns)
{
	uint64_t end = stamp_now() + ns;

	while (is_going(r) && stamp_now() < end)
		nap();
}

/* As hold, and notices when the load stands still. */
static bool hold_watched(struct run *r, uint64_t ns)
{
	uint64_t end = stamp_now() + ns, since = stamp_now(), last = 0;

	while (is_going(r) && stamp_now() < end) {
		struct totals t = sum(r);

		if (t.deliveries + t.acks + t.handshakes != last) {
			last = t.deliveries + t.acks + t.handshakes;
			since = stamp_now();
		}
		if (stamp_now() - since > STALL_NS)
			return false;
		nap();
	}
	return true;
}

/* Waits until every message sent has reached every member, at most limit. */
static void drain(struct run *r, uint64_t expected, uint64_t limit_ns)
{
	uint64_t last = 0, since = stamp_now();

	while (is_going(r) && stamp_now() - since < limit_ns) {
		struct totals t = sum(r);
		uint64_t want = expected ? expected : t.sends * r->conf->members;

		if (t.deliveries >= want)
			break;
		if (t.deliveries != last) {
			last = t.deliveries;
			since = stamp_now();
		}
		nap();
	}
}

static void measure_load(struct run *r, struct outcome *out)
{
	set_stage(r, STAGE_RUN);
	hold(r, r->conf->warmup_ns);
	look(r, &out->begin);
	set_stage(r, STAGE_MEASURE);
	out->is_stalled = !hold_watched(r, r->conf->duration_ns);
	look(r, &out->end);
	set_stage(r, STAGE_DRAIN);
	if (r->conf->mode == MODE_CONNECT)
		hold(r, SEC_NS / 2); /* lets the handshakes under way come to their end */
	else
		drain(r, 0, 3 * SEC_NS);
	look(r, &out->last);
}

static void measure_idle(struct run *r, struct outcome *out)
{
	look(r, &out->begin);
	hold(r, r->conf->duration_ns);
	look(r, &out->end);
	out->last = out->end;
	look_memory(r->conf, &out->server_after, &out->db_after, &out->slab_after_kb);
}

/* What one socket received: each message once? In the order of the room's first socket? */
static void compare_one(const struct run *r, const uint64_t *list, const uint64_t *first,
			uint8_t *seen, struct order_result *res)
{
	const struct conf *cf = r->conf;
	unsigned each = cf->messages / cf->publishers, all = each * cf->publishers, n = 0;
	bool is_same = true;

	memset(seen, 0, all);
	while (n < cells_of(cf) && list[n] != UINT64_MAX) {
		uint32_t pub = (uint32_t)(list[n] >> 32) % cf->publishers;
		uint32_t number = (uint32_t)list[n];

		if (number < each && seen[pub * each + number]++)
			res->twice++;
		is_same = is_same && list[n] == first[n];
		n++;
	}
	for (unsigned i = 0; i < all; i++)
		res->missing += !seen[i];
	res->out_of_order += !is_same;
}

static void measure_order(struct run *r, struct outcome *out)
{
	const struct conf *cf = r->conf;
	struct order_result *res = &out->order;
	unsigned all = cf->messages / cf->publishers * cf->publishers;
	size_t cells = total_of(cf) * cells_of(cf);
	uint8_t *seen = calloc(1, cf->messages + 1);
	uint64_t before;

	memset(r->order, 0xff, cells * sizeof(*r->order));
	look(r, &out->begin);
	set_stage(r, STAGE_MEASURE);
	res->expected = (uint64_t)all * total_of(cf);
	drain(r, res->expected, r->conf->timeout_ns);
	look(r, &out->end);
	hold(r, SEC_NS / 2); /* for messages that come twice */
	look(r, &out->last);
	for (unsigned room = 0; room < cf->rooms && seen; room++) {
		const uint64_t *first = r->order + room * cf->members * cells_of(cf);

		before = res->missing + res->twice + res->out_of_order;
		for (unsigned m = 0; m < cf->members; m++)
			compare_one(r, first + m * cells_of(cf), first, seen, res);
		res->rooms_equal += res->missing + res->twice + res->out_of_order == before;
	}
	if (out->last.totals.deliveries > res->expected && !res->twice)
		res->twice = out->last.totals.deliveries - res->expected;
	free(seen);
}

static void collect(const struct run *r, struct outcome *out)
{
	uint64_t last = r->shared->start_ns;

	for (unsigned i = 0; i < r->conf->procs; i++) {
		const struct counters *c = &r->shared->proc[i];

		hist_merge(&out->delivery, &c->delivery);
		hist_merge(&out->ack, &c->ack);
		hist_merge(&out->handshake, &c->handshake);
		hist_merge(&out->lateness, &c->lateness);
		hist_merge(&out->resume, &c->resume);
		if (c->connect_ns > last)
			last = c->connect_ns;
		if (!out->trouble[0])
			memcpy(out->trouble, c->trouble, sizeof(out->trouble));
	}
	out->connect_seconds = (double)(last - r->shared->start_ns) / 1e9;
}

static void measure(struct run *r, struct outcome *out)
{
	const struct conf *cf = r->conf;

	wait_connected(r);
	set_stage(r, STAGE_READY);
	hold(r, cf->settle_ns);
	look_memory(cf, &out->server_after, &out->db_after, &out->slab_after_kb);
	if (cf->mode == MODE_IDLE || cf->mode == MODE_MEM)
		measure_idle(r, out);
	else if (cf->mode == MODE_ORDER)
		measure_order(r, out);
	else
		measure_load(r, out);
	collect(r, out);
}

int coord_run(struct conf *cf, struct outcome *ret_outcome)
{
	static struct outcome out;
	struct run r = {.conf = cf};
	struct sigaction sa = {.sa_handler = on_signal};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	if (rooms_make(cf) < 0) {
		rooms_remove(cf);
		return -1;
	}
	run_init(&r);
	look_memory(cf, &out.server_before, &out.db_before, &out.slab_before_kb);
	if (start_all(&r) < 0) {
		fprintf(stderr, "roombench: fork: %s\n", strerror(errno));
		stop_all(&r);
		rooms_remove(cf);
		return -1;
	}
	measure(&r, &out);
	if (cf->mode == MODE_MEM && cf->server_pid)
		proctree_print(cf->server_pid, stderr);
	stop_all(&r);
	rooms_remove(cf);
	if (r.has_dead)
		fprintf(stderr, "roombench: a generator process ended early\n");
	*ret_outcome = out;
	return r.has_dead || is_interrupted ? -1 : 0;
}
