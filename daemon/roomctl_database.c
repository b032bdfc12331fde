/* SPDX-License-Identifier: MIT */
/*
 * Runs the migrations for the operator and says what they did.
 * What they are is sql/'s; at start the daemon runs them itself, unless told otherwise.
 */
#include "daemon/roomctl_database.h"

#include <sysexits.h>

#include "proto/json.h"
#include "sql/database.h"
#include "sql/migrate.h"

static int exit_code(int r)
{
	switch (-r) {
	case 0:
		return EX_OK;
	case ERR_AGAIN:
	case ERR_TIMEOUT:
		return EX_TEMPFAIL;
	case ERR_UNAVAILABLE:
		return EX_UNAVAILABLE;
	case ERR_DENIED:
		return EX_NOPERM;
	case ERR_CORRUPT:
	case ERR_UNSUPPORTED:
		return EX_DATAERR;
	default:
		return EX_SOFTWARE;
	}
}

/* Whether a line of REPORT tells of a change: "0001 schema: applied", "database x: created". */
static bool has_change(struct str report)
{
	static const struct str ends[] = {{": applied\n", 10}, {": created\n", 10}};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (report.len && memmem(report.p, report.len, ends[i].p, ends[i].len))
			return true;
	return false;
}

static void print_json(int r, struct str report)
{
	struct buf b = BUF_INIT;

	buf_add_char(&b, '{');
	json_add_key_bool(&b, "ok", r == 0);
	json_add_key_bool(&b, "changed", has_change(report));
	json_add_key(&b, "report");
	buf_add_char(&b, '[');
	while (report.len) {
		const char *end = memchr(report.p, '\n', report.len);
		size_t len = end ? (size_t)(end - report.p) : report.len;

		json_add_sep(&b);
		buf_add_json(&b, (struct str){report.p, len});
		len += end ? 1 : 0;
		report = (struct str){report.p + len, report.len - len};
	}
	buf_add_cstr(&b, "]}\n");
	fwrite(b.p, 1, b.len, stdout);
	buf_done(&b);
}

static void print_text(int r, struct str report)
{
	if (report.len)
		fwrite(report.p, 1, report.len, r == 0 ? stdout : stderr);
	if (r == 0 && !has_change(report))
		puts("nothing was changed");
	else if (r < 0)
		fprintf(stderr, "roomctl: %s\n",
			migrate_text(r));
}

int roomctl_database_run(const struct roomctl_options *o)
{
	struct buf report = BUF_INIT;
	struct settings *s;
	enum migrate_mode mode = o->is_check ? MIGRATE_CHECK : MIGRATE_APPLY;
	int r = options_load(&o->common, &s, &report);

	if (r < 0) {
		fwrite(report.p, 1, report.len, stderr);
		buf_done(&report);
		return EX_CONFIG;
	}
	if (o->id == ROOMCTL_INIT_DB)
		r = database_ensure(s->database_url, &report);
	if (r == 0)
		r = migrate_run(s->database_url, mode, &report);
	if (o->is_json)
		print_json(r, buf_str(&report));
	else
		print_text(r, buf_str(&report));
	buf_done(&report);
	settings_free(&s);
	return exit_code(r);
}
