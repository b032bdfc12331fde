/* SPDX-License-Identifier: MIT */
/*
 * A cursor: whose session it was and how far it had read in each conversation, as opaque text.
 * Carries no right and no secret: who presents one is checked as if it had none.
 */
#ifndef PROTO_CURSOR_H
#define PROTO_CURSOR_H

#include "base/base.h"
#include "base/buf.h"
#include "base/ids.h"

struct cursor_pos {
	int64_t conv; /* 1 to INT32_MAX */
	int64_t rev;  /* last one seen, 0 to UINT32_MAX */
};

struct cursor {
	struct uuid session;	/* zero: none */
	int64_t user;		/* 0: nobody */
	struct cursor_pos *pos; /* ascending by conv, none twice; owned when decoded */
	size_t n;
};

/* The longest text of a cursor with N positions, in characters. */
size_t cursor_text_max(size_t n);

/*
 * Appends the text: letters, digits, '-' and '_' (base64url, RFC 4648 section 5, no padding). Takes
 * positions in any order; of two of one conversation the further counts. Numbers are in their
 * ranges (asserted). c->pos is borrowed and left as it is.
 */
void cursor_encode(struct buf *b, const struct cursor *c);

/*
 * Takes a text apart. Only what cursor_encode wrote is accepted: every value has one text. Returns
 * 0; -ERR_INVAL for anything that is no cursor; -ERR_TOOBIG for more than POS_MAX positions;
 * -ERR_UNSUPPORTED for a cursor of a newer version. Release *RET with cursor_done.
 */
int cursor_decode(struct str text, size_t pos_max, struct cursor *ret) MUST_CHECK;
void cursor_done(struct cursor *c);

/* The position of CONV, or NULL. C must be ascending, as decoded ones are. */
const struct cursor_pos *cursor_find(const struct cursor *c, int64_t conv);

#endif
