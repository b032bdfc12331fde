/* SPDX-License-Identifier: MIT */
/*
 * Segments, children and collectors for the tests of shm/.
 * What is expected of them stands in the tests.
 */
#include "harness.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "shm/presence.h"
#include "shm/recover.h"

#define PATIENCE_MS 60000

void check_that(int cond, const char *file, int line, const char *text)
{
	if (cond)
		return;
	(void)fprintf(stderr, "%s:%d: child: %s\n", file, line, text);
	_exit(1);
}

struct shm *segment_new(unsigned n_slots)
{
	struct shm_geometry geo = {.n_slots = n_slots,
				   .rooms_max = 1000,
				   .members_max = 1000,
				   .users_max = 1000,
				   .typing_max = 1000,
				   .ring_bytes = 65536};
	struct shm *shm = NULL;

	(void)alarm(2 * PATIENCE_MS / 1000); /* nothing here may hang for ever */
	assert_int_equal(shm_create(&geo, &shm), 0);
	return shm;
}

uint32_t slot_enter(struct shm *shm, unsigned slot)
{
	uint32_t generation = 0;

	CHECK(slot_reserve(shm, slot, &generation) == 0);
	CHECK(slot_open(shm, slot, getpid(), generation) == 0);
	return generation;
}

struct shm *segment_opened(unsigned n_slots)
{
	struct shm *shm = segment_new(n_slots);

	for (unsigned i = 0; i < n_slots; i++)
		(void)slot_enter(shm, i);
	return shm;
}

void segment_done(struct shm **shm)
{
	assert_int_equal(shm_verify(*shm, 0), 0);
	shm_detach(shm);
	assert_null(*shm);
}

pid_t child_start(void (*body)(void *arg), void *arg)
{
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		(void)alarm(PATIENCE_MS / 1000);
		body(arg);
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

int child_wait(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void flag_await(_Atomic uint32_t *flag, uint32_t value)
{
	uint64_t end = clock_mono_ms() + PATIENCE_MS;

	while (atomic_load(flag) != value) {
		CHECK(clock_mono_ms() < end);
		(void)sched_yield();
	}
}

void *shared_alloc(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

bool join(struct shm *shm, unsigned slot, int64_t conv, int64_t user)
{
	char name[32];
	bool is_first = false;

	(void)snprintf(name, sizeof(name), "user %" PRId64, user);
	CHECK(member_attach(shm, slot, conv, user, str_of(name), &is_first) == 0);
	return is_first;
}

bool leave(struct shm *shm, unsigned slot, int64_t conv, int64_t user, uint64_t until)
{
	bool is_last = false;

	CHECK(member_detach(shm, slot, conv, user, until, &is_last) == 0);
	return is_last;
}

void on_person(void *arg, int64_t user, struct str name)
{
	struct people *p = arg;

	CHECK(p->n < ARRAY_LEN(p->ids) && name.len <= SHM_NAME_MAX);
	p->ids[p->n++] = user;
	memcpy(p->name, name.p, name.len);
	p->name[name.len] = '\0';
}

bool has_person(const struct people *p, int64_t user)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->ids[i] == user)
			return true;
	return false;
}
