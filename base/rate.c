/* SPDX-License-Identifier: MIT */
/*
 * Rates from text and to text. What is limited, and by how much, is the settings' business.
 */
#include "base/rate.h"

static const struct {
	const char *text;
	int64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

static void skip_blanks(struct str *s)
{
	while (s->len && (s->p[0] == ' ' || s->p[0] == '\t')) {
		s->p++;
		s->len--;
	}
}

/* The digits at the front of *S; -ERR_NOENT without any. */
static int take_number(struct str *s, int64_t max, int64_t *ret)
{
	size_t n = 0;
	int64_t v;

	while (n < s->len && s->p[n] >= '0' && s->p[n] <= '9')
		n++;
	if (n == 0)
		return -ERR_NOENT;
	if (str_to_i64((struct str){s->p, n}, &v) < 0 || v < 1 || v > max)
		return -ERR_INVAL;
	*s = (struct str){s->p + n, s->len - n};
	*ret = v;
	return 0;
}

static bool take_word(struct str *s, const char *word)
{
	size_t n = strlen(word);

	if (s->len < n || memcmp(s->p, word, n) != 0)
		return false;
	*s = (struct str){s->p + n, s->len - n};
	return true;
}

/* A unit is all letters up to a blank or the end. */
static int take_period(struct str *s, int64_t *ret_ms)
{
	int64_t n = 1;
	size_t len = 0;

	if (take_number(s, RATE_PERIOD_MAX_MS, &n) == -ERR_INVAL)
		return -ERR_INVAL;
	while (len < s->len && s->p[len] != ' ' && s->p[len] != '\t')
		len++;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (!str_eq((struct str){s->p, len}, str_of(units[i].text)))
			continue;
		if (n > RATE_PERIOD_MAX_MS / units[i].ms)
			return -ERR_INVAL;
		*s = (struct str){s->p + len, s->len - len};
		*ret_ms = n * units[i].ms;
		return 0;
	}
	return -ERR_INVAL;
}

int rate_parse(struct str text, struct rate *ret)
{
	int64_t count, burst, period_ms;
	struct rate rate;

	if (str_eq(text, STR("off"))) {
		*ret = (struct rate){0};
		return 0;
	}
	if (take_number(&text, RATE_COUNT_MAX, &count) < 0 || !take_word(&text, "/") ||
	    take_period(&text, &period_ms) < 0)
		return -ERR_INVAL;
	burst = count;
	if (text.len) {
		skip_blanks(&text);
		if (!take_word(&text, "burst"))
			return -ERR_INVAL;
		skip_blanks(&text);
		if (take_number(&text, RATE_COUNT_MAX, &burst) < 0 || text.len)
			return -ERR_INVAL;
	}
	rate = (struct rate){(uint32_t)count, (uint32_t)burst, period_ms};
	/* what a whole burst stands for must be a time that can be counted in */
	if ((uint64_t)burst > INT64_MAX / 2 / rate_interval_ns(&rate))
		return -ERR_INVAL;
	*ret = rate;
	return 0;
}

void rate_format(const struct rate *rate, struct buf *ret)
{
	size_t i = 0;

	if (rate->count == 0) {
		buf_add_cstr(ret, "off");
		return;
	}
	while (rate->period_ms % units[i].ms != 0)
		i++;
	buf_printf(ret, "%" PRIu32 "/", rate->count);
	if (rate->period_ms != units[i].ms)
		buf_add_i64(ret, rate->period_ms / units[i].ms);
	buf_add_cstr(ret, units[i].text);
	if (rate->burst != rate->count)
		buf_printf(ret, " burst %" PRIu32, rate->burst);
}

uint64_t rate_interval_ns(const struct rate *rate)
{
	uint64_t ns = (uint64_t)rate->period_ms * 1000000;

	return rate->count ? MAX(ns / rate->count, 1) : 0;
}
