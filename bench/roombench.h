/* SPDX-License-Identifier: MIT */
/* What the parts of the load generator share: settings of one run, the memory between its
 * processes, and the stages of a run. One process coordinates, the others make load. */
#ifndef BENCH_ROOMBENCH_H
#define BENCH_ROOMBENCH_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "bench/hist.h"

#define PROCS_MAX 64
#define CONNS_MAX 2000000u
#define ROOM_ID_MAX 64
#define TOKEN_MAX 1024
#define SEC_NS 1000000000ull

enum mode { MODE_IDLE, MODE_MEM, MODE_FANOUT, MODE_ROOMS, MODE_RATE, MODE_SEND, MODE_CONNECT,
	    MODE_ORDER, MODE_HERD };

enum dialect { DIALECT_RAW, DIALECT_NATIVE, DIALECT_SOCKETIO, DIALECT_FLOOR };

struct room {
	char id[ROOM_ID_MAX];      /* as the server wrote it in JSON, quotes removed */
	bool is_text;              /* it had quotes */
	bool is_ours;              /* made by this run */
};

/* Settings of one run; fixed before the fork. */
struct conf {
	enum mode mode;
	enum dialect dialect;
	struct sockaddr_in server;     /* always within 127.0.0.0/8 */
	unsigned procs;
	unsigned sources;              /* loopback addresses to connect from */
	unsigned rooms;
	unsigned members;              /* sockets in each room */
	unsigned publishers;           /* members of each room that send */
	unsigned inflight;             /* K: messages per publisher not yet received by all */
	unsigned messages;             /* order: messages in each room */
	unsigned window;               /* handshakes under way at once, per process */
	double rate;                   /* rate: messages per second of each publisher */
	uint64_t warmup_ns, duration_ns, settle_ns, timeout_ns;
	uint64_t cut_ns;               /* herd: after the measured time began */
	unsigned payload;              /* bytes of text in a message, at least STAMP_LEN */
	pid_t server_pid, db_pid;      /* 0 if not to be measured */
	const char *prefix;            /* of names of rooms and users */
	const char *label;             /* repeated in the output */
	bool is_json, is_verbose, keep_rooms, has_spin;
	struct room *room;             /* conf.rooms entries */
	char token[TOKEN_MAX];         /* socketio: of the account that all sockets are of */
};

/* A process may only move its own stage forward; the coordinator moves the run's. */
enum stage { STAGE_CONNECT, STAGE_READY, STAGE_RUN, STAGE_MEASURE, STAGE_DRAIN, STAGE_QUIT };

/* Written by one generator process, read by the coordinator. */
struct counters {
	_Alignas(64) _Atomic uint64_t live;        /* sockets that are in their room */
	_Atomic uint64_t failed;                   /* sockets that never got there */
	_Atomic uint64_t lost;                     /* sockets that were closed on us */
	_Atomic uint64_t sends, deliveries, acks;
	_Atomic uint64_t errors;                   /* error frames */
	_Atomic uint64_t strays;                   /* stamps of another room */
	_Atomic uint64_t others;                   /* frames that carried no message */
	_Atomic uint64_t reads, bytes;
	_Atomic uint64_t handshakes;
	_Atomic uint64_t cut, resumed;             /* herd: sockets */
	_Atomic uint64_t retries, gaps;            /* herd: refusals; revisions not in sequence */
	_Atomic uint64_t connect_ns;               /* when the last socket got there */
	_Atomic int is_ready, is_idle;
	char trouble[200];                         /* the first thing that went wrong */
	struct hist delivery;                      /* send to each receiver */
	struct hist ack;                           /* send to acknowledgement */
	struct hist handshake;                     /* connect to confirmation */
	struct hist resume;                        /* herd: cut to back in the room */
	struct hist lateness;                      /* rate: planned to actual send */
};

struct shared {
	_Atomic int stage;
	uint64_t start_ns;                         /* when connecting began */
	int wake_fd[PROCS_MAX];                    /* eventfd of each process */
	struct counters proc[PROCS_MAX];
};

/* Counters have one writer, so no locked instruction is needed. */
static inline void bump(_Atomic uint64_t *counter, uint64_t by)
{
	atomic_store_explicit(counter,
			      atomic_load_explicit(counter, memory_order_relaxed) + by,
			      memory_order_relaxed);
}

/* Members of a room spread over processes only if there are fewer rooms than processes. */
static inline unsigned owner_of(const struct conf *cf, unsigned room, unsigned member)
{
	return (cf->rooms >= cf->procs ? room : room + member) % cf->procs;
}

/* Messages that order mode records of each socket: all, and some that came twice. */
static inline size_t cells_of(const struct conf *cf)
{
	return (size_t)cf->messages + 64;
}

static inline unsigned total_of(const struct conf *cf)
{
	return cf->rooms * cf->members;
}

#endif
