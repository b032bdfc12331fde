/* SPDX-License-Identifier: MIT */
/*
 * Pieces that answers and events of roomd.v1 share.
 * Not for other dialects: the names of the members are this one's.
 */
#ifndef PROTO_NATIVE_PRIV_H
#define PROTO_NATIVE_PRIV_H

#include "proto/cmd.h"

/* {"op":OP,"re":RE. RE may be NULL or empty. */
void native_begin(struct buf *b, const char *op, const struct cmd_id *re);

static inline void native_end(struct buf *b)
{
	buf_add_char(b, '}');
}

/* "id","uid": a message wherever it is shown. */
void native_add_ids(struct buf *b, int64_t conv, int64_t rev);

#endif
