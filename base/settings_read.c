/* SPDX-License-Identifier: MIT */
/*
 * Settings from a file, from the environment and from the command line; faults are gathered.
 * The form of one value is settings_value.c's.
 */
#include "base/settings_priv.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>

/*
 * Longest line of a file: a list of addresses may be long. inih counts line end and NUL within
 * it.
 */
#define FILE_LINE_MAX 8192

/*
 * Debian's inih can be told at run time what others fix when it is compiled; where these are absent
 * its limits stand, and a line over them is still refused by read_line below.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
extern bool ini_use_stack __attribute__((weak));
extern bool ini_allow_multiline __attribute__((weak));
extern bool ini_allow_no_value __attribute__((weak));
extern int ini_max_line __attribute__((weak));
extern int ini_initial_alloc __attribute__((weak));
#pragma GCC diagnostic pop

struct reading {
	struct settings *settings;
	struct buf *faults;
	const char *place; /* file, variable or option */
	FILE *stream;	   /* NULL when not a file */
	int line; /* 0 when not a file */
	bool is_too_long;
};

static void PRINTF_LIKE(2, 3) fault(struct reading *rd, const char *fmt, ...);

static void fault(struct reading *rd, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	buf_add_cstr(rd->faults, rd->place);
	if (rd->stream)
		buf_printf(rd->faults, ":%d", rd->line);
	buf_printf(rd->faults, ": %s\n", text);
}

static void unknown(struct reading *rd, struct str section, struct str name)
{
	struct buf hint = BUF_INIT;

	setting_suggest(section, name, &hint);
	fault(rd, "%.*s.%.*s: unknown setting%.*s", (int)section.len, section.p, (int)name.len,
	      name.p, (int)hint.len, (const char *)hint.p);
	buf_done(&hint);
}

static void put(struct reading *rd, size_t i, struct str value)
{
	struct buf why = BUF_INIT;

	if (setting_parse(rd->settings, i, value, &why) < 0)
		fault(rd, "%s.%s: %.*s", setting_table[i].section, setting_table[i].name,
		      (int)why.len, (const char *)why.p);
	buf_done(&why);
	rd->settings->lines[i] = rd->line;
}

/* inih's fgets: counts lines, and takes one that is too long as a whole. */
static char *read_line(char *line, int size, void *user)
{
	struct reading *rd = user;
	size_t len;
	int c;

	if (!fgets(line, size, rd->stream))
		return NULL;
	rd->line++;
	len = strlen(line);
	if (len + 1 < (size_t)size || line[len - 1] == '\n')
		return line;
	c = fgetc(rd->stream);
	if (c == EOF)
		return line;
	fault(rd, "line is longer than %d bytes", size - 1);
	while (c != '\n' && c != EOF)
		c = fgetc(rd->stream);
	line[0] = '\0';
	return line;
}

static int on_value(void *user, const char *section, const char *name, const char *value)
{
	struct reading *rd = user;
	int i = setting_find(str_of(section), str_of(name));

	if (!value) {
		fault(rd, "%s.%s: has no value", section, name);
	} else if (i < 0) {
		unknown(rd, str_of(section), str_of(name));
	} else if (rd->settings->lines[i]) {
		fault(rd, "%s.%s: set already in line %d", section, name, rd->settings->lines[i]);
	} else {
		put(rd, (size_t)i, str_of(value));
	}
	return 1;
}

static void configure_inih(void)
{
	if (&ini_use_stack && &ini_max_line && &ini_initial_alloc) {
		ini_use_stack = false;
		ini_max_line = FILE_LINE_MAX;
		ini_initial_alloc = FILE_LINE_MAX;
	}
	if (&ini_allow_multiline)
		ini_allow_multiline = false;
	if (&ini_allow_no_value)
		ini_allow_no_value = true;
}

static int read_stream(struct reading *rd)
{
	size_t before = rd->faults->len;
	int r;

	configure_inih();
	memset(rd->settings->lines, 0, sizeof(rd->settings->lines));
	r = ini_parse_stream(read_line, rd, on_value, rd);
	if (ferror(rd->stream))
		return -ERR_IO;
	if (r > 0) { /* the first line that is neither [section], name = value nor a comment */
		rd->line = r;
		fault(rd, "neither [section] nor name = value");
	}
	return rd->faults->len == before ? 0 : -ERR_INVAL;
}

int settings_read_file(struct settings *s, const char *file, struct buf *ret_faults)
{
	struct reading rd = {.settings = s, .faults = ret_faults, .place = file};
	int r;

	rd.stream = fopen(file, "re");
	if (!rd.stream) {
		r = errno == ENOENT ? -ERR_NOENT : -ERR_IO;
		buf_printf(ret_faults, "%s: %m\n", file);
		return r;
	}
	r = read_stream(&rd);
	fclose(rd.stream);
	if (r == -ERR_IO)
		buf_printf(ret_faults, "%s: cannot be read\n", file);
	return r;
}

/* The line that set what LINE, "section.name: reason", is about; 0 if no file did. */
static int line_of(const struct settings *s, struct str line)
{
	const char *colon = memchr(line.p, ':', line.len);
	const char *dot = colon ? memchr(line.p, '.', (size_t)(colon - line.p)) : NULL;
	int i;

	if (!dot)
		return 0;
	i = setting_find((struct str){line.p, (size_t)(dot - line.p)},
			 (struct str){dot + 1, (size_t)(colon - dot - 1)});
	return i < 0 ? 0 : s->lines[i];
}

void settings_locate(const struct settings *s, const char *file, size_t from, struct buf *faults)
{
	struct buf located = BUF_INIT;
	struct str line;
	const char *end;
	size_t pos = from;
	int number;

	for (; pos < faults->len; pos += line.len) {
		line = (struct str){(const char *)faults->p + pos, faults->len - pos};
		end = memchr(line.p, '\n', line.len);
		if (end)
			line.len = (size_t)(end + 1 - line.p);
		number = line_of(s, line);
		if (number > 0)
			buf_printf(&located, "%s:%d: ", file, number);
		buf_add_str(&located, line);
	}
	faults->len = MIN(faults->len, from);
	buf_add_str(faults, buf_str(&located));
	buf_done(&located);
}

int settings_assign(struct settings *s, struct str assignment, struct buf *ret_faults)
{
	struct reading rd = {.settings = s, .faults = ret_faults, .place = "-o"};
	const char *equals = memchr(assignment.p, '=', assignment.len);
	size_t before = ret_faults->len;
	struct str section, name;
	const char *dot;
	int i;

	if (!equals || !(dot = memchr(assignment.p, '.', (size_t)(equals - assignment.p)))) {
		fault(&rd, "\"%.*s\" is not section.name=value", (int)MIN(assignment.len, 60),
		      assignment.p);
		return -ERR_INVAL;
	}
	section = (struct str){assignment.p, (size_t)(dot - assignment.p)};
	name = (struct str){dot + 1, (size_t)(equals - dot - 1)};
	i = setting_find(section, name);
	if (i < 0)
		unknown(&rd, section, name);
	else
		put(&rd, (size_t)i,
		    (struct str){equals + 1, assignment.len - (size_t)(equals + 1 - assignment.p)});
	return ret_faults->len == before ? 0 : -ERR_INVAL;
}

static bool list_has(const struct buf *list, struct str item)
{
	size_t pos = 0;
	struct str it;
	char *text = xstrndup((const char *)list->p, list->len);
	bool has = false;

	while (!has && settings_list_next(text, &pos, &it))
		has = str_eq(it, item);
	free(text);
	return has;
}

/* server.listen with another port; addresses that become equal are kept once. */
static void replace_ports(struct reading *rd, const char *port)
{
	size_t row = (size_t)setting_find(STR("server"), STR("listen")), pos = 0;
	struct buf list = BUF_INIT, address = BUF_INIT;
	struct str item;
	const char *colon;

	while (settings_list_next(rd->settings->server_listen, &pos, &item)) {
		colon = memrchr(item.p, ':', item.len);
		buf_clear(&address);
		buf_printf(&address, "%.*s:%s", (int)(colon ? (size_t)(colon - item.p) : item.len),
			   item.p, port);
		if (list_has(&list, buf_str(&address)))
			continue;
		if (list.len > 0)
			buf_add_char(&list, ' ');
		buf_add_str(&list, buf_str(&address));
	}
	put(rd, row, buf_str(&list));
	buf_done(&address);
	buf_done(&list);
}

static const char *env_value(struct reading *rd, const char *name)
{
	const char *value = getenv(name);

	rd->place = name;
	return value && *value ? value : NULL;
}

int settings_read_env(struct settings *s, struct buf *ret_faults)
{
	struct reading rd = {.settings = s, .faults = ret_faults};
	size_t before = ret_faults->len;
	const char *value;
	int64_t port;

	if ((value = env_value(&rd, "PORT"))) {
		if (str_to_i64(str_of(value), &port) < 0 || port < 0 || port > UINT16_MAX)
			fault(&rd, "must be a port number");
		else
			replace_ports(&rd, value);
	}
	if ((value = env_value(&rd, "DATABASE_URL")))
		put(&rd, (size_t)setting_find(STR("database"), STR("url")), str_of(value));
	if ((value = env_value(&rd, "SECRET_KEY")))
		put(&rd, (size_t)setting_find(STR("auth"), STR("secret_key")), str_of(value));
	return ret_faults->len == before ? 0 : -ERR_INVAL;
}
