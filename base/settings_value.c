/* SPDX-License-Identifier: MIT */
/*
 * One setting: where its value lives, from text, to text.
 * Files, environment and whole sets are settings.c's and settings_read.c's.
 */
#include "base/settings_priv.h"

#include <errno.h>

const struct setting_info setting_table[] = {
#define X(section, name, type, def, min, max, unit, apply, flag, help)                             \
	{#section, #name, SETTING_##type, def, min, max, unit, SETTING_##apply, \
	 SETTING_##flag, help},
#include "base/settings.def"
#undef X
	{0},
};

static const size_t offsets[] = {
#define X(section, name, type, def, min, max, unit, apply, flag, help)                             \
	offsetof(struct settings, section##_##name),
#include "base/settings.def"
#undef X
};

const size_t setting_count = ARRAY_LEN(offsets);

struct suffix {
	const char *text;
	int64_t factor;
};

/* Largest first: printing takes the first that divides the value. */
static const struct suffix size_suffixes[] = {
	{"G", 1 << 30}, {"M", 1 << 20}, {"k", 1 << 10}, {"K", 1 << 10}, {"", 1}, {NULL, 0}};
static const struct suffix duration_suffixes[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000},
	{"ms", 1},	 {"", 1000},	 {NULL, 0}};
static const struct suffix no_suffixes[] = {{"", 1}, {NULL, 0}};

static const struct suffix *suffixes_of(enum setting_type type)
{
	if (type == SETTING_SIZE)
		return size_suffixes;
	return type == SETTING_DURATION ? duration_suffixes : no_suffixes;
}

void *setting_slot(const struct settings *s, size_t i)
{
	assert(i < setting_count);
	return (char *)s + offsets[i];
}

int setting_find(struct str section, struct str name)
{
	for (size_t i = 0; i < setting_count; i++)
		if (str_eq(section, str_of(setting_table[i].section)) &&
		    str_eq(name, str_of(setting_table[i].name)))
			return (int)i;
	return -1;
}

bool setting_is_text(size_t i)
{
	return setting_table[i].type == SETTING_STRING || setting_table[i].type == SETTING_LIST;
}

static int parse_bool(struct str text, bool *ret, struct buf *ret_why)
{
	static const char *const words[] = {"off", "on", "no", "yes", "false", "true", "0", "1"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!str_ieq(text, str_of(words[i])))
			continue;
		*ret = i % 2;
		return 0;
	}
	buf_add_cstr(ret_why, "must be on or off");
	return -ERR_INVAL;
}

bool setting_choice_at(const char *choices, int64_t at, struct str *ret)
{
	const char *end = strchrnul(choices, '|');

	for (; at > 0 && *end; at--) {
		choices = end + 1;
		end = strchrnul(choices, '|');
	}
	*ret = (struct str){choices, (size_t)(end - choices)};
	return at == 0;
}

static int parse_enum(const char *choices, struct str text, int64_t *ret, struct buf *ret_why)
{
	struct str choice;

	for (int64_t at = 0; setting_choice_at(choices, at, &choice); at++) {
		if (!str_eq(text, choice))
			continue;
		*ret = at;
		return 0;
	}
	buf_printf(ret_why, "must be one of %s", choices);
	return -ERR_INVAL;
}

static void say_range(size_t i, struct buf *ret_why)
{
	const struct setting_info *info = &setting_table[i];

	buf_add_cstr(ret_why, "must be between ");
	setting_format_number(i, info->min, ret_why);
	buf_add_cstr(ret_why, " and ");
	setting_format_number(i, info->max, ret_why);
	if (setting_is_text(i))
		buf_add_cstr(ret_why, " bytes long");
	else if (info->type == SETTING_INT)
		buf_printf(ret_why, " %s", info->unit);
}

static const char *number_form(enum setting_type type)
{
	switch (type) {
	case SETTING_SIZE:
		return "must be a size such as 512, 64k, 16M or 1G";
	case SETTING_DURATION:
		return "must be a time such as 500ms, 10s, 5m, 1h or 7d";
	default:
		return "must be a whole number";
	}
}

static int parse_number(size_t i, struct str text, int64_t *ret, struct buf *ret_why)
{
	const struct setting_info *info = &setting_table[i];
	const struct suffix *suffix = suffixes_of(info->type);
	size_t digits = 0;
	int64_t v;

	while (digits < text.len && text.p[digits] >= '0' && text.p[digits] <= '9')
		digits++;
	while (suffix->text && !str_eq(str_of(suffix->text),
				       (struct str){text.p + digits, text.len - digits}))
		suffix++;
	if (digits == 0 || !suffix->text) {
		buf_add_cstr(ret_why, number_form(info->type));
		return -ERR_INVAL;
	}
	if (str_to_i64((struct str){text.p, digits}, &v) < 0 ||
	    __builtin_mul_overflow(v, suffix->factor, &v) || v < info->min || v > info->max) {
		say_range(i, ret_why);
		return -ERR_INVAL;
	}
	*ret = v;
	return 0;
}

static int parse_text(struct settings *s, size_t i, struct str text, struct buf *ret_why)
{
	char **slot = setting_slot(s, i);

	if ((int64_t)text.len < setting_table[i].min || (int64_t)text.len > setting_table[i].max) {
		say_range(i, ret_why);
		return -ERR_INVAL;
	}
	for (size_t at = 0; at < text.len; at++) {
		if ((unsigned char)text.p[at] >= ' ' && text.p[at] != 0x7f)
			continue;
		buf_add_cstr(ret_why, "must not contain control characters");
		return -ERR_INVAL;
	}
	if (*slot && setting_table[i].flag == SETTING_SECRET)
		explicit_bzero(*slot, strlen(*slot));
	free(*slot);
	*slot = xstrndup(text.p, text.len);
	return 0;
}

static int parse_rate(struct str text, struct rate *ret, struct buf *ret_why)
{
	if (rate_parse(text, ret) == 0)
		return 0;
	buf_add_cstr(ret_why, "must be a rate such as 100/15m, 20/s burst 40 or off");
	return -ERR_INVAL;
}

int setting_parse(struct settings *s, size_t i, struct str text, struct buf *ret_why)
{
	void *slot = setting_slot(s, i);

	switch (setting_table[i].type) {
	case SETTING_BOOL:
		return parse_bool(text, slot, ret_why);
	case SETTING_ENUM:
		return parse_enum(setting_table[i].unit, text, slot, ret_why);
	case SETTING_INT:
	case SETTING_SIZE:
	case SETTING_DURATION:
		return parse_number(i, text, slot, ret_why);
	case SETTING_STRING:
	case SETTING_LIST:
		return parse_text(s, i, text, ret_why);
	case SETTING_RATE:
		return parse_rate(text, slot, ret_why);
	}
	return -ERR_INVAL;
}

void setting_format_number(size_t i, int64_t v, struct buf *ret)
{
	const struct suffix *suffix = suffixes_of(setting_table[i].type);

	if (v == 0 && setting_table[i].type == SETTING_DURATION) {
		buf_add_cstr(ret, "0s");
		return;
	}
	while (v == 0 ? suffix->factor != 1 : v % suffix->factor != 0)
		suffix++;
	buf_printf(ret, "%" PRId64 "%s", v / suffix->factor, suffix->text);
}

void setting_format(const struct settings *s, size_t i, struct buf *ret)
{
	const void *slot = setting_slot(s, i);
	struct str choice;

	switch (setting_table[i].type) {
	case SETTING_BOOL:
		buf_add_cstr(ret, *(const bool *)slot ? "on" : "off");
		break;
	case SETTING_ENUM:
		if (setting_choice_at(setting_table[i].unit, *(const int64_t *)slot, &choice))
			buf_add_str(ret, choice);
		break;
	case SETTING_INT:
	case SETTING_SIZE:
	case SETTING_DURATION:
		setting_format_number(i, *(const int64_t *)slot, ret);
		break;
	case SETTING_STRING:
	case SETTING_LIST:
		buf_add_cstr(ret, *(char *const *)slot);
		break;
	case SETTING_RATE:
		rate_format(slot, ret);
		break;
	}
}

static size_t value_size(size_t i)
{
	switch (setting_table[i].type) {
	case SETTING_BOOL:
		return sizeof(bool);
	case SETTING_RATE:
		return sizeof(struct rate);
	default:
		return sizeof(int64_t);
	}
}

bool setting_is_equal(const struct settings *a, const struct settings *b, size_t i)
{
	const void *x = setting_slot(a, i), *y = setting_slot(b, i);

	if (setting_is_text(i))
		return strcmp(*(char *const *)x, *(char *const *)y) == 0;
	return memcmp(x, y, value_size(i)) == 0;
}

void setting_assign(struct settings *to, const struct settings *from, size_t i)
{
	char **slot = setting_slot(to, i);
	const char *text;

	to->lines[i] = from->lines[i];
	if (!setting_is_text(i)) {
		memcpy(slot, setting_slot(from, i), value_size(i));
		return;
	}
	text = *(char *const *)setting_slot(from, i);
	free(*slot);
	*slot = xstrndup(text, strlen(text));
}

/* Levenshtein's distance, capped at names of 63 bytes. */
static size_t edit_distance(struct str a, struct str b)
{
	size_t row[64], diagonal, above;

	if (a.len >= ARRAY_LEN(row) || b.len >= ARRAY_LEN(row))
		return SIZE_MAX;
	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			above = row[j];
			row[j] = MIN(MIN(above, row[j - 1]) + 1,
				     diagonal + (a.p[i - 1] != b.p[j - 1]));
			diagonal = above;
		}
	}
	return row[b.len];
}

void setting_suggest(struct str section, struct str name, struct buf *ret)
{
	size_t best = SIZE_MAX, best_at = 0, distance;

	for (size_t i = 0; i < setting_count; i++) {
		/* the right name in the wrong section beats a typing error */
		distance = edit_distance(name, str_of(setting_table[i].name)) * 2;
		distance += str_eq(section, str_of(setting_table[i].section)) ? 0 : 1;
		if (distance < best) {
			best = distance;
			best_at = i;
		}
	}
	/* up to a third of the letters wrong */
	if (best <= MAX(name.len * 2 / 3, 3))
		buf_printf(ret, ", did you mean %s.%s?", setting_table[best_at].section,
			   setting_table[best_at].name);
}
