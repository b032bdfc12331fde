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

void clock_format(int64_t wall_ms, char ret[CLOCK_RFC3339_LEN + 1])
{
	int64_t ms = ((wall_ms % 1000) + 1000) % 1000; /* rounds down before 1970 too */
	time_t sec = (wall_ms - ms) / 1000;
	char text[96];
	struct tm tm;
	int len;

	if (!gmtime_r(&sec, &tm))
		tm = (struct tm){.tm_mday = 1};
	len = snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
		       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		       tm.tm_sec, (int)ms);
	assert(len == CLOCK_RFC3339_LEN);
	memcpy(ret, text, (size_t)len + 1);
}
