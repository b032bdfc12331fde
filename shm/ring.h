/* SPDX-License-Identifier: MIT */
/*
 * The ring of recent events: several writers under one lock, every process a reader without lock.
 * Payloads are opaque. Events that a reader lost to the writers are in the database, or were
 * ephemeral.
 *
 * Offsets grow for ever and never are 0. Nobody waits for a reader.
 */
#ifndef SHM_RING_H
#define SHM_RING_H

#include "shm/shm.h"

enum ring_flag {
	RING_F_RECOVERED = 1, /* announced by a survivor: may repeat what was published */
	RING_F_REMOTE = 2,    /* came from another node */
};

/* One record as a reader sees it. PAYLOAD points into the ring: use, then ring_check. */
struct ring_rec {
	uint64_t offset;      /* of the record */
	uint64_t prev;	      /* of the same room's record before it; 0 = none or unknown */
	int64_t conv;
	int64_t rev;	      /* 0 = ephemeral */
	uint64_t targets;     /* bit per slot */
	uint64_t stamp_ns;    /* clock_mono_ns when it was published */
	uint32_t generation;  /* of the slot that wrote it */
	uint16_t origin;      /* that slot */
	uint16_t flags;	      /* enum ring_flag */
	uint32_t len;	      /* bytes of payload */
	const uint8_t *payload;
};

/* Largest payload of one record: an eighth of the ring less its header. */
size_t ring_payload_max(const struct shm *shm);

/*
 * Writing: begin, add any number, end. All records of a batch appear together and in the order of
 * adding (a batch of more than a quarter of the ring appears in parts). Begin forgets what an
 * earlier, unended batch held.
 */
void ring_publish_begin(struct shm *shm, unsigned me);

/*
 * Adds a record. PAYLOAD is borrowed until ring_publish_end. REV 0 is ephemeral. Its targets are
 * the slots with live members in the room now; call it after the commit, so that whoever attaches
 * later reads the event from history. *RET_TARGETS (may be NULL) tells them: with no known room
 * nothing is written, and 0 is success. Returns 0, -ERR_TOOBIG, -ERR_TIMEOUT.
 */
int ring_publish_add(struct shm *shm, unsigned me, int64_t conv, int64_t rev, unsigned flags,
		     const void *payload, size_t len, uint64_t *ret_targets) MUST_CHECK;

/*
 * The same to an explicit set of slots, whoever is in the room (CONV may be 0: an event for all,
 * or control messages).
 */
int ring_publish_to(struct shm *shm, unsigned me, uint64_t targets, int64_t conv, int64_t rev,
		    unsigned flags, const void *payload, size_t len) MUST_CHECK;

/*
 * Publishes the batch. *RET_WAKE is the set of slots that were asleep and must be woken by their
 * eventfd now, exactly by this caller (ME itself may be among them). Returns 0 (also for an empty
 * batch) or -ERR_TIMEOUT (nothing of the batch's present part was published).
 */
int ring_publish_end(struct shm *shm, unsigned me, uint64_t *ret_wake) MUST_CHECK;

/* Reading. One reader per process; plain memory of its owner. */
struct ring_reader {
	struct shm *shm;  /* borrowed */
	unsigned me;
	uint64_t cursor;  /* next offset to read */
	uint64_t limit;	  /* up to here records were published when last looked */
	uint64_t current; /* offset of the record last peeked */
	uint32_t step;	  /* its length */
};

/* From the present tail on. Before the first member_attach: then nothing is missed. */
void ring_reader_init(struct shm *shm, unsigned me, struct ring_reader *ret);

/*
 * The next record with ME among its targets, in place. Returns 0, -ERR_AGAIN (nothing more now),
 * or -ERR_LAPPED: events were overwritten unread, and the reader stands at the tail again; every
 * followed room may miss events.
 */
int ring_peek(struct ring_reader *r, struct ring_rec *ret) MUST_CHECK;

/*
 * After use of a peeked record: 0 if what was read is what was written; -ERR_LAPPED if a writer
 * may have changed it meanwhile: discard what came of it. The reader stands at the tail then.
 */
int ring_check(struct ring_reader *r) MUST_CHECK;

/*
 * On to the next record. The cursor others see is stored by ring_sleep_prepare and every so many
 * records.
 */
void ring_advance(struct ring_reader *r);

/*
 * Before the event loop sleeps. True: sleep, a publisher for ME will wake this process by its
 * eventfd. False: there is something to read (asleep is not set). No wake-up can be lost between
 * the two.
 */
bool ring_sleep_prepare(struct ring_reader *r) MUST_CHECK;

/* Awake again, for whatever reason. */
void ring_sleep_cancel(struct ring_reader *r);

/*
 * Walking back, for a client that resumes. The newest record of CONV that is still there; 0,
 * -ERR_NOENT, -ERR_TIMEOUT.
 */
int ring_room_newest(struct shm *shm, unsigned me, int64_t conv, uint64_t *ret_offset) MUST_CHECK;

/*
 * The record of CONV at OFFSET, in place; go on with ret->prev. Check with ring_room_check after
 * use. Returns 0, or -ERR_NOENT: 0, overwritten, or not a record of CONV.
 */
int ring_room_prev(struct shm *shm, int64_t conv, uint64_t offset, struct ring_rec *ret) MUST_CHECK;

/* 0 if the record was whole all the time until now, -ERR_LAPPED if not. */
int ring_room_check(struct shm *shm, const struct ring_rec *rec) MUST_CHECK;

/* Where the next record will go, and the oldest offset that is certainly readable. */
void ring_bounds(const struct shm *shm, uint64_t *ret_oldest, uint64_t *ret_tail);

#endif
