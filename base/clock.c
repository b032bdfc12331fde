/* SPDX-License-Identifier: MIT */
/*
 * The clocks, and the one time format.
 * Timers are libev's.
 */
#include "base/clock.h"

#include <time.h>

static struct timespec clock_read(clockid_t id)
{
	struct timespec ts;
	int r = clock_gettime(id, &ts);

	assert(r == 0);
	(void)r;
	return ts;
}

uint64_t clock_mono_ns(void)
{
	struct timespec ts = clock_read(CLOCK_MONOTONIC);

	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t clock_cpu_ns(void)
{
	struct timespec ts = clock_read(CLOCK_THREAD_CPUTIME_ID);

	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t clock_mono_ms(void)
{
	return clock_mono_ns() / 1000000u;
}

int64_t clock_wall_ms(void)
{
	struct timespec ts = clock_read(CLOCK_REALTIME);

	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* All but the milliseconds, for SEC since 1970. */
static void format_second(time_t sec, char ret[CLOCK_RFC3339_LEN + 1])
{
	char text[96];
	struct tm tm;
	int len;

	if (!gmtime_r(&sec, &tm))
		tm = (struct tm){.tm_mday = 1};
	len = snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.000Z", tm.tm_year + 1900,
		       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	assert(len == CLOCK_RFC3339_LEN);
	memcpy(ret, text, (size_t)len + 1);
}

void clock_format(int64_t wall_ms, char ret[CLOCK_RFC3339_LEN + 1])
{
	/* the second last asked for: events come many to a second */
	static _Thread_local int64_t kept = INT64_MIN;
	static _Thread_local char text[CLOCK_RFC3339_LEN + 1];
	int ms = (int)(((wall_ms % 1000) + 1000) % 1000); /* rounds down before 1970 too */
	int64_t sec = (wall_ms - ms) / 1000;

	if (sec != kept)
		format_second((time_t)sec, text);
	kept = sec;
	memcpy(ret, text, sizeof(text));
	ret[20] = (char)('0' + ms / 100);
	ret[21] = (char)('0' + ms / 10 % 10);
	ret[22] = (char)('0' + ms % 10);
}
