/* SPDX-License-Identifier: MIT */
/*
 * The content filters of one place (a conversation, or all of them), compiled and applied.
 * Where they come from and what a finding leads to is filter.h's.
 */
#ifndef WORKER_FILTER_SET_H
#define WORKER_FILTER_SET_H

#include "base/base.h"
#include "base/buf.h"

/*
 * X(NAME, "kind"). Letters are compared without case.
 * WORD: whole words, in any compatible spelling of Unicode and with invisible characters between
 *	letters; a blank stands for any white space, '*' at an end takes words that go on there
 * REGEX: a Perl-compatible regular expression
 * LINK: a host name and all below it, as a link or alone; "*": every link
 */
#define FILTER_KINDS(X) X(WORD, "word") X(REGEX, "regex") X(LINK, "link")

/* X(NAME, "action"), in the order in which they are looked for. */
#define FILTER_ACTIONS(X) X(BLOCK, "block") X(MASK, "mask") X(FLAG, "flag")

enum filter_kind {
#define X(name, text) FILTER_##name,
	FILTER_KINDS(X)
#undef X
	FILTER_KIND_COUNT
};

enum filter_action {
#define X(name, text) FILTER_##name,
	FILTER_ACTIONS(X)
#undef X
	FILTER_ACTION_COUNT
};

/* By name. Return 0 or -ERR_INVAL. */
int filter_kind_parse(struct str name, enum filter_kind *ret) MUST_CHECK;
int filter_action_parse(struct str name, enum filter_action *ret) MUST_CHECK;

/* By value; strings are borrowed by who reads it. */
struct filter_rule {
	int64_t id;
	enum filter_kind kind;
	enum filter_action action;
	struct str pattern, reason;
};

/* What one text may cost. */
struct filter_limits {
	uint32_t match_max; /* steps of one pattern's search */
	uint32_t depth_max; /* its backtracking, in KiB of memory */
	uint64_t until_ns;  /* clock_cpu_ns when the whole text must be decided */
	bool use_jit;
};

/* Whether the pattern can be compiled. Returns 0, or -ERR_INVAL with a sentence in RET_WHY. */
int filter_pattern_check(enum filter_kind kind, struct str pattern, char *ret_why,
			 size_t why_size) MUST_CHECK;

/* What was found in one text; starts as {0}. The rules are borrowed until their set changes. */
struct filter_finding {
	const struct filter_rule *block; /* or NULL */
	const struct filter_rule *flag;	 /* the first one, or NULL */
	const struct filter_rule *undecided; /* one that its limits stopped, or NULL */
	uint8_t *mask; /* owned; NULL, or for each byte of the text whether it is hidden */
};

void filter_finding_done(struct filter_finding *f);

struct filter_set; /* opaque */

struct filter_set *filter_set_new(void);
void filter_set_free(struct filter_set **set); /* NULL allowed; clears the pointer */

/* Adds a rule, copied, or puts it in the place of the one with its id. */
void filter_set_put(struct filter_set *set, const struct filter_rule *rule);
void filter_set_del(struct filter_set *set, int64_t id);
size_t filter_set_count(const struct filter_set *set);

/*
 * Looks for all rules in TEXT, valid UTF-8, and adds to *F, which may hold what another set found
 * in the same text; stops at the first rule that blocks. Compiles what has changed since the last
 * time. A rule that cannot be decided within the limits is noted, unless something blocks.
 */
void filter_set_apply(struct filter_set *set, const struct filter_limits *limits, struct str text,
		      struct filter_finding *f);

/* Appends TEXT with a '*' for each hidden character. */
void filter_mask_add(struct buf *b, struct str text, const uint8_t *mask);

#endif
