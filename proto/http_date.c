/* SPDX-License-Identifier: MIT */
/*
 * Dates of HTTP (RFC 9110 section 5.6.7): the preferred form out, all three forms in.
 * Knows no clock: the time comes from the caller.
 */
#include <time.h>

#include "proto/http_field.h"

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* 0001-01-01 and 9999-12-31T23:59:59 */
#define SECONDS_MIN INT64_C(-62135596800)
#define SECONDS_MAX INT64_C(253402300799)

void http_date_format(int64_t seconds, char ret[HTTP_DATE_LEN + 1])
{
	time_t t = (time_t)MIN(MAX(seconds, SECONDS_MIN), SECONDS_MAX);
	char text[64];
	struct tm tm;

	gmtime_r(&t, &tm);
	snprintf(text, sizeof(text), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
		 days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900,
		 tm.tm_hour, tm.tm_min, tm.tm_sec);
	memcpy(ret, text, HTTP_DATE_LEN);
	ret[HTTP_DATE_LEN] = '\0';
}

static int month_of(const char *s)
{
	for (int m = 0; m < 12; m++)
		if (!strncmp(months + 3 * m, s, 3))
			return m;
	return -1;
}

/*
 * RFC 9110: a two-digit year far in the future is meant in the past; 50 years from 2020 on is 2070.
 */
static int full_year(int yy)
{
	return yy < 70 ? 2000 + yy : 1900 + yy;
}

struct date_parts {
	int day, year, hour, min, sec;
	char month[4];
};

static bool scan_forms(const char *s, struct date_parts *d)
{
	int end = 0;

	if (sscanf(s, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &d->day, d->month,
		   &d->year, &d->hour, &d->min, &d->sec, &end) == 6 &&
	    end && !s[end])
		return true;
	end = 0;
	if (sscanf(s, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &d->day, d->month,
		   &d->year, &d->hour, &d->min, &d->sec, &end) == 6 &&
	    end && !s[end]) {
		d->year = full_year(d->year);
		return true;
	}
	end = 0;
	return sscanf(s, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", d->month, &d->day,
		      &d->hour, &d->min, &d->sec, &d->year, &end) == 6 &&
	       end && !s[end];
}

int http_date_parse(struct str value, int64_t *ret_seconds)
{
	struct date_parts d = {0};
	char s[64];
	struct tm tm = {0};
	int month;

	if (value.len >= sizeof(s) || (value.len && memchr(value.p, '\0', value.len)))
		return -ERR_INVAL;
	snprintf(s, sizeof(s), "%.*s", (int)value.len, value.len ? value.p : "");
	if (!scan_forms(s, &d))
		return -ERR_INVAL;
	month = month_of(d.month);
	if (month < 0 || d.day < 1 || d.day > 31 || d.year < 1 || d.hour < 0 || d.hour > 23 ||
	    d.min < 0 || d.min > 59 || d.sec < 0 || d.sec > 60)
		return -ERR_INVAL;
	tm.tm_year = d.year - 1900;
	tm.tm_mon = month;
	tm.tm_mday = d.day;
	tm.tm_hour = d.hour;
	tm.tm_min = d.min;
	tm.tm_sec = d.sec;
	*ret_seconds = timegm(&tm);
	return 0;
}
