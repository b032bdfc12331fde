/* SPDX-License-Identifier: MIT */
/*
 * Names of users and rooms: which are taken, and the one form in which they are kept (NFC).
 * Message texts are never touched: their rule is utf8_message.
 */
#ifndef PROTO_NAMES_H
#define PROTO_NAMES_H

#include "base/base.h"
#include "base/buf.h"
#include "proto/errors.h"

struct json_value;

/*
 * Appends the form in which the name S is stored, compared and shown: without white space and
 * zero-width characters at its ends, in Normalization Form C (UAX 15), 1 to MAX_CHARS code points
 * counted after that. What utf8_name refuses is refused, and besides: private-use and unassigned
 * code points (but for the planes' places reserved for pictographs, of which each year brings
 * some), a name that begins with a combining mark, and characters that show nothing, except where
 * readers see what they do: joiners as RFC 5892 (appendix A) has them and in sequences of pictures,
 * selectors of variants behind what has some. Taking the result again changes nothing.
 * Returns 0; -ERR_NOENT when nothing is left; -ERR_TOOBIG; -ERR_INVAL for anything else; B is
 * untouched then.
 */
int names_normal(struct str s, size_t max_chars, struct buf *b) MUST_CHECK;

/*
 * The member KEY (static) of the object V by this rule; *RET lives as long as V's document.
 * Returns 0; -ERR_NOENT when it is absent or null and not REQUIRED; -ERR_INVAL with *RET_FAULT
 * otherwise, E_BAD_NAME when it is a text.
 */
int names_get(const struct json_value *v, const char *key, size_t max_chars, bool required,
	      struct str *ret, struct fault *ret_fault) MUST_CHECK;

/*
 * Appends what S, valid UTF-8, is compared by: compatibility forms and cases are one (UAX 15, NFKC,
 * and case folding), characters that show nothing are left out, several blanks are one. As
 * name_fold of the schema, but for letters that few know.
 */
void names_skeleton(struct buf *b, struct str s);

/* Whether A and B have one skeleton. */
bool names_same(struct str a, struct str b);

/*
 * Whether the valid text S can stand beside others without disturbing them: no control characters,
 * no line or paragraph separators, no bidirectional controls. MAY_BREAK: tabs and line breaks may
 * be in it.
 */
bool names_is_line(struct str s, bool may_break);

/* Appends S, valid UTF-8, in Normalization Form C. */
void names_compose(struct buf *b, struct str s);

/*
 * What CP is to who looks for words and does not mind their dress: its compatibility decomposition
 * (UAX 15) in lower case. Returns how many code points, at most NAMES_FOLD_MAX; 0 for those that
 * show nothing (joiners, selectors, other format characters).
 */
#define NAMES_FOLD_MAX 32
size_t names_fold(uint32_t cp, uint32_t ret[NAMES_FOLD_MAX]);

/* Letters, digits and the marks upon them. */
bool names_is_word(uint32_t cp);

#endif
