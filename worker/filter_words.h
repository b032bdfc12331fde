/* SPDX-License-Identifier: MIT */
/*
 * Many words looked for in one pass over a text: a tree of their folded characters.
 * What a word leads to is filter_set.c's.
 */
#ifndef WORKER_FILTER_WORDS_H
#define WORKER_FILTER_WORDS_H

#include "base/base.h"

struct filter_rule;
struct filter_words; /* opaque */

struct filter_words *filter_words_new(void);
void filter_words_free(struct filter_words **w); /* NULL allowed; clears the pointer */

/* Whether PATTERN has something to look for. */
bool filter_word_valid(struct str pattern);

/* Adds RULE, borrowed. Returns 0, or -ERR_INVAL when its pattern has nothing to look for. */
int filter_words_put(struct filter_words *w, const struct filter_rule *rule) MUST_CHECK;

/* RULE lies at FROM to TO of the text, in bytes. False ends the search. */
typedef bool filter_found_fn(void *arg, const struct filter_rule *rule, size_t from, size_t to);

/*
 * Tells every place of every word in TEXT, valid UTF-8. False: it was not at its end when
 * clock_cpu_ns reached UNTIL_NS.
 */
bool filter_words_find(const struct filter_words *w, struct str text, uint64_t until_ns,
		       filter_found_fn *found, void *arg);

#endif
