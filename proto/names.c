/* SPDX-License-Identifier: MIT */
/*
 * Names through libunistring: the categories of their characters and their normal form.
 * Trimming and the rules that need no tables are utf8.c's.
 */
#include "proto/names.h"

#include <uninorm.h>
#include <unictype.h>

#include "proto/json.h"
#include "proto/utf8.h"

/* Code points below are their own composition, whatever follows (UAX 15, NFC_Quick_Check). */
#define FIRST_COMBINING 0x300

/* No string shrinks to less than a quarter of its code points by composing (UAX 15, table 7). */
#define SHRINK_MAX 4

static void add_form(struct buf *b, struct str s, uninorm_t form)
{
	size_t cap = 3 * s.len + 16, len = cap;
	uint8_t *room, *out;

	if (!s.len)
		return;
	room = buf_reserve(b, cap);
	out = u8_normalize(form, (const uint8_t *)s.p, s.len, room, &len);
	if (!out) /* valid UTF-8 fails for want of memory alone */
		abort();
	if (out == room) {
		buf_commit(b, len);
	} else {
		buf_add(b, out, len);
		free(out);
	}
}

void names_compose(struct buf *b, struct str s)
{
	add_form(b, s, UNINORM_NFC);
}

void names_decompose(struct buf *b, struct str s)
{
	add_form(b, s, UNINORM_NFD);
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

/* Returns 0 or -ERR_INVAL; *RET_PLAIN: S is its own composition. */
static int look_at(struct str s, bool *ret_plain)
{
	bool is_plain = true;
	size_t pos = 0;
	uint32_t cp;

	for (bool is_first = true; utf8_next(s, &pos, &cp); is_first = false) {
		if (cp < FIRST_COMBINING)
			continue;
		if (is_refused(cp) || (is_first && is_mark(cp)))
			return -ERR_INVAL;
		is_plain = false;
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
