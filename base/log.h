/* SPDX-License-Identifier: MIT */
/*
 * One line per event with named fields, to the journal, to JSON lines or to a terminal.
 * Never blocks, never prints message text or secrets; who calls decides what an event is.
 * For the main thread of a process: other threads hand their results to it.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/base.h"

/* Levels are the syslog priorities that the journal knows. */
enum log_level {
	LOG_LEVEL_ERROR = 3, /* an operator must act */
	LOG_LEVEL_WARN = 4,
	LOG_LEVEL_NOTICE = 5, /* start, stop, reload, state changes */
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

enum log_sink {
	LOG_SINK_AUTO, /* journal when stderr is the journal's socket, else terminal text */
	LOG_SINK_TEXT,
	LOG_SINK_JSON,
	LOG_SINK_JOURNAL,
};

struct log_field {
	const char *name; /* lower case, [a-z_]; NULL ends the list */
	const char *s;	  /* used when not NULL */
	int64_t i;
};

#define LF_STR(name, value) ((struct log_field){(name), (value) ? (value) : "", 0})
#define LF_INT(name, value) ((struct log_field){(name), NULL, (int64_t)(value)})

/*
 * Whether standard error is the stream to the journal whose device and inode systemd named
 * (systemd.exec(5), JOURNAL_STREAM).
 */
bool log_is_journal_stream(void);

/*
 * Sets sink and level for this process and those it forks.
 * Returns 0, or -ERR_IO when SINK is the journal and there is none.
 */
int log_init(enum log_sink sink, enum log_level level) MUST_CHECK;

void log_set_level(enum log_level level);
enum log_level log_level(void);

/* Fields added to every later line of this process: "master", "worker"; slot < 0 is left out. */
void log_set_process(const char *role, int slot);

/*
 * Writes one line. TEXT is a constant sentence without values; values go into FIELDS (ended by a
 * NULL name). A line that the sink does not take at once is dropped and counted.
 */
void log_write(enum log_level level, const char *text, const struct log_field *fields);

/* Lines dropped so far because the sink was full. */
uint64_t log_dropped(void);

#define log_at(level, text, ...)                                                                   \
	do {                                                                                       \
		if ((level) <= log_level())                                                        \
			log_write((level), (text),                                                 \
				  (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}});      \
	} while (0)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_notice(...) log_at(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* Lets a repeated failure through at most once per interval; counts the rest. Zero-initialised. */
struct log_rate {
	uint64_t last_ms;
	uint64_t suppressed;
};

/* True when the caller may log now; *ret_suppressed is how many were held back since. */
bool log_rate_pass(struct log_rate *r, uint64_t interval_ms, uint64_t *ret_suppressed);

#endif
