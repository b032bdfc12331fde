/* SPDX-License-Identifier: MIT */
/*
 * One log line as a value, and its three written forms.
 * Open to the tests; everybody else uses log.h.
 */
#ifndef BASE_LOG_PRIV_H
#define BASE_LOG_PRIV_H

#include "base/buf.h"
#include "base/log.h"

/* A pipe takes this much in one piece (POSIX: at least 512, Linux: 4096) or not at all. */
#define LOG_LINE_MAX 4096

/* Longest string value; the rest is cut off. */
#define LOG_VALUE_MAX 1000

struct log_line {
	enum log_level level;
	int64_t wall_ms;
	const char *role; /* NULL before log_set_process */
	int slot;	  /* < 0: none */
	const char *text;
	const struct log_field *fields;
};

/*
 * Each appends one line to RET: with its line end, at most LOG_LINE_MAX bytes. Fields that do not
 * fit are left out.
 */
void log_format_text(const struct log_line *line, bool colour, struct buf *ret);
void log_format_json(const struct log_line *line, struct buf *ret);

/* The datagram of the journal's native protocol (systemd's JOURNAL_NATIVE_PROTOCOL). */
void log_format_journal(const struct log_line *line, struct buf *ret);

/* Where lines go instead of descriptor 2 and the journal's socket. PATH is borrowed. */
void log_redirect(int fd, const char *journal_path);

#endif
