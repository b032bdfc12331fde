/* SPDX-License-Identifier: MIT */
/*
 * Shows the operator what is in a cookie, for who wonders why somebody is not let in.
 * Opening is worker/cookie's.
 */
#include "daemon/roomctl_cookie.h"

#include <sysexits.h>

#include "base/clock.h"
#include "proto/json.h"
#include "worker/cookie.h"
#include "worker/keyring.h"

static void add_uuid(struct buf *b, const char *key, const struct uuid *u)
{
	char text[UUID_TEXT_LEN + 1];

	if (uuid_is_zero(u))
		return;
	uuid_format(u, text);
	json_add_key_cstr(b, key, text);
}

static int print_cookie(const struct cookie *c)
{
	struct buf b = BUF_INIT;
	bool is_written;

	buf_add_char(&b, '{');
	json_add_key_cstr(&b, "name", c->name);
	if (c->user)
		json_add_key_i64(&b, "user_id", c->user);
	add_uuid(&b, "uid", &c->uid);
	add_uuid(&b, "session_id", &c->session);
	json_add_key_bool(&b, "guest", c->is_guest);
	json_add_key_bool(&b, "admin", c->is_admin);
	if (c->room)
		json_add_key_i64(&b, "room", c->room);
	json_add_key_time(&b, "expires_at", c->expires_ms);
	buf_add_cstr(&b, "}\n");
	is_written = fwrite(b.p, 1, b.len, stdout) == b.len && fflush(stdout) == 0;
	buf_done(&b);
	return is_written ? EX_OK : EX_IOERR;
}

/* With a name in front, as browsers show it, or without. */
static struct str value_of(char *line)
{
	const struct str field = STR(COOKIE_FIELD "=");
	struct str s = {line, strcspn(line, "\r\n; ")};

	if (s.len > field.len && memcmp(s.p, field.p, field.len) == 0)
		s = (struct str){s.p + field.len, s.len - field.len};
	return s;
}

static int open_line(const struct settings *s)
{
	char line[COOKIE_TEXT_MAX + 64];
	struct keyring *ring;
	struct cookie c;
	int r;

	if (!fgets(line, sizeof(line), stdin)) {
		fputs("roomctl: the cookie is read from standard input\n", stderr);
		return EX_DATAERR;
	}
	if (keyring_new(s, &ring) < 0) {
		fputs("roomctl: the crypto library refused\n", stderr);
		return EX_SOFTWARE;
	}
	r = cookie_open(ring, value_of(line), clock_wall_ms(), &c);
	keyring_free(&ring);
	if (r == 0)
		return print_cookie(&c);
	fputs("roomctl: no cookie of these keys, or one that has expired\n", stderr);
	return EX_DATAERR;
}

int roomctl_cookie_run(const struct roomctl_options *o)
{
	struct buf report = BUF_INIT;
	struct settings *s;
	int code;

	if (options_load(&o->common, &s, &report) < 0) {
		fwrite(report.p, 1, report.len, stderr);
		buf_done(&report);
		return EX_CONFIG;
	}
	if (*s->auth_secret_key) {
		code = open_line(s);
	} else {
		fputs("roomctl: auth.secret_key is not set: only the daemon has its key\n", stderr);
		code = EX_CONFIG;
	}
	settings_free(&s);
	buf_done(&report);
	return code;
}
