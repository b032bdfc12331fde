/* SPDX-License-Identifier: MIT */
/*
 * Settings as text: effective values, and the table as JSON, manual and sample file.
 * Reading is settings_read.c's.
 */
#include "base/settings_priv.h"

static const char *const type_names[] = {
	[SETTING_BOOL] = "bool",     [SETTING_INT] = "int",   [SETTING_SIZE] = "size",
	[SETTING_DURATION] = "time", [SETTING_STRING] = "string", [SETTING_LIST] = "list",
	[SETTING_ENUM] = "enum",     [SETTING_RATE] = "rate",
};

void settings_print(const struct settings *s, bool with_secrets, struct buf *ret)
{
	const struct setting_info *info = setting_table;

	for (size_t i = 0; i < setting_count; i++, info++) {
		bool is_masked = info->flag == SETTING_SECRET && !with_secrets &&
				 **(char **)setting_slot(s, i);

		buf_printf(ret, "%s.%s=", info->section, info->name);
		if (is_masked)
			buf_add_cstr(ret, "***");
		else
			setting_format(s, i, ret);
		buf_add_char(ret, '\n');
	}
}

static void add_member(struct buf *ret, const char *name, const char *value)
{
	buf_printf(ret, "\"%s\":", name);
	buf_add_json(ret, str_of(value));
	buf_add_char(ret, ',');
}

static void describe_json(struct buf *ret)
{
	const struct setting_info *info = setting_table;

	buf_add_cstr(ret, "[");
	for (size_t i = 0; i < setting_count; i++, info++) {
		buf_add_cstr(ret, i ? ",\n{" : "\n{");
		add_member(ret, "section", info->section);
		add_member(ret, "name", info->name);
		add_member(ret, "type", type_names[info->type]);
		add_member(ret, "default", info->def);
		add_member(ret, "unit", info->unit);
		add_member(ret, "apply", info->apply == SETTING_LIVE ? "live" : "restart");
		add_member(ret, "help", info->help);
		buf_printf(ret, "\"min\":%" PRId64 ",\"max\":%" PRId64 ",\"secret\":%s}", info->min,
			   info->max, info->flag == SETTING_SECRET ? "true" : "false");
	}
	buf_add_cstr(ret, "\n]\n");
}

/* What the value may be, in words: "10 to 60000 connections", "a, b or c". */
static void add_domain(size_t i, struct buf *ret)
{
	const struct setting_info *info = &setting_table[i];

	if (info->type == SETTING_BOOL) {
		buf_add_cstr(ret, "on or off");
	} else if (info->type == SETTING_ENUM) {
		for (const char *p = info->unit; *p; p++)
			if (*p != '|')
				buf_add_char(ret, *p);
			else
				buf_add_cstr(ret, strchr(p + 1, '|') ? ", " : " or ");
	} else if (info->type == SETTING_RATE) {
		buf_printf(ret, "%s in a time, such as 100/15m or 20/s burst 40; or off",
			   info->unit);
	} else if (setting_is_text(i)) {
		buf_printf(ret, "%s%s", info->unit,
			   info->type == SETTING_LIST ? ", several allowed" : "");
	} else {
		setting_format_number(i, info->min, ret);
		buf_add_cstr(ret, " to ");
		setting_format_number(i, info->max, ret);
		if (info->type == SETTING_INT)
			buf_printf(ret, " %s", info->unit);
	}
}

/* Length of the first line when TEXT is broken at blanks to at most WIDTH bytes. */
static size_t wrap_at(const char *text, size_t width)
{
	size_t len = strlen(text), at = width;

	if (len <= width)
		return len;
	while (at > 0 && text[at] != ' ')
		at--;
	return at ? at : len;
}

/* roff reads a leading dot or quote as a request, and a backslash as an escape. */
static void add_roff(struct buf *ret, struct str text)
{
	if (text.len > 0 && (text.p[0] == '.' || text.p[0] == '\''))
		buf_add_cstr(ret, "\\&");
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] == '\\')
			buf_add_cstr(ret, "\\e");
		else if (text.p[i] == '-')
			buf_add_cstr(ret, "\\-");
		else
			buf_add_char(ret, text.p[i]);
	}
}

/* TEXT on lines of its own: a new line for each sentence, and before column 78. */
static void add_roff_lines(struct buf *ret, const char *text)
{
	const char *stop;
	size_t take;

	for (; *text; text += strspn(text, " ")) {
		take = wrap_at(text, 76);
		stop = memmem(text, take, ". ", 2);
		if (stop)
			take = (size_t)(stop - text) + 1;
		add_roff(ret, (struct str){text, take});
		buf_add_char(ret, '\n');
		text += take;
	}
}

static bool starts_section(size_t i)
{
	return i == 0 || strcmp(setting_table[i].section, setting_table[i - 1].section) != 0;
}

static void describe_mdoc(struct buf *ret)
{
	const struct setting_info *info = setting_table;

	for (size_t i = 0; i < setting_count; i++, info++) {
		if (starts_section(i))
			buf_printf(ret, "%s.Ss Section %s\n.Bl -tag -width Ds\n", i ? ".El\n" : "",
				   info->section);
		buf_printf(ret, ".It Cm %s\n", info->name);
		add_roff_lines(ret, info->help);
		buf_add_cstr(ret, "Value: ");
		add_domain(i, ret);
		buf_add_cstr(ret, *info->def ? ".\nDefault:\n.Ql " : ".\nDefault: empty");
		add_roff(ret, str_of(info->def));
		buf_add_cstr(ret, *info->def ? " .\n" : ".\n");
		if (info->apply == SETTING_RESTART)
			buf_add_cstr(ret, "A change needs a restart.\n");
	}
	buf_add_cstr(ret, ".El\n");
}

/* TEXT as comment lines of at most 100 columns. */
static void add_comment(struct buf *ret, const char *text)
{
	size_t take;

	for (; *text; text += strspn(text, " ")) {
		take = wrap_at(text, 98);
		buf_printf(ret, "# %.*s\n", (int)take, text);
		text += take;
	}
}

static void describe_conf(struct buf *ret)
{
	const struct setting_info *info = setting_table;

	add_comment(ret,
		    "Configuration of roomd; see roomd.conf(5). Every line that is commented out "
		    "shows the default.");
	for (size_t i = 0; i < setting_count; i++, info++) {
		if (starts_section(i))
			buf_printf(ret, "\n[%s]\n", info->section);
		buf_add_char(ret, '\n');
		add_comment(ret, info->help);
		buf_add_cstr(ret, "# Value: ");
		add_domain(i, ret);
		buf_printf(ret, ".%s\n",
			   info->apply == SETTING_RESTART ? " A change needs a restart." : "");
		buf_printf(ret, "#%s =%s%s\n", info->name, *info->def ? " " : "", info->def);
	}
}

int settings_describe(const char *format, struct buf *ret)
{
	static const struct {
		const char *name;
		void (*describe)(struct buf *ret);
	} formats[] = {{"json", describe_json}, {"mdoc", describe_mdoc}, {"conf", describe_conf}};

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		if (strcmp(format, formats[i].name) != 0)
			continue;
		formats[i].describe(ret);
		return 0;
	}
	return -ERR_UNSUPPORTED;
}
