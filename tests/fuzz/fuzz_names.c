/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: bytes as a name. What is taken is short, visible, free of what names may not have,
 * and taking it again changes nothing.
 */
#include "fuzz.h"
#include "proto/names.h"
#include "proto/utf8.h"

#define MAX_CHARS 100

static void check(struct str name)
{
	struct str same;
	size_t pos = 0;
	uint32_t cp;

	uint32_t folded[NAMES_FOLD_MAX];

	MUST(utf8_valid(name.p, name.len));
	MUST(utf8_name(name, MAX_CHARS, &same) == 0 && same.len == name.len);
	while (utf8_next(name, &pos, &cp)) {
		MUST(cp >= 0x20 && (cp < 0x7f || cp > 0x9f));
		MUST((cp < 0x202a || cp > 0x202e) && (cp < 0x2066 || cp > 0x2069));
		MUST(cp < 0xe000 || cp > 0xf8ff);
		MUST(names_fold(cp, folded) <= NAMES_FOLD_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct buf once = BUF_INIT, twice = BUF_INIT;

	if (names_normal(text, MAX_CHARS, &once) == 0) {
		check(buf_str(&once));
		MUST(names_normal(buf_str(&once), MAX_CHARS, &twice) == 0);
		MUST(str_eq(buf_str(&once), buf_str(&twice)));
	} else {
		MUST(once.len == 0);
	}
	buf_done(&once);
	buf_done(&twice);
	return 0;
}
