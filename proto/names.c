/* SPDX-License-Identifier: MIT */
/*
 * Names through libunistring: the categories of their characters, their normal form and, for who
 * looks for words in texts, their looks.
 * Trimming and the rules that need no tables are utf8.c's.
 */
#include "proto/names.h"

#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>

#include "proto/json.h"
#include "proto/utf8.h"

/* Code points below are their own composition, whatever follows (UAX 15, NFC_Quick_Check). */
#define FIRST_COMBINING 0x300

/* No string shrinks to less than a quarter of its code points by composing (UAX 15, table 7). */
#define SHRINK_MAX 4

void names_compose(struct buf *b, struct str s)
{
	size_t cap = 3 * s.len + 16, len = cap;
	uint8_t *room, *out;

	if (!s.len)
		return;
	room = buf_reserve(b, cap);
	out = u8_normalize(UNINORM_NFC, (const uint8_t *)s.p, s.len, room, &len);
	if (!out) /* valid UTF-8 fails for want of memory alone */
		abort();
	if (out == room) {
		buf_commit(b, len);
	} else {
		buf_add(b, out, len);
		free(out);
	}
}

/* Reserved for pictographs (emoji-data.txt): a new one is no reason to refuse a name. */
static bool is_pictograph_to_come(uint32_t cp)
{
	return (cp >= 0x1f000 && cp <= 0x1faff) || (cp >= 0x1fc00 && cp <= 0x1fffd);
}

static bool is_refused(uint32_t cp)
{
	const uint32_t never = UC_CATEGORY_MASK_Cc | UC_CATEGORY_MASK_Cs | UC_CATEGORY_MASK_Co;

	return uc_is_general_category_withtable(cp, never) ||
	       (uc_is_general_category_withtable(cp, UC_CATEGORY_MASK_Cn) &&
		!is_pictograph_to_come(cp));
}

static bool is_mark(uint32_t cp)
{
	return uc_is_general_category_withtable(cp, UC_CATEGORY_MASK_M);
}

/* ---- Characters that show nothing by themselves ---- */

#define ZWNJ 0x200c
#define ZWJ 0x200d
#define KEYCAP 0x20e3
#define BLACK_FLAG 0x1f3f4
#define BRAILLE_BLANK 0x2800 /* drawn as nothing, and no white space to Unicode */
#define VIRAMA 9 /* its combining class */

static bool is_invisible(uint32_t cp)
{
	return cp == BRAILLE_BLANK ||
	       (cp >= 0x80 && uc_is_property_default_ignorable_code_point(cp));
}

static bool is_braille(uint32_t cp)
{
	return cp > BRAILLE_BLANK && cp <= 0x28ff;
}

/* Drawn as a picture, unlike digits, which become one only below a keycap. */
static bool is_picture(uint32_t cp)
{
	return cp >= 0x80 && (uc_is_property_emoji(cp) || is_pictograph_to_come(cp));
}

static bool is_tag(uint32_t cp)
{
	return cp >= 0xe0020 && cp <= 0xe007f;
}

/* The next code point at POS that joins, or stops joining; UC_JOINING_TYPE_U at the end. */
static int joining_after(struct str s, size_t pos)
{
	uint32_t cp;

	while (utf8_next(s, &pos, &cp))
		if (uc_joining_type(cp) != UC_JOINING_TYPE_T)
			return uc_joining_type(cp);
	return UC_JOINING_TYPE_U;
}

/* What stands before a code point: the one before, and the one before that which joins. */
struct before {
	uint32_t cp; /* 0: nothing */
	int joining;
};

/*
 * Whether an invisible CP does something here that readers see: RFC 5892 appendix A.1 and A.2 for
 * the joiners, UTS 51 for pictures, the selectors of scripts that have variants, and the blank of
 * Braille between its words.
 */
static bool has_effect(uint32_t cp, const struct before *b, struct str s, size_t pos)
{
	int left = b->joining, right = joining_after(s, pos);
	uint32_t next = 0;

	utf8_next(s, &pos, &next);
	if ((cp == ZWNJ || cp == ZWJ) && uc_combining_class(b->cp) == VIRAMA)
		return true;
	if (cp == BRAILLE_BLANK)
		return is_braille(b->cp) && is_braille(next);
	if (cp == ZWNJ)
		return (left == UC_JOINING_TYPE_L || left == UC_JOINING_TYPE_D) &&
		       (right == UC_JOINING_TYPE_R || right == UC_JOINING_TYPE_D);
	if (cp == ZWJ)
		return (is_picture(b->cp) || b->cp == 0xfe0f || is_tag(b->cp)) && is_picture(next);
	if (cp == 0xfe0e || cp == 0xfe0f)
		return is_picture(b->cp) || next == KEYCAP;
	if ((cp >= 0xfe00 && cp <= 0xfe02) || (cp >= 0xe0100 && cp <= 0xe01ef))
		return uc_is_property_ideographic(b->cp);
	if (cp >= 0x180b && cp <= 0x180f)
		return b->cp >= 0x1820 && b->cp <= 0x18aa;
	return is_tag(cp) && (b->cp == BLACK_FLAG || is_tag(b->cp));
}

/* Returns 0 or -ERR_INVAL; *RET_PLAIN: S is its own composition. */
static int look_at(struct str s, bool *ret_plain)
{
	struct before before = {0, UC_JOINING_TYPE_U};
	bool is_plain = true;
	size_t pos = 0;
	uint32_t cp;

	for (; utf8_next(s, &pos, &cp); before.cp = cp) {
		if (is_invisible(cp) && !has_effect(cp, &before, s, pos))
			return -ERR_INVAL;
		if (cp >= FIRST_COMBINING) {
			if (is_refused(cp) || (!before.cp && is_mark(cp)))
				return -ERR_INVAL;
			is_plain = false;
		}
		if (uc_joining_type(cp) != UC_JOINING_TYPE_T)
			before.joining = uc_joining_type(cp);
	}
	*ret_plain = is_plain;
	return 0;
}

int names_normal(struct str s, size_t max_chars, struct buf *b)
{
	size_t mark = b->len;
	struct str name;
	bool is_plain = true;
	int r = utf8_name(s, max_chars * SHRINK_MAX, &name);

	if (r == 0)
		r = look_at(name, &is_plain);
	if (r < 0)
		return r;
	if (is_plain)
		buf_add_str(b, name);
	else
		names_compose(b, name);
	if (utf8_length((struct str){(const char *)b->p + mark, b->len - mark}) > max_chars) {
		b->len = mark;
		return -ERR_TOOBIG;
	}
	return 0;
}

/* A verdict as a fault of KEY. */
static int refuse(int r, const char *key, size_t max_chars, struct fault *ret_fault)
{
	if (r == -ERR_NOENT)
		fault_field(ret_fault, FAULT_TOO_SHORT, key, 1);
	else if (r == -ERR_TOOBIG)
		fault_field(ret_fault, FAULT_TOO_LONG, key, (int64_t)max_chars);
	else
		fault_field(ret_fault, FAULT_VALUE, key, 0);
	ret_fault->error = E_BAD_NAME;
	return -ERR_INVAL;
}

int names_get(const struct json_value *v, const char *key, size_t max_chars, bool required,
	      struct str *ret, struct fault *ret_fault)
{
	const struct json_str_rule any = {0, UINT32_MAX, required};
	struct buf normal = BUF_INIT;
	struct str raw;
	int r = json_get_str(v, key, &any, &raw, ret_fault);

	if (r < 0)
		return r;
	r = names_normal(raw, max_chars, &normal);
	if (r == 0)
		*ret = json_set_str(json_get(v, key), buf_str(&normal));
	buf_done(&normal);
	return r < 0 ? refuse(r, key, max_chars, ret_fault) : 0;
}

/* ---- What is compared ---- */

void names_skeleton(struct buf *b, struct str s)
{
	struct buf seen = BUF_INIT;
	size_t pos = 0, start = 0, len = 0;
	uint8_t *folded;
	uint32_t cp;

	for (; utf8_next(s, &pos, &cp); start = pos)
		if (cp < 0x80 || !uc_is_property_default_ignorable_code_point(cp))
			buf_add(&seen, s.p + start, pos - start);
	folded = u8_casefold(seen.p, seen.len, NULL, UNINORM_NFKC, NULL, &len);
	if (!folded && seen.len)
		abort(); /* valid UTF-8 fails for want of memory alone */
	for (size_t i = 0; i < len; i++) /* NFKC has made one of the kinds of blanks */
		if (folded[i] != ' ' || i == 0 || folded[i - 1] != ' ')
			buf_add_char(b, (char)folded[i]);
	free(folded);
	buf_done(&seen);
}

bool names_same(struct str a, struct str b)
{
	struct buf x = BUF_INIT, y = BUF_INIT;
	bool is_same;

	if (str_eq(a, b))
		return true;
	names_skeleton(&x, a);
	names_skeleton(&y, b);
	is_same = str_eq(buf_str(&x), buf_str(&y));
	buf_done(&x);
	buf_done(&y);
	return is_same;
}

bool names_is_line(struct str s, bool may_break)
{
	size_t pos = 0;
	uint32_t cp;

	while (utf8_next(s, &pos, &cp)) {
		bool is_break = cp == '\t' || cp == '\n' || cp == '\r' || cp == 0x2028 ||
				cp == 0x2029;
		bool is_control = cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || is_break;

		if (is_control && !(is_break && may_break))
			return false;
		if (cp >= 0x61c && uc_is_property_bidi_control(cp))
			return false;
	}
	return true;
}

/* ---- Words ---- */

/* Format characters, and marks that only choose how another character looks. */
static bool is_unseen(uint32_t cp)
{
	return cp == 0x34f || (cp >= 0x180b && cp <= 0x180f) || (cp >= 0xfe00 && cp <= 0xfe0f) ||
	       (cp >= 0xe0100 && cp <= 0xe01ef) ||
	       uc_is_general_category_withtable(cp, UC_CATEGORY_MASK_Cf);
}

size_t names_fold(uint32_t cp, uint32_t ret[NAMES_FOLD_MAX])
{
	ucs4_t parts[UC_DECOMPOSITION_MAX_LENGTH];
	size_t count = 0;
	int tag, n;

	if (cp < 0x80) {
		ret[0] = cp >= 'A' && cp <= 'Z' ? cp | 0x20 : cp;
		return 1;
	}
	if (is_unseen(cp))
		return 0;
	n = uc_decomposition(cp, &tag, parts);
	if (n < 0) {
		ret[0] = uc_tolower(cp);
		return 1;
	}
	/* a part may have parts of its own; the whole is bounded by UAX 15 (18 for U+FDFA) */
	for (int i = 0; i < n; i++) {
		uint32_t deeper[NAMES_FOLD_MAX];
		size_t m = names_fold(parts[i], deeper);

		m = MIN(m, NAMES_FOLD_MAX - count);
		memcpy(ret + count, deeper, m * sizeof(*ret));
		count += m;
	}
	return count;
}

bool names_is_word(uint32_t cp)
{
	if (cp < 0x80)
		return (cp >= '0' && cp <= '9') || ((cp | 0x20) >= 'a' && (cp | 0x20) <= 'z');
	return uc_is_general_category_withtable(
		cp, UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_N | UC_CATEGORY_MASK_M);
}
