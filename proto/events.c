/* SPDX-License-Identifier: MIT */
/*
 * Look-ups in the tables of events and operations, and their description.
 * Knows no payloads: those are event.c's and the dialects'.
 */
#include "proto/events.h"

#include "proto/json.h"

static const struct event_info events[] = {
#define X(name, id, native, raw, class, perm, rate)                                                \
	{EVT_##name, #name, native, raw, EVENT_##class, PERM_##perm, RATE_##rate},
#include "proto/events.def"
#undef X
};

static const struct op_info ops[] = {
#define X(name, native, raw, perm, rate)                                                           \
	{OP_##name, #name, native, raw, PERM_##perm, RATE_##rate},
#include "proto/ops.def"
#undef X
};

const struct event_info *event_info(int type)
{
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if ((int)events[i].type == type)
			return &events[i];
	return NULL;
}

const struct event_info *event_info_by_name(struct str native)
{
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (str_eq(str_of(events[i].native), native))
			return &events[i];
	return NULL;
}

const struct op_info *op_info(enum cmd_op op)
{
	return op > OP_NONE && op < OP_COUNT ? &ops[op - 1] : NULL;
}

const struct op_info *op_by_native(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		if (ops[i].native && str_eq(str_of(ops[i].native), name))
			return &ops[i];
	return NULL;
}

const struct op_info *op_by_raw(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		if (ops[i].raw && str_eq(str_of(ops[i].raw), name))
			return &ops[i];
	return NULL;
}

static const char *const perm_names[] = {
	[PERM_NONE] = "none", [PERM_READ] = "read",	[PERM_JOIN] = "join",
	[PERM_SEND] = "send", [PERM_MANAGE] = "manage",
};

static const char *const rate_names[] = {
	[RATE_NONE] = "none",	  [RATE_READ] = "read",	    [RATE_SEND] = "send",
	[RATE_TYPING] = "typing", [RATE_MANAGE] = "manage",
};

static void row_begin(struct buf *b, const char *table, const char *name)
{
	json_add_sep(b);
	buf_add_char(b, '{');
	json_add_key_cstr(b, "table", table);
	json_add_key_cstr(b, "name", name);
}

static void row_end(struct buf *b, enum perm perm, enum rate_class rate)
{
	json_add_key_cstr(b, "permission", perm_names[perm]);
	json_add_key_cstr(b, "rate", rate_names[rate]);
	buf_add_char(b, '}');
}

void events_describe(struct buf *b)
{
	buf_add_char(b, '[');
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		const struct event_info *e = &events[i];

		row_begin(b, "event", e->name);
		json_add_key_i64(b, "id", e->type);
		json_add_key_cstr(b, "native", e->native);
		json_add_key_cstr(b, "s1", e->raw);
		json_add_key_bool(b, "durable", e->class == EVENT_DURABLE);
		row_end(b, e->perm, e->rate);
	}
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		row_begin(b, "op", ops[i].name);
		json_add_key_cstr(b, "native", ops[i].native);
		json_add_key_cstr(b, "s1", ops[i].raw);
		row_end(b, ops[i].perm, ops[i].rate);
	}
	buf_add_char(b, ']');
}
