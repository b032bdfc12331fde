/* SPDX-License-Identifier: MIT */
/*
 * What the tests of shm/ share: small segments with opened slots, and forked processes with
 * verdicts. Children do not use cmocka's assertions: their verdict is their exit status.
 */
#ifndef TESTS_UNIT_SHM_HARNESS_H
#define TESTS_UNIT_SHM_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "shm/presence.h"
#include "shm/segment.h"
#include "shm/slots.h"
#include "shm/view_priv.h"

/* In a child: ends it with status 1 and says where, unless COND holds. */
#define CHECK(cond) check_that((cond), __FILE__, __LINE__, #cond)
void check_that(int cond, const char *file, int line, const char *text);

/* A segment with 64 KiB of ring and N_SLOTS slots, none opened. Tables of 1,000 records. */
struct shm *segment_new(unsigned n_slots);

/* The same with all slots opened by this process. */
struct shm *segment_opened(unsigned n_slots);

/* Reserves and opens SLOT for this process. Returns its generation. */
uint32_t slot_enter(struct shm *shm, unsigned slot);

/* Ends a test: checks that all derived data agree with the records, and detaches. */
void segment_done(struct shm **shm);

/* Forks a process that runs BODY and exits 0; a hanging one is killed after a minute. */
pid_t child_start(void (*body)(void *arg), void *arg);

/* Waits for it. Returns its exit status, or 128 + the signal that killed it. */
int child_wait(pid_t pid);

/* Spins until *FLAG (shared memory) is VALUE; fails after a minute. */
void flag_await(_Atomic uint32_t *flag, uint32_t value);

/* Zeroed memory shared with later children; never freed. */
void *shared_alloc(size_t bytes);

/*
 * A user id, a name and a room joined by one live connection of SLOT; asserts success. Returns
 * is_first.
 */
bool join(struct shm *shm, unsigned slot, int64_t conv, int64_t user);

/* Leaves at once; asserts success. Returns is_last. */
bool leave(struct shm *shm, unsigned slot, int64_t conv, int64_t user, uint64_t until);

/* What roster_read and typing_read call: collects. */
struct people {
	unsigned n;
	int64_t ids[2048];
	char name[SHM_NAME_MAX + 1]; /* of the last one */
};
void on_person(void *people, int64_t user, struct str name);
bool has_person(const struct people *p, int64_t user);

#endif
