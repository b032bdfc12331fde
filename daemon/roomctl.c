/* SPDX-License-Identifier: MIT */
/*
 * roomctl's entry point: asks the daemon, or works on the database and the configuration itself.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <sysexits.h>

#include "daemon/check.h"
#include "daemon/roomctl_client.h"
#include "daemon/roomctl_cookie.h"
#include "daemon/roomctl_database.h"
#include "daemon/roomctl_keys.h"
#include "daemon/roomctl_options.h"
#include "daemon/roomctl_text.h"
#include "daemon/roomctl_user.h"
#include "daemon/roomctl_audit.h"
#include "daemon/roomctl_verify.h"

static int complain(struct buf *why, int code)
{
	if (why->len)
		fprintf(stderr, "roomctl: %.*s%s", (int)why->len, (char *)why->p,
			why->p[why->len - 1] == '\n' ? "" : "\n");
	buf_done(why);
	return code;
}

/* Returns the exit code; a full disk or a closed pipe is a failure, too. */
static int print(struct str text, int code)
{
	bool has_end = text.len && text.p[text.len - 1] == '\n';

	if (text.len)
		fwrite(text.p, 1, text.len, stdout);
	if (!has_end)
		putchar('\n');
	return fflush(stdout) == 0 ? code : EX_IOERR;
}

static int client_code(int r)
{
	if (r == -ERR_DENIED)
		return EX_NOPERM;
	return r == -ERR_UNAVAILABLE ? EX_UNAVAILABLE : EX_TEMPFAIL;
}

static int show(const struct roomctl_options *o, struct str answer, int code)
{
	struct buf text = BUF_INIT;

	if (o->is_json)
		return print(answer, code);
	if (roomctl_text_print(o->id, answer, &text) < 0) {
		buf_add_cstr(&text, "the answer is not understood");
		return complain(&text, EX_PROTOCOL);
	}
	code = print(buf_str(&text), code);
	buf_done(&text);
	return code;
}

static int show_answer(const struct roomctl_options *o, struct str answer)
{
	struct buf why = BUF_INIT;
	int r = roomctl_text_judge(answer, &why);

	if (r == -ERR_DENIED && !o->is_json)
		return complain(&why, EX_UNAVAILABLE);
	buf_done(&why);
	if (r == -ERR_INVAL)
		return show(o, answer, EX_CONFIG);
	return show(o, answer, r == 0 ? EX_OK : EX_UNAVAILABLE);
}

static int run_ask(const struct roomctl_options *o)
{
	struct buf path = BUF_INIT, line = BUF_INIT, answer = BUF_INIT, why = BUF_INIT;
	int r = roomctl_options_line(o, &line, &why), code = EX_USAGE;

	if (r == 0) {
		roomctl_options_socket(o, &path);
		r = roomctl_client_ask((char *)path.p, buf_str(&line), &answer, &why);
		code = client_code(r);
	}
	code = r < 0 ? complain(&why, code) : show_answer(o, buf_str(&answer));
	buf_done(&path);
	buf_done(&line);
	buf_done(&answer);
	return code;
}

static int run_check(const struct roomctl_options *o)
{
	return check_run(&o->common, false);
}

static int run_version(const struct roomctl_options *o)
{
	(void)o;
	return print(STR("roomctl " PACKAGE_VERSION), EX_OK);
}

static int run_help(const struct roomctl_options *o)
{
	struct buf text = BUF_INIT;
	int code;

	(void)o;
	roomctl_options_help(&text);
	code = print(buf_str(&text), EX_OK);
	buf_done(&text);
	return code;
}

/* What is not asked of the daemon. */
static int (*const actions[ROOMCTL_COMMANDS])(const struct roomctl_options *o) = {
	[ROOMCTL_INIT_DB] = roomctl_database_run,
	[ROOMCTL_MIGRATE] = roomctl_database_run,
	[ROOMCTL_VERIFY] = roomctl_verify_run,
	[ROOMCTL_AUDIT] = roomctl_audit_run,
	[ROOMCTL_USER_ADD] = roomctl_user_run,
	[ROOMCTL_USER_PASSWD] = roomctl_user_run,
	[ROOMCTL_USER_LIST] = roomctl_user_run,
	[ROOMCTL_USER_SHOW] = roomctl_user_run,
	[ROOMCTL_USER_DISABLE] = roomctl_user_run,
	[ROOMCTL_USER_ENABLE] = roomctl_user_run,
	[ROOMCTL_USER_ADMIN] = roomctl_user_run,
	[ROOMCTL_USER_UNLOCK] = roomctl_user_run,
	[ROOMCTL_USER_SESSIONS] = roomctl_user_run,
	[ROOMCTL_USER_TOTP_OFF] = roomctl_user_run,
	[ROOMCTL_COOKIE] = roomctl_cookie_run,
	[ROOMCTL_KEYS] = roomctl_keys_run,
	[ROOMCTL_CHECK] = run_check,
	[ROOMCTL_VERSION] = run_version,
	[ROOMCTL_HELP] = run_help,
};

int main(int argc, char **argv)
{
	struct roomctl_options o;
	struct buf why = BUF_INIT;

	if (roomctl_options_parse(argc, argv, &o, &why) < 0) {
		complain(&why, EX_USAGE);
		fputs("Try \"roomctl --help\".\n", stderr);
		return EX_USAGE;
	}
	return roomctl_commands[o.id].asks_daemon ? run_ask(&o) : actions[o.id](&o);
}
