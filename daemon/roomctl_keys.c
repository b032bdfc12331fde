/* SPDX-License-Identifier: MIT */
/*
 * Tells the operator when a previous key may go: nothing is sealed with it any more.
 * Sealing is worker/seal's, the rows sql/factors'.
 */
#include "daemon/roomctl_keys.h"

#include <sysexits.h>

#include "daemon/roomctl_verify.h"
#include "proto/json.h"
#include "sql/await.h"
#include "sql/factors.h"
#include "worker/keyring.h"

struct listing {
	const struct keyring *ring;
	bool is_json, is_done, has_unknown;
	int err;
	struct buf out;
};

static const char *state_of(struct listing *l, struct str kid)
{
	if (str_eq(kid, str_of(keyring_current(l->ring, KEY_SECRET)->kid)))
		return "current";
	if (keyring_find(l->ring, KEY_SECRET, kid))
		return "previous";
	l->has_unknown = true;
	return "unknown";
}

static void add_key(struct listing *l, struct str kid, int64_t n)
{
	const char *state = state_of(l, kid);

	if (!l->is_json) {
		buf_printf(&l->out, "%.*s %-8s %lld\n", (int)kid.len, kid.p, state, (long long)n);
		return;
	}
	json_add_sep(&l->out);
	buf_add_char(&l->out, '{');
	json_add_key_str(&l->out, "key", kid);
	json_add_key_cstr(&l->out, "state", state);
	json_add_key_i64(&l->out, "secrets", n);
	buf_add_char(&l->out, '}');
}

static void on_keys(void *arg, int err, const struct db_result *res)
{
	struct listing *l = arg;
	struct str kid;
	int64_t n;

	l->is_done = true;
	l->err = err;
	for (int i = 0; !err && i < db_rows(res); i++) {
		factor_keys_row(res, i, &kid, &n);
		add_key(l, kid, n);
	}
}

static int list(struct listing *l, const char *url, struct buf *report)
{
	struct await *db;
	int r = await_open(url, &db, report);

	if (r < 0)
		return r;
	r = factor_keys(await_db(db), 0, on_keys, l, NULL);
	if (r == 0)
		r = await_done(db, &l->is_done, report);
	await_free(&db);
	return r < 0 ? r : l->err;
}

static int print(const struct roomctl_options *o, const struct settings *s)
{
	struct listing l = {.is_json = o->is_json};
	struct buf report = BUF_INIT;
	struct keyring *ring;
	int r;

	if (keyring_new(s, &ring) < 0) {
		fputs("roomctl: the crypto library refused\n", stderr);
		return EX_SOFTWARE;
	}
	l.ring = ring;
	r = list(&l, s->database_url, &report);
	if (r < 0)
		fprintf(stderr, "roomctl: %.*s\n", (int)report.len,
			report.len ? (char *)report.p : "");
	else if (o->is_json)
		printf("{\"ok\":%s,\"keys\":[%.*s]}\n", l.has_unknown ? "false" : "true",
		       (int)l.out.len, l.out.len ? (char *)l.out.p : "");
	else
		fwrite(l.out.p, 1, l.out.len, stdout);
	keyring_free(&ring);
	buf_done(&l.out);
	buf_done(&report);
	if (r < 0)
		return r == -ERR_UNAVAILABLE ? EX_UNAVAILABLE : EX_SOFTWARE;
	if (fflush(stdout) != 0 || ferror(stdout))
		return EX_IOERR;
	return l.has_unknown ? ROOMCTL_EX_DIFFERENT : EX_OK;
}

int roomctl_keys_run(const struct roomctl_options *o)
{
	struct buf report = BUF_INIT;
	struct settings *s;
	int code = EX_CONFIG;

	if (options_load(&o->common, &s, &report) < 0) {
		fwrite(report.p, 1, report.len, stderr);
		buf_done(&report);
		return EX_CONFIG;
	}
	if (*s->auth_secret_key)
		code = print(o, s);
	else
		fputs("roomctl: auth.secret_key is not set: only the daemon has its key\n", stderr);
	settings_free(&s);
	buf_done(&report);
	return code;
}
