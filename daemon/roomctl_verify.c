/* SPDX-License-Identifier: MIT */
/*
 * Shows the operator what the recounts found: lines for people, one object for programs.
 * What is recounted is sql/'s.
 */
#include "daemon/roomctl_verify.h"

#include <sysexits.h>

#include "proto/json.h"
#include "sql/verify.h"

/* More are not worth reading: the first ones show what is wrong. */
#define DIFFERENCES_MAX 1000

static const struct recount {
	const char *name;
	enum verify_what what;
} recounts[] = {{"log", VERIFY_LOG}, {"unread", VERIFY_UNREAD}};

/* What the rows of one recount go to. */
struct finding {
	const char *name;
	bool is_json;
	struct buf *out;
};

void roomctl_verify_add_text(struct buf *b, const char *what, const struct verify_row *row)
{
	buf_printf(b, "%s: conversation %lld", what, (long long)row->conv);
	if (row->rev)
		buf_printf(b, " rev %lld", (long long)row->rev);
	if (row->user)
		buf_printf(b, " user %lld", (long long)row->user);
	buf_printf(b, ": %.*s, is %lld, should be %lld\n", (int)row->problem.len, row->problem.p,
		   (long long)row->have, (long long)row->want);
}

void roomctl_verify_add_json(struct buf *b, const char *what, const struct verify_row *row)
{
	json_add_sep(b);
	buf_add_char(b, '{');
	json_add_key_cstr(b, "recount", what);
	json_add_key_i64(b, "conversation", row->conv);
	if (row->rev)
		json_add_key_i64(b, "rev", row->rev);
	if (row->user)
		json_add_key_i64(b, "user", row->user);
	json_add_key_str(b, "problem", row->problem);
	json_add_key_i64(b, "is", row->have);
	json_add_key_i64(b, "should_be", row->want);
	buf_add_char(b, '}');
}

static void on_row(void *arg, const struct verify_row *row)
{
	const struct finding *f = arg;

	(f->is_json ? roomctl_verify_add_json : roomctl_verify_add_text)(f->out, f->name, row);
}

/* Does the recounts asked for; the number of differences goes to *RET_N. */
static int recount_all(const struct roomctl_options *o, const char *url, struct buf *out,
		       int64_t *ret_n, struct buf *report)
{
	int64_t n, total = 0;

	for (size_t i = 0; i < ARRAY_LEN(recounts); i++) {
		struct finding f = {recounts[i].name, o->is_json, out};
		int r;

		if (o->argument && strcmp(o->argument, "all") != 0 &&
		    strcmp(o->argument, recounts[i].name) != 0)
			continue;
		r = verify_run(url, recounts[i].what, DIFFERENCES_MAX, on_row, &f, &n, report);
		if (r < 0)
			return r;
		total += n;
		if (!o->is_json)
			buf_printf(out, "%s: %lld%s differences\n", recounts[i].name, (long long)n,
				   n == DIFFERENCES_MAX ? " or more" : "");
	}
	*ret_n = total;
	return 0;
}

static void print_json(int r, struct str differences, struct str report)
{
	struct buf b = BUF_INIT;

	report.len -= report.len && report.p[report.len - 1] == '\n' ? 1 : 0;
	buf_add_char(&b, '{');
	json_add_key_bool(&b, "ok", r == 0 && differences.len == 0);
	if (r < 0) {
		json_add_key_str(&b, "error", report);
	} else {
		json_add_key(&b, "differences");
		buf_add_char(&b, '[');
		buf_add_str(&b, differences);
		buf_add_char(&b, ']');
	}
	buf_add_cstr(&b, "}\n");
	fwrite(b.p, 1, b.len, stdout);
	buf_done(&b);
}

static bool is_known(const char *what)
{
	for (size_t i = 0; i < ARRAY_LEN(recounts); i++)
		if (strcmp(what, recounts[i].name) == 0)
			return true;
	return strcmp(what, "all") == 0;
}

static int verify(const struct roomctl_options *o, const char *url)
{
	struct buf out = BUF_INIT, report = BUF_INIT;
	int64_t n = 0;
	int r = recount_all(o, url, &out, &n, &report);

	if (o->is_json)
		print_json(r, buf_str(&out), buf_str(&report));
	else if (r == 0)
		fwrite(out.p, 1, out.len, stdout);
	else
		fprintf(stderr, "roomctl: %.*s", (int)report.len, (char *)report.p);
	buf_done(&out);
	buf_done(&report);
	if (r < 0)
		return r == -ERR_UNAVAILABLE ? EX_UNAVAILABLE : EX_SOFTWARE;
	return n ? ROOMCTL_EX_DIFFERENT : EX_OK;
}

int roomctl_verify_run(const struct roomctl_options *o)
{
	struct buf report = BUF_INIT;
	struct settings *s;
	int code;

	if (o->argument && !is_known(o->argument)) {
		fprintf(stderr, "roomctl: \"%s\" is none of unread, log and all\n", o->argument);
		return EX_USAGE;
	}
	if (options_load(&o->common, &s, &report) < 0) {
		fwrite(report.p, 1, report.len, stderr);
		buf_done(&report);
		return EX_CONFIG;
	}
	code = verify(o, s->database_url);
	buf_done(&report);
	settings_free(&s);
	return fflush(stdout) == 0 ? code : EX_IOERR;
}
