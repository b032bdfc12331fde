/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 (RFC 3629): validation, whole or in pieces, lengths, and the rules for names and texts.
 * Normalisation and case folding are left to whoever compares names.
 */
#ifndef PROTO_UTF8_H
#define PROTO_UTF8_H

#include "base/base.h"

/* True for well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool utf8_valid(const void *bytes, size_t len);

/*
 * Validation in pieces: *STATE starts at UTF8_START and is carried from piece to piece. Returns
 * false as soon as no continuation could make the text valid. The text may end here when *STATE is
 * UTF8_START again.
 */
#define UTF8_START 0
bool utf8_feed(uint8_t *state, const void *bytes, size_t len);

/* Code points in S, which must be valid. */
size_t utf8_length(struct str s);

/* The code point at *POS of the valid text S, and *POS behind it. False at the end. */
bool utf8_next(struct str s, size_t *pos, uint32_t *ret_cp);

/* True for a code point of the Unicode property White_Space. */
bool utf8_is_space(uint32_t cp);

/* S without white space (Unicode White_Space) and zero-width characters at both ends. */
struct str utf8_trim(struct str s);

/* True when nothing would be visible: only white space and zero-width characters, or nothing. */
bool utf8_is_blank(struct str s);

/*
 * The rule for names of users and rooms: trimmed, 1 to MAX_CHARS code points, no control
 * characters, no line or paragraph separators, no bidirectional controls, no unassigned
 * noncharacters, not only invisible ones. *RET_NAME borrows from S. Returns 0; -ERR_NOENT when
 * nothing is left; -ERR_TOOBIG when too long; -ERR_INVAL for a forbidden character or invalid
 * UTF-8.
 */
int utf8_name(struct str s, size_t max_chars, struct str *ret_name) MUST_CHECK;

/*
 * The rule for message texts: 1 to MAX_CHARS code points, not blank, no control characters but tab,
 * line feed and carriage return. The text is kept byte for byte. Returns as utf8_name.
 */
int utf8_message(struct str s, size_t max_chars) MUST_CHECK;

#endif
