/* SPDX-License-Identifier: MIT */
/*
 * Asks the database about accounts and changes them, one statement at a time.
 * What the changes mean is sql/'s; how answers look is roomctl_text.c's.
 */
#include "daemon/roomctl_user.h"

#include <sysexits.h>

#include "daemon/roomctl_client.h"
#include "daemon/roomctl_password.h"
#include "daemon/roomctl_text.h"
#include "proto/json.h"
#include "proto/names.h"
#include "proto/utf8.h"
#include "sql/accounts.h"
#include "sql/await.h"
#include "sql/factors.h"
#include "sql/logins.h"
#include "worker/pwhash.h"

#define USERNAME_MAX 100
#define LIST_PAGE 1000

/* One run of the command. */
struct run {
	const struct roomctl_options *o;
	const struct settings *s;
	struct await *db;
	struct buf answer; /* JSON for programs and for roomctl_text.c */
	struct buf why;	   /* a line for people when it failed */

	/* the answer to the statement under way */
	bool is_done;
	int err;
	int64_t user;
	size_t n_ended;
	enum account_clash clash;
	struct buf page;
};

/* ---- Waiting ---- */

/* What became of a statement whose submission returned R. */
static int wait_for(struct run *run, int r)
{
	if (r == 0)
		r = await_done(run->db, &run->is_done, &run->why);
	return r < 0 ? r : run->err;
}

static void on_done(void *arg, int err)
{
	struct run *run = arg;

	run->is_done = true;
	run->err = err;
}

static void on_made(void *arg, int err, enum account_clash clash, const struct account *account)
{
	struct run *run = arg;

	run->clash = clash;
	run->user = account ? account->id : 0;
	on_done(run, err);
}

static void on_login(void *arg, int err, const struct account_login *login)
{
	struct run *run = arg;

	run->user = login ? login->id : 0;
	on_done(run, err);
}

static void on_ended(void *arg, int err, const struct uuid *sessions UNUSED, size_t n)
{
	struct run *run = arg;

	run->n_ended = n;
	on_done(run, err);
}

static void on_page(void *arg, int err, struct str json)
{
	struct run *run = arg;

	buf_clear(&run->page);
	if (err == 0)
		buf_add_str(&run->page, json);
	on_done(run, err);
}

/* ---- Steps ---- */

/* Finds the account the command is about. */
static int find(struct run *run)
{
	int r;

	run->is_done = false;
	r = wait_for(run, account_find_login(await_db(run->db), str_of(run->o->argument), 0,
					     on_login, run, NULL));
	if (r == -ERR_NOENT || r == -ERR_INVAL) {
		buf_printf(&run->why, "there is no account \"%s\"\n", run->o->argument);
		return -ERR_NOENT;
	}
	return r;
}

/* Asks for a password and appends its hash. */
static int ask_hash(struct run *run, struct buf *ret)
{
	struct buf password = BUF_INIT, prompt = BUF_INIT;
	int64_t min = run->s->auth_password_min;
	int r;

	buf_printf(&prompt, "New password of %s: ", run->o->argument);
	buf_add_char(&prompt, '\0');
	r = roomctl_password_read((const char *)prompt.p, PWHASH_PASSWORD_MAX, &password,
				  &run->why);
	if (r == 0 && (int64_t)utf8_length(buf_str(&password)) < min) {
		buf_printf(&run->why, "the password needs %lld characters\n", (long long)min);
		r = -ERR_INVAL;
	}
	if (r == 0)
		r = pwhash_now(run->s, buf_str(&password), ret);
	roomctl_password_done(&password);
	buf_done(&prompt);
	return r;
}

/* An address that can stand in a mail's header: one '@' with something around it, no blanks. */
static bool is_email(struct str s)
{
	const char *at = memchr(s.p, '@', s.len);

	if (!at || at == s.p || at == s.p + s.len - 1 || s.len > 320 || !utf8_valid(s.p, s.len))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == ',')
			return false;
	return memchr(at + 1, '@', s.len - (size_t)(at + 1 - s.p)) == NULL;
}

static void answer_begin(struct run *run)
{
	buf_add_char(&run->answer, '{');
	json_add_key_bool(&run->answer, "ok", true);
	json_add_key_cstr(&run->answer, "user", run->o->argument);
}

/* What was done, and how many sessions it ended. */
static void answer_ended(struct run *run, const char *what)
{
	answer_begin(run);
	json_add_key_cstr(&run->answer, "done", what);
	json_add_key_i64(&run->answer, "sessions_ended", (int64_t)run->n_ended);
	buf_add_char(&run->answer, '}');
}

/* ---- Commands ---- */

static int check_new(struct run *run, struct buf *ret_name)
{
	const char *email = run->o->email;
	size_t max = (size_t)MIN(run->s->chat_name_max, USERNAME_MAX);

	if (strchr(run->o->argument, '@') ||
	    names_normal(str_of(run->o->argument), max, ret_name) < 0) {
		buf_printf(&run->why, "\"%s\" cannot be a name\n", run->o->argument);
		return -ERR_INVAL;
	}
	if (email && !is_email(str_of(email))) {
		buf_printf(&run->why, "\"%s\" is no e-mail address\n", email);
		return -ERR_INVAL;
	}
	return 0;
}

static int submit_new(struct run *run, struct str name, struct str hash)
{
	const struct roomctl_options *o = run->o;
	struct account_new n = {.username = name,
				.hash = hash,
				.is_admin = o->is_admin,
				.by_operator = true};
	int r;

	if (o->email)
		n.email = str_of(o->email);
	if (o->full_name)
		n.full_name = str_of(o->full_name);
	run->is_done = false;
	r = wait_for(run, account_create(await_db(run->db), &n, 0, on_made, run, NULL));
	if (r == -ERR_EXISTS)
		buf_printf(&run->why, "%s \"%s\" is taken\n",
			   run->clash == ACCOUNT_CLASH_EMAIL ? "the address" : "the name",
			   run->clash == ACCOUNT_CLASH_EMAIL ? o->email : o->argument);
	return r;
}

static int run_add(struct run *run)
{
	struct buf name = BUF_INIT, hash = BUF_INIT;
	int r = check_new(run, &name);

	if (r == 0)
		r = ask_hash(run, &hash);
	if (r == 0)
		r = submit_new(run, buf_str(&name), buf_str(&hash));
	if (r == 0) {
		answer_begin(run);
		json_add_key_cstr(&run->answer, "done", "added");
		json_add_key_i64(&run->answer, "id", run->user);
		buf_add_char(&run->answer, '}');
	}
	buf_done(&name);
	roomctl_password_done(&hash);
	return r;
}

static int run_passwd(struct run *run)
{
	struct buf hash = BUF_INIT;
	int r = find(run);

	if (r == 0)
		r = ask_hash(run, &hash);
	if (r == 0) {
		run->is_done = false;
		r = wait_for(run, account_set_password(await_db(run->db), run->user,
						       buf_str(&hash), NULL, ACCOUNT_ACTOR_SYSTEM,
						       ACCOUNT_CREDENTIALS_ANY, (struct str){0}, 0,
						       on_ended, run, NULL));
	}
	if (r == 0)
		answer_ended(run, "password set");
	roomctl_password_done(&hash);
	return r;
}

/* The id to go on from, 0 at the end. */
static int64_t add_page(struct run *run)
{
	struct json_doc *doc;
	int64_t next = 0;
	struct str page = buf_str(&run->page);
	const char *open = memchr(page.p, '[', page.len);
	const char *close = open ? memrchr(page.p, ']', page.len) : NULL;

	if (!close || json_parse(page, 8, &doc, NULL) < 0)
		return 0;
	if (json_count(json_get(json_root(doc), "users"))) {
		json_add_sep(&run->answer);
		buf_add(&run->answer, open + 1, (size_t)(close - open - 1));
	}
	(void)json_to_i64(json_get(json_root(doc), "next"), &next);
	json_doc_free(&doc);
	return next;
}

static int run_list(struct run *run)
{
	int64_t after = 0;
	int r;

	buf_add_cstr(&run->answer, "{\"ok\":true,\"users\":[");
	do {
		run->is_done = false;
		r = wait_for(run, account_list(await_db(run->db), after, LIST_PAGE, 0, on_page, run,
					       NULL));
		after = r == 0 ? add_page(run) : 0;
	} while (after);
	buf_add_cstr(&run->answer, "]}");
	return r;
}

static int run_show(struct run *run)
{
	int r = find(run);

	if (r < 0)
		return r;
	run->is_done = false;
	r = wait_for(run, account_get(await_db(run->db), run->user, NULL, true, 0, on_page, run,
				      NULL));
	if (r == 0)
		buf_add_str(&run->answer, buf_str(&run->page));
	return r;
}

static int run_flag(struct run *run)
{
	static const struct str nowhere = {0};
	enum roomctl_id id = run->o->id;
	int r = find(run);

	if (r < 0)
		return r;
	run->is_done = false;
	if (id == ROOMCTL_USER_ADMIN)
		r = account_set_admin(await_db(run->db), run->user, !run->o->is_off,
				      ACCOUNT_ACTOR_SYSTEM, nowhere, 0, on_ended, run, NULL);
	else
		r = account_set_disabled(await_db(run->db), run->user, id == ROOMCTL_USER_DISABLE,
					 ACCOUNT_ACTOR_SYSTEM, nowhere, 0, on_ended, run, NULL);
	r = wait_for(run, r);
	if (r < 0)
		return r;
	if (id == ROOMCTL_USER_ADMIN)
		answer_ended(run, run->o->is_off ? "no administrator" : "administrator");
	else
		answer_ended(run, id == ROOMCTL_USER_DISABLE ? "disabled" : "enabled");
	return 0;
}

static int end_sessions(struct run *run)
{
	int r;

	run->is_done = false;
	r = wait_for(run, login_end_all(await_db(run->db), run->user, ACCOUNT_ACTOR_SYSTEM, 0,
					on_ended, run, NULL));
	if (r == 0)
		answer_ended(run, "sessions ended");
	return r;
}

static int run_sessions(struct run *run)
{
	int r = find(run);

	if (r < 0)
		return r;
	if (run->o->is_end)
		return end_sessions(run);
	run->is_done = false;
	r = wait_for(run,
		     login_list(await_db(run->db), run->user, NULL, 0, on_page, run, NULL));
	if (r < 0)
		return r;
	answer_begin(run);
	json_add_key_raw(&run->answer, "sessions", buf_str(&run->page));
	buf_add_char(&run->answer, '}');
	return 0;
}

static int run_totp_off(struct run *run)
{
	int r = find(run);

	if (r < 0)
		return r;
	run->is_done = false;
	r = wait_for(run, factor_totp_remove(await_db(run->db), run->user, ACCOUNT_ACTOR_SYSTEM,
					     (struct str){0}, 0, on_done, run, NULL));
	if (r == -ERR_NOENT)
		buf_printf(&run->why, "\"%s\" has no second factor\n", run->o->argument);
	if (r == 0)
		answer_ended(run, "second factor removed");
	return r;
}

/* The attempts are counted in the memory of the node, so the daemon is asked. */
static int run_unlock(struct run *run)
{
	struct buf path = BUF_INIT, line = BUF_INIT, answer = BUF_INIT;
	int r = find(run);

	if (r == 0) {
		roomctl_options_socket(run->o, &path);
		buf_printf(&line, "user unlock %" PRId64, run->user);
		r = roomctl_client_ask((char *)path.p, buf_str(&line), &answer, &run->why);
		if (r == 0)
			r = roomctl_text_judge(buf_str(&answer), &run->why);
		if (r < 0 && r != -ERR_UNAVAILABLE)
			r = -ERR_AGAIN;
	}
	if (r == 0)
		answer_ended(run, "failed logins forgotten");
	buf_done(&path);
	buf_done(&line);
	buf_done(&answer);
	return r;
}

static int (*const commands[ROOMCTL_COMMANDS])(struct run *run) = {
	[ROOMCTL_USER_ADD] = run_add,	      [ROOMCTL_USER_PASSWD] = run_passwd,
	[ROOMCTL_USER_LIST] = run_list,	      [ROOMCTL_USER_SHOW] = run_show,
	[ROOMCTL_USER_DISABLE] = run_flag,    [ROOMCTL_USER_ENABLE] = run_flag,
	[ROOMCTL_USER_ADMIN] = run_flag,      [ROOMCTL_USER_SESSIONS] = run_sessions,
	[ROOMCTL_USER_TOTP_OFF] = run_totp_off, [ROOMCTL_USER_UNLOCK] = run_unlock,
};

/* ---- The end ---- */

static int exit_code(int r)
{
	switch (-r) {
	case 0:
		return EX_OK;
	case ERR_NOENT:
		return EX_NOUSER;
	case ERR_EXISTS:
		return EX_CANTCREAT;
	case ERR_INVAL:
	case ERR_TOOBIG:
		return EX_DATAERR;
	case ERR_IO:
		return EX_IOERR;
	case ERR_UNAVAILABLE:
		return EX_UNAVAILABLE;
	case ERR_AGAIN:
		return EX_TEMPFAIL;
	default:
		return EX_SOFTWARE;
	}
}

static void print_failure(struct run *run, int r)
{
	struct buf b = BUF_INIT;

	if (run->why.len == 0)
		buf_add_cstr(&run->why, err_text(r));
	if (run->why.p[run->why.len - 1] != '\n')
		buf_add_char(&run->why, '\n');
	if (!run->o->is_json) {
		fprintf(stderr, "roomctl: %.*s", (int)run->why.len, (char *)run->why.p);
		return;
	}
	run->why.len--;
	buf_add_char(&b, '{');
	json_add_key_bool(&b, "ok", false);
	json_add_key_str(&b, "error", buf_str(&run->why));
	buf_add_cstr(&b, "}\n");
	fwrite(b.p, 1, b.len, stdout);
	buf_done(&b);
}

static int print_success(struct run *run)
{
	struct buf text = BUF_INIT;

	if (run->o->is_json)
		buf_add_str(&text, buf_str(&run->answer));
	else if (roomctl_text_print(run->o->id, buf_str(&run->answer), &text) < 0)
		return EX_PROTOCOL;
	if (text.len && text.p[text.len - 1] != '\n')
		buf_add_char(&text, '\n');
	fwrite(text.p, 1, text.len, stdout);
	buf_done(&text);
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

static int user_run(struct run *run)
{
	const char *name = run->o->argument ? run->o->argument : "";
	int r = -ERR_INVAL;

	if (!utf8_valid(name, strlen(name)))
		buf_add_cstr(&run->why, "the name is not UTF-8 text\n");
	else
		r = await_open(run->s->database_url, &run->db, &run->why);
	if (r == 0)
		r = commands[run->o->id](run);
	await_free(&run->db);
	if (r == 0)
		return print_success(run);
	print_failure(run, r);
	return fflush(stdout) == 0 ? exit_code(r) : EX_IOERR;
}

int roomctl_user_run(const struct roomctl_options *o)
{
	struct run run = {.o = o};
	struct settings *s;
	int code;

	if (options_load(&o->common, &s, &run.why) < 0) {
		fwrite(run.why.p, 1, run.why.len, stderr);
		buf_done(&run.why);
		return EX_CONFIG;
	}
	run.s = s;
	code = user_run(&run);
	buf_done(&run.answer);
	buf_done(&run.why);
	buf_done(&run.page);
	settings_free(&s);
	return code;
}
