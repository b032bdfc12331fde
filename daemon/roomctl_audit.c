/* SPDX-License-Identifier: MIT */
/*
 * Shows the operator the audit log and the faults of its chain.
 * Rows, chaining and verification are sql/'s.
 */
#include "daemon/roomctl_audit.h"

#include <sysexits.h>

#include "daemon/roomctl_verify.h"
#include "proto/json.h"
#include "sql/audit.h"

static bool on_entry(void *arg, struct str json)
{
	(void)arg;
	return fwrite(json.p, 1, json.len, stdout) == json.len && putchar('\n') != EOF;
}

struct findings {
	bool is_json;
	int64_t n;
	struct buf out;
};

static void on_fault(void *arg, const struct audit_fault *fault)
{
	struct findings *f = arg;

	f->n++;
	if (f->is_json) {
		json_add_sep(&f->out);
		buf_add_char(&f->out, '{');
		json_add_key_i64(&f->out, "n", fault->n);
		json_add_key_i64(&f->out, "id", fault->id);
		json_add_key_str(&f->out, "problem", fault->problem);
		buf_add_char(&f->out, '}');
		return;
	}
	buf_printf(&f->out, "entry %lld, link %lld: %.*s\n", (long long)fault->id,
		   (long long)fault->n, (int)fault->problem.len, fault->problem.p);
}

static void print_findings(const struct findings *f, int64_t n, const char *head)
{
	struct buf b = BUF_INIT;

	if (f->is_json) {
		buf_add_char(&b, '{');
		json_add_key_bool(&b, "ok", f->n == 0);
		json_add_key_i64(&b, "length", n);
		json_add_key_cstr(&b, "head", head);
		json_add_key(&b, "faults");
		buf_add_char(&b, '[');
		buf_add_str(&b, buf_str(&f->out));
		buf_add_cstr(&b, "]}\n");
	} else {
		buf_add_str(&b, buf_str(&f->out));
		buf_printf(&b, "%lld entries, %lld faults, head %s\n", (long long)n,
			   (long long)f->n, *head ? head : "none");
	}
	fwrite(b.p, 1, b.len, stdout);
	buf_done(&b);
}

static int check(const struct roomctl_options *o, const char *url, struct buf *report)
{
	struct findings f = {.is_json = o->is_json};
	char head[65] = "";
	int64_t n = 0;
	int r = audit_verify(url, on_fault, &f, &n, head, report);

	if (r == 0)
		print_findings(&f, n, head);
	buf_done(&f.out);
	return r < 0 ? r : f.n ? ROOMCTL_EX_DIFFERENT : EX_OK;
}

int roomctl_audit_run(const struct roomctl_options *o)
{
	struct buf report = BUF_INIT;
	struct settings *s;
	int64_t after = 0;
	int code;

	if (o->argument && (str_to_i64(str_of(o->argument), &after) < 0 || after < 0)) {
		fprintf(stderr, "roomctl: \"%s\" is no number of an entry\n", o->argument);
		return EX_USAGE;
	}
	if (options_load(&o->common, &s, &report) < 0) {
		fwrite(report.p, 1, report.len, stderr);
		buf_done(&report);
		return EX_CONFIG;
	}
	code = o->is_verify ? check(o, s->database_url, &report)
			    : audit_export(s->database_url, after, on_entry, NULL, &report);
	if (code < 0) {
		fprintf(stderr, "roomctl: %.*s", (int)report.len, (char *)report.p);
		code = code == -ERR_UNAVAILABLE ? EX_UNAVAILABLE : EX_SOFTWARE;
	}
	buf_done(&report);
	settings_free(&s);
	return fflush(stdout) == 0 && !ferror(stdout) ? code : EX_IOERR;
}
