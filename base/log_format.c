/* SPDX-License-Identifier: MIT */
/*
 * The written forms of a log line.
 * Where they go, and what happens when they do not fit, is log.c's.
 */
#include "base/clock.h"
#include "base/log_priv.h"

#include <endian.h>

/* Left free for what ends a line after its last field. */
#define LINE_TAIL 32

struct level_look {
	const char *name, *colour; /* ECMA-48 SGR parameters */
};

static struct level_look level_look(enum log_level level)
{
	static const struct level_look looks[] = {
		[LOG_LEVEL_ERROR] = {"error", "1;31"}, [LOG_LEVEL_WARN] = {"warn", "33"},
		[LOG_LEVEL_NOTICE] = {"notice", "1"},  [LOG_LEVEL_INFO] = {"info", "0"},
		[LOG_LEVEL_DEBUG] = {"debug", "2"},
	};

	assert(level >= LOG_LEVEL_ERROR && level <= LOG_LEVEL_DEBUG);
	return looks[level];
}

static struct str field_value(const struct log_field *f)
{
	return (struct str){f->s, strnlen(f->s, LOG_VALUE_MAX)};
}

/* Values that would be misread between blanks are quoted like JSON strings. */
static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '\\' ||
		    s.p[i] == '=' || (unsigned char)s.p[i] >= 0x7f)
			return false;
	return s.len > 0;
}

static void add_plain_value(struct buf *b, const struct log_field *f)
{
	if (!f->s)
		buf_add_i64(b, f->i);
	else if (is_plain(field_value(f)))
		buf_add_str(b, field_value(f));
	else
		buf_add_json(b, field_value(f));
}

/* Takes the last field back when the line got too long. */
static void keep_within(struct buf *b, size_t start, size_t before)
{
	if (b->len - start > LOG_LINE_MAX - LINE_TAIL)
		b->len = before;
}

static void add_text_fields(const struct log_line *line, size_t start, struct buf *ret)
{
	for (const struct log_field *f = line->fields; f && f->name; f++) {
		size_t before = ret->len;

		buf_printf(ret, " %s=", f->name);
		add_plain_value(ret, f);
		keep_within(ret, start, before);
	}
}

void log_format_text(const struct log_line *line, bool colour, struct buf *ret)
{
	struct level_look look = level_look(line->level);
	char stamp[CLOCK_RFC3339_LEN + 1];
	size_t start = ret->len;

	clock_format(line->wall_ms, stamp);
	buf_printf(ret, "%.12s %s%s%s%-6s%s", stamp + 11, colour ? "\033[" : "",
		   colour ? look.colour : "", colour ? "m" : "", look.name,
		   colour ? "\033[0m" : "");
	if (line->role && line->slot >= 0)
		buf_printf(ret, " %s %d:", line->role, line->slot);
	else if (line->role)
		buf_printf(ret, " %s:", line->role);
	buf_printf(ret, " %.*s", LOG_VALUE_MAX, line->text);
	add_text_fields(line, start, ret);
	buf_add_char(ret, '\n');
}

void log_format_json(const struct log_line *line, struct buf *ret)
{
	char stamp[CLOCK_RFC3339_LEN + 1];
	size_t start = ret->len;

	clock_format(line->wall_ms, stamp);
	buf_printf(ret, "{\"time\":\"%s\",\"level\":\"%s\"", stamp, level_look(line->level).name);
	if (line->role)
		buf_printf(ret, ",\"process\":\"%s\"", line->role);
	if (line->slot >= 0)
		buf_printf(ret, ",\"process_slot\":%d", line->slot);
	buf_add_cstr(ret, ",\"text\":");
	buf_add_json(ret, (struct str){line->text, strnlen(line->text, LOG_VALUE_MAX)});
	for (const struct log_field *f = line->fields; f && f->name; f++) {
		size_t before = ret->len;

		buf_printf(ret, ",\"%s\":", f->name);
		if (f->s)
			buf_add_json(ret, field_value(f));
		else
			buf_add_i64(ret, f->i);
		keep_within(ret, start, before);
	}
	buf_add_cstr(ret, "}\n");
}

/* Values with a line break are sent with their length, others as NAME=value. */
static void add_journal_field(struct buf *ret, struct str value)
{
	uint64_t len = htole64(value.len);

	if (value.len > 0 && memchr(value.p, '\n', value.len)) {
		buf_add_char(ret, '\n');
		buf_add(ret, &len, sizeof(len));
	} else {
		buf_add_char(ret, '=');
	}
	buf_add_str(ret, value);
	buf_add_char(ret, '\n');
}

static void add_journal_name(struct buf *ret, const char *name)
{
	buf_add_cstr(ret, "ROOMD_");
	for (; *name; name++)
		buf_add_char(ret, *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name);
}

void log_format_journal(const struct log_line *line, struct buf *ret)
{
	struct buf message = BUF_INIT, number = BUF_INIT;

	buf_add_cstr(&message, line->text);
	add_text_fields(line, 0, &message);
	buf_printf(ret, "PRIORITY=%d\nSYSLOG_IDENTIFIER=roomd\nMESSAGE", line->level);
	add_journal_field(ret, buf_str(&message));
	buf_add_cstr(ret, "ROOMD_EVENT");
	add_journal_field(ret, str_of(line->text));
	if (line->role)
		buf_printf(ret, "ROOMD_PROCESS=%s\n", line->role);
	if (line->slot >= 0)
		buf_printf(ret, "ROOMD_PROCESS_SLOT=%d\n", line->slot);
	for (const struct log_field *f = line->fields; f && f->name; f++) {
		add_journal_name(ret, f->name);
		buf_clear(&number);
		buf_add_i64(&number, f->i);
		add_journal_field(ret, f->s ? field_value(f) : buf_str(&number));
	}
	buf_done(&number);
	buf_done(&message);
}
