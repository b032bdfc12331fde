/* SPDX-License-Identifier: MIT */
/*
 * Sets of content filters: expressions through PCRE2, each within limits; words and links together.
 * How those are found is filter_words.c's and filter_links.c's.
 */
#include "worker/filter_set.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/clock.h"
#include "base/log.h"
#include "proto/utf8.h"
#include "worker/filter_links.h"
#include "worker/filter_words.h"

#define NEST_MAX 50	/* parentheses in each other */
#define HITS_MAX 10000	/* places of one text that one expression hides */
#define JIT_STACK_MAX (256 * 1024)

struct code {
	pcre2_code *re; /* owned */
	const struct filter_rule *rule;
};

struct filter_set {
	struct filter_rule **rules; /* owned, with their strings behind them */
	size_t n, cap;
	/* of the rules as they were at the last compilation; all owned */
	struct code *codes; /* in the order of their actions */
	size_t n_codes;
	struct filter_words *words; /* NULL: there are none */
	struct filter_links *links; /* NULL: there are none */
	bool is_compiled, has_jit;
};

static const char *const kind_names[] = {
#define X(name, text) text,
	FILTER_KINDS(X)
#undef X
};

static const char *const action_names[] = {
#define X(name, text) text,
	FILTER_ACTIONS(X)
#undef X
};

static int find_name(const char *const *names, int n, struct str name)
{
	for (int i = 0; i < n; i++)
		if (str_eq(name, str_of(names[i])))
			return i;
	return -ERR_INVAL;
}

int filter_kind_parse(struct str name, enum filter_kind *ret)
{
	int i = find_name(kind_names, FILTER_KIND_COUNT, name);

	if (i >= 0)
		*ret = (enum filter_kind)i;
	return i < 0 ? i : 0;
}

int filter_action_parse(struct str name, enum filter_action *ret)
{
	int i = find_name(action_names, FILTER_ACTION_COUNT, name);

	if (i >= 0)
		*ret = (enum filter_action)i;
	return i < 0 ? i : 0;
}

/* ---- Compiling ---- */

static pcre2_code *compile(struct str text, char *ret_why, size_t why_size)
{
	const uint32_t options =
		PCRE2_UTF | PCRE2_UCP | PCRE2_CASELESS | PCRE2_NEVER_BACKSLASH_C;
	pcre2_compile_context *cc = pcre2_compile_context_create(NULL);
	PCRE2_SIZE at;
	pcre2_code *re;
	int code;

	pcre2_set_parens_nest_limit(cc, NEST_MAX);
	re = pcre2_compile((PCRE2_SPTR)text.p, text.len, options, &code, &at, cc);
	pcre2_compile_context_free(cc);
	if (!re && ret_why && pcre2_get_error_message(code, (PCRE2_UCHAR *)ret_why, why_size) < 0)
		snprintf(ret_why, why_size, "the expression cannot be used");
	return re;
}

static int check_regex(struct str pattern, char *ret_why, size_t why_size)
{
	pcre2_code *re = compile(pattern, ret_why, why_size);

	pcre2_code_free(re);
	return re ? 0 : -ERR_INVAL;
}

int filter_pattern_check(enum filter_kind kind, struct str pattern, char *ret_why, size_t why_size)
{
	if (kind == FILTER_REGEX)
		return check_regex(pattern, ret_why, why_size);
	if (kind == FILTER_WORD ? filter_word_valid(pattern) : filter_link_valid(pattern))
		return 0;
	snprintf(ret_why, why_size, "%s",
		 kind == FILTER_WORD ? "there is no word in it" : "it is no host name");
	return -ERR_INVAL;
}

static void codes_free(struct filter_set *set)
{
	for (size_t i = 0; i < set->n_codes; i++)
		pcre2_code_free(set->codes[i].re);
	free(set->codes);
	set->codes = NULL;
	set->n_codes = 0;
	filter_words_free(&set->words);
	filter_links_free(&set->links);
	set->is_compiled = false;
}

static int add_regex(struct filter_set *set, const struct filter_rule *rule)
{
	pcre2_code *re = compile(rule->pattern, NULL, 0);

	if (!re)
		return -ERR_INVAL;
	/* without it (a hardened system forbids such memory) the expression is interpreted */
	if (set->has_jit)
		(void)pcre2_jit_compile(re, PCRE2_JIT_COMPLETE);
	set->codes = xrealloc(set->codes, (set->n_codes + 1) * sizeof(*set->codes));
	set->codes[set->n_codes++] = (struct code){re, rule};
	return 0;
}

static int add_word(struct filter_set *set, const struct filter_rule *rule)
{
	if (!set->words)
		set->words = filter_words_new();
	return filter_words_put(set->words, rule);
}

static int add_link(struct filter_set *set, const struct filter_rule *rule)
{
	if (!set->links)
		set->links = filter_links_new();
	return filter_links_put(set->links, rule);
}

static void compile_action(struct filter_set *set, enum filter_action action)
{
	static int (*const add[])(struct filter_set *, const struct filter_rule *) = {
		[FILTER_WORD] = add_word, [FILTER_REGEX] = add_regex, [FILTER_LINK] = add_link};

	for (size_t i = 0; i < set->n; i++) {
		const struct filter_rule *rule = set->rules[i];

		/* put into the table by hand: what came by REST was checked */
		if (rule->action == action && add[rule->kind](set, rule) < 0)
			log_error("a content filter cannot be used: it is left out",
				  LF_INT("filter", rule->id));
	}
}

static void compile_all(struct filter_set *set, bool use_jit)
{
	codes_free(set);
	set->has_jit = use_jit;
	for (int action = 0; action < FILTER_ACTION_COUNT; action++)
		compile_action(set, (enum filter_action)action);
	set->is_compiled = true;
}

/* ---- The rules ---- */

struct filter_set *filter_set_new(void)
{
	return xcalloc(1, sizeof(struct filter_set));
}

void filter_set_free(struct filter_set **set)
{
	if (!*set)
		return;
	codes_free(*set);
	for (size_t i = 0; i < (*set)->n; i++)
		free((*set)->rules[i]);
	free((*set)->rules);
	free(*set);
	*set = NULL;
}

size_t filter_set_count(const struct filter_set *set)
{
	return set->n;
}

void filter_set_del(struct filter_set *set, int64_t id)
{
	for (size_t i = 0; i < set->n; i++) {
		if (set->rules[i]->id != id)
			continue;
		codes_free(set);
		free(set->rules[i]);
		memmove(&set->rules[i], &set->rules[i + 1],
			(--set->n - i) * sizeof(*set->rules));
		return;
	}
}

static struct filter_rule *copy_rule(const struct filter_rule *rule)
{
	struct filter_rule *copy =
		xmalloc(sizeof(*copy) + rule->pattern.len + rule->reason.len + 1);
	char *at = (char *)(copy + 1);

	*copy = *rule;
	copy->pattern.p = at;
	if (rule->pattern.len)
		memcpy(at, rule->pattern.p, rule->pattern.len);
	at += rule->pattern.len;
	copy->reason.p = at;
	if (rule->reason.len)
		memcpy(at, rule->reason.p, rule->reason.len);
	return copy;
}

void filter_set_put(struct filter_set *set, const struct filter_rule *rule)
{
	filter_set_del(set, rule->id);
	codes_free(set);
	if (set->n == set->cap) {
		set->cap = set->cap ? set->cap * 2 : 8;
		set->rules = xrealloc(set->rules, set->cap * sizeof(*set->rules));
	}
	set->rules[set->n++] = copy_rule(rule);
}

/* ---- Applying ---- */

/* What a search needs besides the expression; one per process is enough. */
struct matcher {
	pcre2_match_data *data;
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
};

static struct matcher *matcher_get(const struct filter_limits *limits)
{
	static struct matcher m;

	if (!m.data) {
		m.data = pcre2_match_data_create(1, NULL); /* groups are nobody's concern */
		m.context = pcre2_match_context_create(NULL);
		m.stack = pcre2_jit_stack_create(16 * 1024, JIT_STACK_MAX, NULL);
		if (!m.data || !m.context)
			abort();
		pcre2_jit_stack_assign(m.context, NULL, m.stack);
	}
	pcre2_set_match_limit(m.context, limits->match_max);
	pcre2_set_heap_limit(m.context, limits->depth_max);
	return &m;
}

struct applying {
	struct str text;
	struct filter_finding *f;
};

/* What one find means. False: nothing else matters. */
static bool on_found(void *arg, const struct filter_rule *rule, size_t from, size_t to)
{
	struct applying *a = arg;

	if (rule->action == FILTER_BLOCK) {
		a->f->block = rule;
		return false;
	}
	if (rule->action == FILTER_FLAG && !a->f->flag)
		a->f->flag = rule;
	if (rule->action != FILTER_MASK)
		return true;
	if (!a->f->mask)
		a->f->mask = xcalloc(a->text.len, 1);
	memset(a->f->mask + from, 1, to - from);
	return true;
}

/* Searches from START. Returns 1: it is at *RET_FROM to *RET_TO; 0: nowhere; -1: stopped. */
static int search(const struct code *c, const struct filter_limits *limits, struct str text,
		  size_t start, size_t *ret_from, size_t *ret_to)
{
	struct matcher *m = matcher_get(limits);
	const PCRE2_SIZE *at;
	int r = pcre2_match(c->re, (PCRE2_SPTR)text.p, text.len, start,
			    PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, m->data, m->context);

	if (r == PCRE2_ERROR_NOMATCH)
		return 0;
	if (r < 0)
		return -1;
	at = pcre2_get_ovector_pointer(m->data);
	*ret_from = at[0];
	*ret_to = at[1];
	return at[1] > at[0] ? 1 : -1;
}

/* Every place where something is hidden, else the first one. False: nothing else matters. */
static bool apply_code(const struct code *c, const struct filter_limits *limits,
		       struct applying *a)
{
	size_t start = 0, from, to;
	int r = 1;

	for (int n = 0; r == 1 && start < a->text.len; start = to) {
		r = n++ < HITS_MAX && clock_cpu_ns() < limits->until_ns
			    ? search(c, limits, a->text, start, &from, &to)
			    : -1;
		if (r == 1 && !on_found(a, c->rule, from, to))
			return false;
		if (r < 1 || c->rule->action != FILTER_MASK)
			break;
	}
	if (r < 0)
		a->f->undecided = c->rule;
	return true;
}

void filter_set_apply(struct filter_set *set, const struct filter_limits *limits, struct str text,
		      struct filter_finding *f)
{
	struct applying a = {text, f};

	if (!set->n)
		return;
	if (!set->is_compiled || set->has_jit != limits->use_jit)
		compile_all(set, limits->use_jit);
	if (set->words &&
	    !filter_words_find(set->words, text, limits->until_ns, on_found, &a))
		f->undecided = set->rules[0];
	if (set->links && !f->block)
		filter_links_find(set->links, text, on_found, &a);
	for (size_t i = 0; i < set->n_codes && !f->block; i++)
		if (!apply_code(&set->codes[i], limits, &a))
			break;
}

void filter_finding_done(struct filter_finding *f)
{
	free(f->mask);
	*f = (struct filter_finding){0};
}

void filter_mask_add(struct buf *b, struct str text, const uint8_t *mask)
{
	size_t pos = 0, from = 0;
	uint32_t cp;

	for (; utf8_next(text, &pos, &cp); from = pos) {
		if (mask[from])
			buf_add_char(b, '*');
		else
			buf_add(b, text.p + from, pos - from);
	}
}
