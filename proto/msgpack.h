/* SPDX-License-Identifier: MIT */
/*
 * JSON values as MessagePack and back: what roomd.v1.msgpack sends and reads.
 * Which objects there are is dialect_native.h's; the ring's own form is event.h's.
 */
#ifndef PROTO_MSGPACK_H
#define PROTO_MSGPACK_H

#include "base/base.h"
#include "base/buf.h"
#include "proto/errors.h"

struct json_doc;

/* Nesting that msgpack_from_json follows, and the most that msgpack_to_json_doc is asked for. */
#define MSGPACK_DEPTH_MAX 64

/*
 * Appends the JSON text as one MessagePack value: objects as maps with their members in order,
 * integers in their shortest form, other numbers as float 64, null as nil. Meant for texts that
 * this program or its database made: syntax is followed, keys are not compared. Returns false and
 * appends nothing for what is no JSON or nested deeper than MSGPACK_DEPTH_MAX.
 */
bool msgpack_from_json(struct buf *b, struct str json);

/*
 * Reads one MessagePack value that fills LEN bytes exactly, to be used like a parsed text. Refused
 * with -ERR_INVAL and E_BAD_MSGPACK in *RET_FAULT (may be NULL): everything that json_parse refuses
 * (doubled keys, U+0000, invalid UTF-8, integers beyond int64_t, nesting over DEPTH_MAX), and also
 * keys that are no strings, binary data, extension types, NaN and infinities, bytes behind the
 * value. No memory is taken by a declared count or length. *RET is freed with json_doc_free.
 */
int msgpack_to_json_doc(const void *p, size_t len, uint32_t depth_max, struct json_doc **ret,
			struct fault *ret_fault) MUST_CHECK;

/*
 * Appends the value that fills LEN bytes once more: every type of the specification, integers,
 * lengths and counts in their shortest form. Refused with -ERR_INVAL, and nothing appended: what is
 * no single value, strings that are not UTF-8, nesting over DEPTH_MAX. No memory is taken by a
 * declared count or length.
 */
int msgpack_again(struct buf *b, const void *p, size_t len, uint32_t depth_max) MUST_CHECK;

#endif
