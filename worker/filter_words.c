/* SPDX-License-Identifier: MIT */
/*
 * A tree over folded characters: one walk from each place of the text finds all words there.
 * Folding (case, compatible spellings, what nobody sees) is proto/names.c's.
 */
#include "worker/filter_words.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "proto/names.h"
#include "proto/utf8.h"
#include "worker/filter_set.h"

#define STEPS_PER_LOOK 4096 /* between two looks at the clock */
#define CP_BITS 21 /* of a code point; what is above in an edge's key is its node */

/* A word that ends at a node. */
struct end {
	const struct filter_rule *rule; /* borrowed */
	bool is_open_left, is_open_right; /* may go on there */
	uint32_t next;			  /* index + 1 of another one, 0: none */
};

struct filter_words {
	struct map edges;   /* (node + 1) << CP_BITS | code point -> struct node */
	struct node {
		uint32_t number;
		uint32_t ends; /* index + 1, 0: none */
	} root;
	uint32_t n_nodes;
	struct end *ends; /* owned */
	uint32_t n_ends;
};

/* One character of a folded text and the bytes that it comes from. */
struct folded {
	uint32_t cp;
	uint32_t from, to;
};

struct text {
	struct folded *chars; /* owned */
	size_t n, cap;
};

/* ---- Folding ---- */

static void add(struct text *t, uint32_t cp, size_t from, size_t to)
{
	/* white space of any length is one blank */
	if (cp == ' ' && t->n && t->chars[t->n - 1].cp == ' ') {
		t->chars[t->n - 1].to = (uint32_t)to;
		return;
	}
	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 64;
		t->chars = xrealloc(t->chars, t->cap * sizeof(*t->chars));
	}
	t->chars[t->n++] = (struct folded){cp, (uint32_t)from, (uint32_t)to};
}

static struct text fold(struct str s)
{
	struct text t = {.cap = s.len + 1};
	size_t pos = 0, from = 0;
	uint32_t cp, parts[NAMES_FOLD_MAX];

	t.chars = xmalloc(t.cap * sizeof(*t.chars));
	for (; utf8_next(s, &pos, &cp); from = pos) {
		size_t n = utf8_is_space(cp) ? 1 : names_fold(cp, parts);

		if (utf8_is_space(cp))
			parts[0] = ' ';
		for (size_t i = 0; i < n; i++)
			add(&t, parts[i], from, pos);
	}
	return t;
}

/* ---- Building ---- */

/* The parts of a pattern: '*' at an end is no part of the word. */
static struct str parse(struct str pattern, bool *ret_left, bool *ret_right)
{
	struct str word = utf8_trim(pattern);

	*ret_left = word.len && word.p[0] == '*';
	word.p += *ret_left;
	word.len -= *ret_left;
	*ret_right = word.len && word.p[word.len - 1] == '*';
	word.len -= *ret_right;
	return utf8_trim(word);
}

static bool has_sense(const struct text *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->chars[i].cp != '*' && t->chars[i].cp != ' ')
			return true;
	return false;
}

bool filter_word_valid(struct str pattern)
{
	bool left, right;
	struct text t = fold(parse(pattern, &left, &right));
	bool is_valid = has_sense(&t);

	free(t.chars);
	return is_valid;
}

static uint64_t edge_key(const struct node *node, uint32_t cp)
{
	return (uint64_t)(node->number + 1) << CP_BITS | cp;
}

static struct node *step(struct filter_words *w, struct node *node, uint32_t cp)
{
	struct node *next = map_get(&w->edges, edge_key(node, cp));

	if (!next) {
		next = xcalloc(1, sizeof(*next));
		next->number = ++w->n_nodes;
		map_put(&w->edges, edge_key(node, cp), next);
	}
	return next;
}

int filter_words_put(struct filter_words *w, const struct filter_rule *rule)
{
	struct end end = {.rule = rule};
	struct text t = fold(parse(rule->pattern, &end.is_open_left, &end.is_open_right));
	struct node *node = &w->root;
	bool is_valid = has_sense(&t);

	for (size_t i = 0; is_valid && i < t.n; i++)
		node = step(w, node, t.chars[i].cp);
	free(t.chars);
	if (!is_valid)
		return -ERR_INVAL;
	end.next = node->ends;
	w->ends = xrealloc(w->ends, (w->n_ends + 1) * sizeof(*w->ends));
	w->ends[w->n_ends++] = end;
	node->ends = w->n_ends;
	return 0;
}

struct filter_words *filter_words_new(void)
{
	return xcalloc(1, sizeof(struct filter_words));
}

void filter_words_free(struct filter_words **w)
{
	uint32_t pos = 0;
	uint64_t key;
	void *node;

	if (!*w)
		return;
	while (map_next(&(*w)->edges, &pos, &key, &node))
		free(node);
	map_done(&(*w)->edges);
	free((*w)->ends);
	free(*w);
	*w = NULL;
}

/* ---- Finding ---- */

/* Scripts that write words without blanks between them: an edge cannot be seen. */
static bool is_unspaced(uint32_t cp)
{
	static const struct {
		uint32_t first, last;
	} blocks[] = {
		{0x0e00, 0x0eff},   /* Thai, Lao */
		{0x1000, 0x109f},   /* Myanmar */
		{0x1780, 0x17ff},   /* Khmer */
		{0x2e80, 0xa4cf},   /* Kana, ideographs, Yi */
		{0xf900, 0xfaff},   /* compatibility ideographs */
		{0x20000, 0x3ffff}, /* further ideographs */
	};

	for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
		if (cp >= blocks[i].first && cp <= blocks[i].last)
			return true;
	return false;
}

/* Whether a word that reaches INSIDE may end there when OUTSIDE is next to it. */
static bool is_edge(uint32_t inside, uint32_t outside)
{
	return !names_is_word(inside) || is_unspaced(inside) || !names_is_word(outside);
}

/* The words that end at NODE, having begun at FIRST and reached LAST. False ends the search. */
static bool tell(const struct filter_words *w, const struct node *node, const struct text *t,
		 size_t first, size_t last, filter_found_fn *found, void *arg)
{
	const struct folded *c = t->chars;
	/* half a character is none: its other parts belong to it */
	bool is_left = first == 0 || (c[first - 1].to <= c[first].from &&
				      is_edge(c[first].cp, c[first - 1].cp));
	bool is_right = last + 1 == t->n || (c[last + 1].from >= c[last].to &&
					     is_edge(c[last].cp, c[last + 1].cp));

	for (uint32_t i = node->ends; i; i = w->ends[i - 1].next) {
		const struct end *end = &w->ends[i - 1];

		if ((end->is_open_left || is_left) && (end->is_open_right || is_right) &&
		    !found(arg, end->rule, c[first].from, c[last].to))
			return false;
	}
	return true;
}

/* Walks from the character FIRST; *STEPS counts. False ends the search. */
static bool walk(const struct filter_words *w, const struct text *t, size_t first, size_t *steps,
		 filter_found_fn *found, void *arg)
{
	const struct node *node = &w->root;

	for (size_t i = first; i < t->n; i++) {
		++*steps;
		node = map_get(&w->edges, edge_key(node, t->chars[i].cp));
		if (!node)
			return true;
		if (node->ends && !tell(w, node, t, first, i, found, arg))
			return false;
	}
	return true;
}

bool filter_words_find(const struct filter_words *w, struct str text, uint64_t until_ns,
		       filter_found_fn *found, void *arg)
{
	struct text t = fold(text);
	size_t steps = 0, look_at = STEPS_PER_LOOK;
	bool is_on = true, is_late = false;

	for (size_t first = 0; is_on && !is_late && first < t.n; first++) {
		is_on = walk(w, &t, first, &steps, found, arg);
		if (steps < look_at)
			continue;
		look_at = steps + STEPS_PER_LOOK;
		is_late = clock_cpu_ns() >= until_ns;
	}
	free(t.chars);
	return !is_late;
}
