/* SPDX-License-Identifier: MIT */
/* One generator process: its sockets, its publishers, its event loop.
 * Included by gen.c, herd.c, link.c and load.c only. */
#ifndef BENCH_GEN_H
#define BENCH_GEN_H

#include "bench/roombench.h"
#include "bench/stamp.h"

enum link_state { LINK_FREE, LINK_CONNECT, LINK_UPGRADE, LINK_HELLO, LINK_SUB, LINK_LIVE,
		  LINK_CLOSING, LINK_DEAD };

struct pub;

/* One client socket. */
struct link {
	int fd;
	uint32_t id;               /* room * members + member */
	uint32_t room;
	uint32_t guess;            /* offset of the stamp in the last delivery */
	uint8_t state;
	uint32_t left_len, left_room;
	uint32_t out_len, out_off, out_room;
	uint8_t *left;             /* start of a frame that has not arrived whole; owned */
	uint8_t *out;              /* bytes the socket did not take; owned */
	struct pub *pub;           /* borrowed; NULL for members that only listen */
	uint64_t begin_ns;         /* start of the handshake */
	uint32_t count;            /* order: messages received */
	bool is_cut;               /* herd: was cut off and comes back */
	uint64_t rev;              /* herd: newest revision of its room that it has */
	uint64_t retry_ns;         /* herd: not before */
	char *cursor;              /* herd: of the last welcome; owned */
};

/* One sending member. */
struct pub {
	uint32_t id;               /* room * publishers + member */
	bool is_dirty;             /* waits in gen.dirty for the end of the turn */
	uint32_t sent;
	struct link *link;
	uint64_t *sent_ns;         /* ring of conf.inflight send times, for acknowledgements */
};

struct gen {
	const struct conf *conf;
	struct shared *shared;
	struct counters *own;
	unsigned index;
	int epoll;
	uint64_t now;              /* read after each wait and each read */
	int stage;                 /* shared->stage as seen at the start of the turn */
	struct link *link;
	unsigned link_count, next_link, pending, live;
	struct pub *pub;
	unsigned pub_count;
	struct pub **dirty;
	unsigned dirty_count;
	uint32_t *pub_of;          /* global publisher to local index + 1; 0 if elsewhere */
	uint32_t *got;             /* [publisher][n % K]: own members that have the message */
	uint32_t *local_members;   /* [room] */
	_Atomic uint32_t *done;    /* shared: [publisher][n % K]: processes that are through */
	_Atomic uint32_t *completed; /* shared: [publisher] messages that everyone has */
	uint64_t *order;           /* shared: [link id][count] publisher << 32 | n */
	uint64_t nonce;            /* of this run, part of message keys */
	bool has_cut;              /* herd */
	unsigned waiting;          /* herd: sockets that wait for their next attempt */
	unsigned at;               /* herd: the next socket to cut, then to open */
	uint64_t measure_ns;       /* when the measured time began */
	uint64_t due_ns;           /* rate: when the next publisher sends */
	unsigned due_pub;
	uint8_t *in;               /* one read buffer for all sockets */
	uint8_t *scratch;          /* frames being built */
	size_t scratch_room;
	char *filler;              /* conf.payload bytes */
};

/* Bytes of one read. */
#define GEN_READ_LEN (256 << 10)

/* Runs one process from the fork to its end. */
void gen_run(struct gen *g) __attribute__((noreturn));

/* Remembers the first trouble of this process for the report. */
void gen_trouble(struct gen *g, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prepares what the mode needs; before the first socket. */
void load_init(struct gen *g);

/* One text frame arrived on a socket that is in its room. */
void load_text(struct gen *g, struct link *l, const char *text, size_t len);

/* The run was started: publishers begin. */
void load_start(struct gen *g);

/* End of a turn: sends what has become possible. */
void load_turn(struct gen *g);

/* Nanoseconds until load_turn has something to do; UINT64_MAX if only input matters. */
uint64_t load_wait(const struct gen *g);

/* Another process completed messages of our publishers. */
void load_wake(struct gen *g);

#endif
