/* SPDX-License-Identifier: MIT */
/*
 * What the files of settings share: where a value lives, and its text.
 */
#ifndef BASE_SETTINGS_PRIV_H
#define BASE_SETTINGS_PRIV_H

#include "base/settings.h"

/* Rows of settings.def. */
extern const size_t setting_count;

/* The value of row I in S: bool, int64_t, char * or struct rate, by its type. */
void *setting_slot(const struct settings *s, size_t i);

/* The row named "section.name", or -1. */
int setting_find(struct str section, struct str name);

/* Whether row I's value is a char * of its own. */
bool setting_is_text(size_t i);

/*
 * Puts TEXT over row I of S. On failure S keeps its value and *RET_WHY is the reason, ready to
 * follow the name of the setting. Returns 0 or -ERR_INVAL.
 */
int setting_parse(struct settings *s, size_t i, struct str text, struct buf *ret_why) MUST_CHECK;

/* Row I's value as it is written in a file. */
void setting_format(const struct settings *s, size_t i, struct buf *ret);

/* A number of row I's type in the largest unit that divides it: 64k, 10s. */
void setting_format_number(size_t i, int64_t v, struct buf *ret);

/* The same value in A and B. */
bool setting_is_equal(const struct settings *a, const struct settings *b, size_t i);

/* Copies row I from FROM to TO. */
void setting_assign(struct settings *to, const struct settings *from, size_t i);

/* The choice number AT of CHOICES, "a|b|c"; false past the last. */
bool setting_choice_at(const char *choices, int64_t at, struct str *ret);

/* Short, repetitive and well-known keys are faults: a line for each. */
void setting_check_keys(const struct settings *s, struct buf *ret_faults);

/* Adds ", did you mean section.name?" when a known name is near. */
void setting_suggest(struct str section, struct str name, struct buf *ret);

#endif
