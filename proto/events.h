/* SPDX-License-Identifier: MIT */
/*
 * The tables of event types (events.def) and client operations (ops.def).
 * Dispatch, permission checks and rate limits read these rows; handlers belong to worker.
 */
#ifndef PROTO_EVENTS_H
#define PROTO_EVENTS_H

#include "base/base.h"
#include "base/buf.h"

/* What a user must be allowed to do in the conversation. */
enum perm {
	PERM_NONE,
	PERM_READ,
	PERM_JOIN,
	PERM_SEND,
	PERM_MANAGE,
};

/* Which token bucket pays. */
enum rate_class {
	RATE_NONE,
	RATE_READ,
	RATE_SEND,
	RATE_TYPING,
	RATE_MANAGE,
};

enum event_class {
	EVENT_DURABLE,	 /* a row of the log with a rev */
	EVENT_EPHEMERAL, /* may be lost, has no rev */
};

enum event_type {
	EVT_NONE,
#define X(name, id, native, raw, class, perm, rate) EVT_##name = (id),
#include "proto/events.def"
#undef X
};

struct event_info {
	enum event_type type;
	const char *name;   /* as in the source: "MESSAGE_NEW" */
	const char *native; /* roomd.v1's "t"; also the kind in the log */
	const char *raw;    /* S1's "type", NULL when S1 does not show it */
	enum event_class class;
	enum perm perm;
	enum rate_class rate;
};

/* The row of TYPE, or NULL for a value that is not in the table. */
const struct event_info *event_info(int type);

/* The row with that native name, or NULL. Names are compared exactly. */
const struct event_info *event_info_by_name(struct str native);

enum cmd_op {
	OP_NONE,
#define X(name, native, raw, perm, rate) OP_##name,
#include "proto/ops.def"
#undef X
	OP_COUNT
};

struct op_info {
	enum cmd_op op;
	const char *name;   /* as in the source: "SEND" */
	const char *native; /* roomd.v1's "op", or NULL */
	const char *raw;    /* S1's "type", or NULL */
	enum perm perm;
	enum rate_class rate;
};

/* The row of OP, or NULL for OP_NONE and unknown values. */
const struct op_info *op_info(enum cmd_op op);

/* The row with that name in the dialect, or NULL. Names are compared exactly. */
const struct op_info *op_by_native(struct str name);
const struct op_info *op_by_raw(struct str name);

/* Both tables as one JSON array of objects; "table" is "event" or "op". */
void events_describe(struct buf *b);

#endif
