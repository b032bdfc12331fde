/* SPDX-License-Identifier: MIT */
/*
 * Sends log lines to the sink, counts what it does not take, limits repetition.
 * The forms of a line are log_format.c's.
 */
#include "base/log.h"
#include "base/clock.h"
#include "base/log_priv.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct {
	enum log_sink sink;
	enum log_level level;
	const char *role;
	int slot;
	int fd; /* text and JSON */
	bool is_tty, is_socket;
	int journal_fd;
	const char *journal_path;
	uint64_t dropped, dropped_told;
	struct buf line; /* kept between lines */
} lg = {.sink = LOG_SINK_TEXT,
	.level = LOG_LEVEL_NOTICE,
	.slot = -1,
	.fd = STDERR_FILENO,
	.journal_fd = -1,
	.journal_path = "/run/systemd/journal/socket"};

void log_redirect(int fd, const char *journal_path)
{
	lg.fd = fd;
	lg.journal_path = journal_path;
}

bool log_is_journal_stream(void)
{
	const char *named = getenv("JOURNAL_STREAM");
	char actual[48];
	struct stat st;

	if (!named || fstat(lg.fd, &st) < 0)
		return false;
	snprintf(actual, sizeof(actual), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(named, actual) == 0;
}

static int journal_open(void)
{
	if (access(lg.journal_path, W_OK) < 0)
		return -ERR_IO;
	if (lg.journal_fd < 0)
		lg.journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return lg.journal_fd < 0 ? -ERR_IO : 0;
}

int log_init(enum log_sink sink, enum log_level level)
{
	bool is_auto = sink == LOG_SINK_AUTO;
	struct stat st;

	if (is_auto)
		sink = log_is_journal_stream() ? LOG_SINK_JOURNAL : LOG_SINK_TEXT;
	if (sink == LOG_SINK_JOURNAL && journal_open() < 0) {
		if (!is_auto)
			return -ERR_IO;
		sink = LOG_SINK_TEXT;
	}
	lg.sink = sink;
	lg.is_tty = isatty(lg.fd);
	lg.is_socket = fstat(lg.fd, &st) == 0 && S_ISSOCK(st.st_mode);
	log_set_level(level);
	return 0;
}

void log_set_level(enum log_level level)
{
	assert(level >= LOG_LEVEL_ERROR && level <= LOG_LEVEL_DEBUG);
	lg.level = level;
}

enum log_level log_level(void)
{
	return lg.level;
}

void log_set_process(const char *role, int slot)
{
	lg.role = role;
	lg.slot = slot;
}

uint64_t log_dropped(void)
{
	return lg.dropped;
}

/*
 * Standard error may be shared with other programs, so it is not switched to non-blocking: it is
 * asked first. A pipe that reports room takes LOG_LINE_MAX bytes.
 */
static bool stream_send(struct str line)
{
	struct pollfd poll_fd = {.fd = lg.fd, .events = POLLOUT};

	if (lg.is_socket)
		return send(lg.fd, line.p, line.len, MSG_DONTWAIT | MSG_NOSIGNAL) ==
		       (ssize_t)line.len;
	if (poll(&poll_fd, 1, 0) != 1 || !(poll_fd.revents & POLLOUT))
		return false;
	return write(lg.fd, line.p, line.len) == (ssize_t)line.len;
}

/* The address is given each time: the journal may be restarted. */
static bool journal_send(struct str datagram)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = strlen(lg.journal_path);

	assert(len < sizeof(to.sun_path));
	memcpy(to.sun_path, lg.journal_path, len);
	return sendto(lg.journal_fd, datagram.p, datagram.len, MSG_DONTWAIT | MSG_NOSIGNAL,
		      (struct sockaddr *)&to, sizeof(to)) == (ssize_t)datagram.len;
}

static bool line_send(const struct log_line *line)
{
	buf_clear(&lg.line);
	if (lg.sink == LOG_SINK_JOURNAL) {
		log_format_journal(line, &lg.line);
		return journal_send(buf_str(&lg.line));
	}
	if (lg.sink == LOG_SINK_JSON)
		log_format_json(line, &lg.line);
	else
		log_format_text(line, lg.is_tty, &lg.line);
	return stream_send(buf_str(&lg.line));
}

static struct log_line line_of(enum log_level level, const char *text,
			       const struct log_field *fields)
{
	return (struct log_line){level, clock_wall_ms(), lg.role, lg.slot, text, fields};
}

/* Says once that lines are missing, as soon as the sink takes lines again. */
static void tell_dropped(void)
{
	const struct log_field fields[] = {LF_INT("lines", lg.dropped - lg.dropped_told), {0}};
	struct log_line line = line_of(LOG_LEVEL_WARN, "log lines were dropped", fields);

	if (line_send(&line))
		lg.dropped_told = lg.dropped;
}

void log_write(enum log_level level, const char *text, const struct log_field *fields)
{
	struct log_line line = line_of(level, text, fields);
	int saved_errno = errno;

	if (lg.dropped != lg.dropped_told)
		tell_dropped();
	if (lg.dropped != lg.dropped_told || !line_send(&line))
		lg.dropped++;
	errno = saved_errno;
}

bool log_rate_pass(struct log_rate *r, uint64_t interval_ms, uint64_t *ret_suppressed)
{
	uint64_t now = clock_mono_ms();

	if (r->last_ms != 0 && now - r->last_ms < interval_ms) {
		r->suppressed++;
		return false;
	}
	*ret_suppressed = r->suppressed;
	r->last_ms = MAX(now, 1);
	r->suppressed = 0;
	return true;
}
