/* SPDX-License-Identifier: MIT */
/*
 * Process slots: reservation by the master, registration and life signs of their processes.
 * No locks: each field has one writer at a time. Recovery of what a dead process left is in
 * recover.c.
 */
#include "shm/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm/view_priv.h"

static const char *const state_names[] = {
	[SLOT_FREE] = "free",	      [SLOT_STARTING] = "starting", [SLOT_READY] = "ready",
	[SLOT_DRAINING] = "draining", [SLOT_DEAD] = "dead",
};

const char *slot_state_name(enum slot_state state)
{
	return state < ARRAY_LEN(state_names) ? state_names[state] : "unknown";
}

/*
 * When the process started, in clock ticks after boot (proc(5), stat, field 22); 0 if it cannot be
 * told. The name in field 2 may hold anything, so counting starts behind its last parenthesis.
 */
static uint64_t process_start(pid_t pid)
{
	char path[40], text[1024];
	const char *p;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	p = strrchr(text, ')');
	for (unsigned field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p, NULL, 10) : 0;
}

/* A zombie does not run: its pidfd is readable. */
static bool process_runs(pid_t pid, uint64_t start)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	uint64_t start_now;

	if (fd < 0) {
		if (errno == ESRCH)
			return false;
		return kill(pid, 0) == 0 ||
		       errno == EPERM; /* no descriptor left: the weaker question */
	}
	struct pollfd p = {.fd = fd, .events = POLLIN};
	bool has_ended = poll(&p, 1, 0) == 1;

	(void)close(fd);
	if (has_ended)
		return false;
	start_now = process_start(pid);
	return !start || !start_now || start == start_now;
}

/* Whether the process of this GENERATION (its low bits) runs. */
bool slot_runs(struct shm *shm, unsigned slot, uint32_t generation)
{
	struct shm_slot *s = &shm->slots[slot];
	enum slot_state state = atomic_load(&s->state);
	pid_t pid = atomic_load(&s->pid);

	if ((atomic_load(&s->generation) & LOCK_GEN_MASK) != generation)
		return false;
	if (state == SLOT_FREE || state == SLOT_DEAD)
		return false;
	return pid == 0 || process_runs(pid, atomic_load(&s->start_time));
}

bool slot_alive(struct shm *shm, unsigned slot)
{
	return slot < shm->geo.n_slots &&
	       slot_runs(shm, slot, atomic_load(&shm->slots[slot].generation) & LOCK_GEN_MASK);
}

int slot_reserve(struct shm *shm, unsigned slot, uint32_t *ret_generation)
{
	struct shm_slot *s = &shm->slots[slot];
	uint32_t state, generation;

	if (slot >= shm->geo.n_slots)
		return -ERR_INVAL;
	state = atomic_load(&s->state);
	if (state != SLOT_FREE && state != SLOT_DEAD)
		return -ERR_EXISTS;
	generation = atomic_load(&s->generation) + 1;
	if (!(generation & LOCK_GEN_MASK))
		generation++;
	atomic_store(&s->generation, generation);
	atomic_store(&s->pid, 0);
	atomic_store(&s->start_time, 0);
	atomic_store(&s->heartbeat_ms, 0);
	atomic_store(&s->state, SLOT_STARTING);
	*ret_generation = generation;
	return 0;
}

int slot_open(struct shm *shm, unsigned slot, pid_t pid, uint32_t generation)
{
	struct shm_slot *s = &shm->slots[slot];
	uint32_t dirty;

	if (slot >= shm->geo.n_slots || pid <= 0 || atomic_load(&s->generation) != generation ||
	    atomic_load(&s->state) == SLOT_DEAD || atomic_load(&s->state) == SLOT_FREE)
		return -ERR_INVAL;
	atomic_store(&s->start_time, process_start(pid));
	atomic_store(&s->pid, pid);
	dirty = atomic_load(&s->dirty_gen);
	if (dirty && dirty != generation)
		return -ERR_DIRTY;
	atomic_store(&s->dirty_gen, generation);
	return 0;
}

void slot_close(struct shm *shm, unsigned slot, uint32_t generation)
{
	struct shm_slot *s = &shm->slots[slot];

	if (slot >= shm->geo.n_slots || atomic_load(&s->generation) != generation)
		return;
	atomic_store(&s->state, SLOT_DEAD);
}

void slot_set_state(struct shm *shm, unsigned me, enum slot_state state)
{
	assert(state == SLOT_STARTING || state == SLOT_READY || state == SLOT_DRAINING);
	atomic_store(&shm->slots[me].state, state);
}

void slot_beat(struct shm *shm, unsigned me, uint64_t now)
{
	atomic_store_explicit(&shm->slots[me].heartbeat_ms, now, memory_order_relaxed);
}

int slot_read(struct shm *shm, unsigned slot, struct slot_info *ret)
{
	struct shm_slot *s = &shm->slots[slot];
	uint64_t tail, cursor;

	if (slot >= shm->geo.n_slots)
		return -ERR_INVAL;
	cursor = atomic_load(&s->ring_cursor);
	tail = ring_tail(shm);
	*ret = (struct slot_info){
		.slot = slot,
		.state = atomic_load(&s->state),
		.pid = atomic_load(&s->pid),
		.generation = atomic_load(&s->generation),
		.heartbeat_ms = atomic_load(&s->heartbeat_ms),
		.ring_cursor = cursor,
		.ring_behind = cursor && cursor < tail ? tail - cursor : 0,
		.inflight = s->inflight[atomic_load(&s->inflight_now) & 1].n,
		.is_asleep = atomic_load(&s->asleep),
		.is_clean = !atomic_load(&s->dirty_gen),
	};
	return 0;
}

/*
 * The list that is not in force is filled, then put in force by one store: a crash leaves one of
 * the two.
 */
void slot_inflight_set(struct shm *shm, unsigned me, const int64_t *convs, size_t n)
{
	struct shm_slot *s = &shm->slots[me];
	uint32_t next = !(atomic_load_explicit(&s->inflight_now, memory_order_relaxed) & 1);
	struct shm_inflight *list = &s->inflight[next];

	list->is_all = n > SLOT_INFLIGHT_MAX;
	list->n = list->is_all ? 0 : (uint32_t)n;
	if (list->n)
		memcpy(list->convs, convs, n * sizeof(*convs));
	FAULT_POINT("slot.inflight");
	atomic_store_explicit(&s->inflight_now, next, memory_order_release);
}

void slot_backend_add(struct shm *shm, unsigned me, int32_t pid)
{
	struct shm_slot *s = &shm->slots[me];
	uint32_t at = atomic_load(&s->backends_next);

	if (!pid)
		return;
	for (unsigned i = 0; i < SLOT_BACKENDS_MAX; i++)
		if (atomic_load(&s->backends[i]) == pid)
			return;
	for (unsigned i = 0;
	     i < SLOT_BACKENDS_MAX && atomic_load(&s->backends[at % SLOT_BACKENDS_MAX]); i++)
		at++;
	atomic_store(&s->backends[at % SLOT_BACKENDS_MAX], pid);
	atomic_store(&s->backends_next, at + 1);
}

void slot_backend_remove(struct shm *shm, unsigned me, int32_t pid)
{
	struct shm_slot *s = &shm->slots[me];

	for (unsigned i = 0; i < SLOT_BACKENDS_MAX; i++)
		if (atomic_load(&s->backends[i]) == pid)
			atomic_store(&s->backends[i], 0);
}

unsigned slot_backends(const struct shm *shm, unsigned slot, int32_t ret[SLOT_BACKENDS_MAX])
{
	const struct shm_slot *s = &shm->slots[slot];
	unsigned n = 0;

	for (unsigned i = 0; i < SLOT_BACKENDS_MAX; i++) {
		int32_t pid = atomic_load(&s->backends[i]);

		if (pid)
			ret[n++] = pid;
	}
	return n;
}

void slot_inflight_clear(struct shm *shm, unsigned me)
{
	slot_inflight_set(shm, me, NULL, 0);
}

/*
 * What only the process of a run used, for the next one to find empty. Counters stay, gauges do
 * not.
 */
void slot_reset_run(struct shm *shm, unsigned slot)
{
	struct shm_slot *s = &shm->slots[slot];

	atomic_store(&s->asleep, 0);
	atomic_store(&s->ring_cursor, 0);
	atomic_store(&s->last_target, 0);
	slot_inflight_clear(shm, slot);
	for (unsigned m = 0; m < METRICS; m++)
		if (metric_info(m)->type != METRIC_COUNTER)
			atomic_store(&s->metrics.v[m], 0);
}
