/* SPDX-License-Identifier: MIT */
/*
 * Makes lines and columns of JSON answers.
 * Asking is roomctl_client.c's.
 */
#include "daemon/roomctl_text.h"

#include "proto/json.h"

#define DEPTH_MAX 8
#define COLUMNS_MAX 16

/* ---- Columns ---- */

/* Code points, near enough to columns of a terminal. */
static size_t width_of(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* The next cell of *REST; *RET_IS_LAST: of its row. False at the end. */
static bool next_cell(struct str *rest, struct str *ret, bool *ret_is_last)
{
	size_t len = 0;

	if (rest->len == 0)
		return false;
	while (len < rest->len && rest->p[len] != '\t' && rest->p[len] != '\n')
		len++;
	*ret = (struct str){rest->p, len};
	*ret_is_last = len == rest->len || rest->p[len] == '\n';
	len += len < rest->len;
	*rest = (struct str){rest->p + len, rest->len - len};
	return true;
}

/* Empty cells at the end leave no blanks. */
static void end_line(struct buf *b)
{
	while (b->len && b->p[b->len - 1] == ' ')
		b->len--;
	buf_add_char(b, '\n');
}

void roomctl_text_align(struct str tabbed, struct buf *ret)
{
	size_t widths[COLUMNS_MAX] = {0}, column = 0;
	struct str rest = tabbed, cell;
	bool is_last;

	while (next_cell(&rest, &cell, &is_last)) {
		const size_t width = is_last ? 0 : width_of(cell); /* nothing stands behind it */

		widths[column] = MAX(widths[column], width);
		column = is_last ? 0 : MIN(column + 1, COLUMNS_MAX - 1);
	}
	column = 0;
	for (rest = tabbed; next_cell(&rest, &cell, &is_last);) {
		buf_add_str(ret, cell);
		if (is_last)
			end_line(ret);
		for (size_t i = width_of(cell); !is_last && i < widths[column] + 2; i++)
			buf_add_char(ret, ' ');
		column = is_last ? 0 : MIN(column + 1, COLUMNS_MAX - 1);
	}
}

/* ---- Values ---- */

/* Names come from clients: nothing in them may steer the terminal or forge a line. */
static void add_clean(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool is_c1 = c == 0xc2 && i + 1 < s.len && (unsigned char)s.p[i + 1] < 0xa0;

		i += is_c1;
		buf_add_char(b, c < ' ' || c == 0x7f || is_c1 ? '?' : (char)c);
	}
}

static int64_t number(const struct json_value *v, const char *key)
{
	int64_t n = 0;

	(void)json_to_i64(json_get(v, key), &n);
	return n;
}

static struct str text(const struct json_value *v, const char *key)
{
	struct str s = STR("");

	(void)json_to_str(json_get(v, key), &s);
	return s;
}

static bool truth(const struct json_value *v, const char *key)
{
	bool b = false;

	(void)json_to_bool(json_get(v, key), &b);
	return b;
}

static void add_text(struct buf *b, const struct json_value *v, const char *key)
{
	add_clean(b, text(v, key));
}

static void add_scalar(struct buf *b, const struct json_value *v)
{
	struct str s;
	int64_t n;

	if (json_to_str(v, &s))
		add_clean(b, s);
	else if (json_to_i64(v, &n))
		buf_add_i64(b, n);
}

/* The elements, or their members KEY, with commas between. */
static void add_items(struct buf *b, const struct json_value *list, const char *key)
{
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json_value *item = json_at(list, i);

		if (i)
			buf_add_cstr(b, ", ");
		add_scalar(b, key ? json_get(item, key) : item);
	}
}

static void add_duration(struct buf *b, int64_t ms)
{
	int64_t s = ms / 1000;

	if (s >= 86400)
		buf_printf(b, "%" PRId64 " d %" PRId64 " h", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		buf_printf(b, "%" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
	else if (s >= 60)
		buf_printf(b, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
	else
		buf_printf(b, "%" PRId64 ".%" PRId64 " s", s, ms / 100 % 10);
}

/* ---- Answers ---- */

static void add_worker(struct buf *b, const struct json_value *w)
{
	buf_printf(b, "%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t", number(w, "slot"),
		   number(w, "pid"), number(w, "generation"));
	add_text(b, w, "state");
	buf_add_char(b, '\t');
	if (json_get(w, "age_ms"))
		add_duration(b, number(w, "age_ms"));
	buf_add_char(b, '\t');
	if (json_get(w, "heartbeat_age_ms"))
		buf_printf(b, "%" PRId64 " ms", number(w, "heartbeat_age_ms"));
	buf_printf(b, "\t%" PRId64 " bytes\n", number(w, "ring_behind"));
}

static void print_status(const struct json_value *v, struct buf *b)
{
	const struct json_value *database = json_get(v, "database");
	const struct json_value *workers = json_get(v, "workers");

	buf_add_cstr(b, "roomd\t");
	add_text(b, v, "version");
	buf_printf(b, "\npid\t%" PRId64 "\nstate\t", number(v, "pid"));
	add_text(b, v, "state");
	buf_add_cstr(b, "\nup\t");
	add_duration(b, number(v, "uptime_ms"));
	buf_add_cstr(b, "\nlisten\t");
	add_items(b, json_get(v, "listen"), NULL);
	buf_printf(b, "\nsockets\t%" PRId64 "\nschema\t", number(v, "sockets"));
	add_text(b, database, "schema");
	buf_printf(b, "\ndatabase\t%" PRId64 " connections\n\n", number(database, "connections"));
	buf_add_cstr(b, "WORKER\tPID\tGENERATION\tSTATE\tUP\tHEARTBEAT\tRING LAG\n");
	for (size_t i = 0; i < json_count(workers); i++)
		add_worker(b, json_at(workers, i));
}

static const char *room_state(const struct json_value *room)
{
	return truth(room, "closed") ? "deleted" : "open";
}

static void print_room_list(const struct json_value *v, struct buf *b)
{
	const struct json_value *rooms = json_get(v, "rooms");

	buf_add_cstr(b, "ROOM\tCONNECTIONS\tUSERS\tREVISION\tSTATE\tWORKERS\n");
	for (size_t i = 0; i < json_count(rooms); i++) {
		const struct json_value *room = json_at(rooms, i);

		buf_printf(b, "%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%s\t",
			   number(room, "conversation"), number(room, "connections"),
			   number(room, "members"), number(room, "published_rev"),
			   room_state(room));
		add_items(b, json_get(room, "workers"), NULL);
		buf_add_char(b, '\n');
	}
}

/* One set: its size, then what is in it. */
static void add_set(struct buf *b, const char *name, const struct json_value *list, const char *key)
{
	buf_printf(b, "%s\t%zu\t", name, json_count(list));
	add_items(b, list, key);
	buf_add_char(b, '\n');
}

static void print_room_show(const struct json_value *v, struct buf *b)
{
	const struct json_value *users = json_get(v, "users");

	buf_printf(b, "room\t%" PRId64 "\nsocket.io\t", number(v, "conversation"));
	add_text(b, v, "room");
	buf_printf(b, "\nconnections\t%" PRId64 "\n", number(v, "connections"));
	add_set(b, "users", users, "id");
	add_set(b, "names", users, "name");
	add_set(b, "typing", json_get(v, "typing"), "name");
	add_set(b, "workers", json_get(v, "workers"), NULL);
	buf_printf(b, "revision\t%" PRId64 "\nstate\t%s\n", number(v, "published_rev"),
		   room_state(v));
}

static void add_lines(struct buf *b, const char *word, const struct json_value *list)
{
	for (size_t i = 0; i < json_count(list); i++) {
		buf_printf(b, "%s\t", word);
		add_scalar(b, json_at(list, i));
		buf_add_char(b, '\n');
	}
}

static void print_reload(const struct json_value *v, struct buf *b)
{
	size_t before = b->len;

	add_lines(b, "applied", json_get(v, "applied"));
	add_lines(b, "needs restart", json_get(v, "restart"));
	add_lines(b, "fault", json_get(v, "faults"));
	if (!truth(v, "ok"))
		buf_add_cstr(b, "the configuration has faults: the old one stays in force\n");
	else if (b->len == before)
		buf_add_cstr(b, "nothing has changed\n");
}

static void print_stop(const struct json_value *v, struct buf *b)
{
	add_text(b, v, "state");
	buf_add_char(b, '\n');
}

static void print_log_level(const struct json_value *v, struct buf *b)
{
	buf_add_cstr(b, "log level\t");
	add_text(b, v, "level");
	buf_add_char(b, '\n');
}

/* ---- Accounts ---- */

/* "ann: password set, 2 sessions ended" */
static void print_user_done(const struct json_value *v, struct buf *b)
{
	int64_t n = number(v, "sessions_ended");

	add_text(b, v, "user");
	buf_add_cstr(b, ": ");
	add_text(b, v, "done");
	if (n)
		buf_printf(b, ", %" PRId64 " session%s ended", n, n == 1 ? "" : "s");
	buf_add_char(b, '\n');
}

/* The members KEYS as cells of one row. */
static void add_cells(struct buf *b, const struct json_value *v, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_add_char(b, '\t');
		if (json_get(v, keys[i]))
			add_scalar(b, json_get(v, keys[i]));
	}
}

static void print_user_list(const struct json_value *v, struct buf *b)
{
	static const char *const ends[] = {"sessions", "last_seen_at", "email"};
	const struct json_value *users = json_get(v, "users");

	buf_add_cstr(b, "ID\tNAME\tROLE\tTOTP\tSTATE\tSESSIONS\tLAST SEEN\tEMAIL\n");
	for (size_t i = 0; i < json_count(users); i++) {
		const struct json_value *u = json_at(users, i);

		buf_printf(b, "%" PRId64 "\t", number(u, "id"));
		add_text(b, u, "username");
		buf_printf(b, "\t%s\t%s\t%s\t", truth(u, "is_admin") ? "admin" : "user",
			   truth(u, "totp") ? "on" : "off",
			   json_get(u, "disabled_at") ? "disabled" : "active");
		add_cells(b, u, ends, ARRAY_LEN(ends));
		buf_add_char(b, '\n');
	}
}

static void print_user_show(const struct json_value *v, struct buf *b)
{
	static const char *const keys[][2] = {{"name", "username"},	   {"id", "id"},
					      {"uid", "uid"},		   {"email", "email"},
					      {"full name", "full_name"},  {"avatar", "avatar_url"},
					      {"created", "created_at"}};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		buf_printf(b, "%s\t", keys[i][0]);
		add_cells(b, v, &keys[i][1], 1);
		buf_add_char(b, '\n');
	}
	buf_printf(b, "role\t%s\npassword\t%s\ntotp\t%s\nstate\t%s\n",
		   truth(v, "is_admin") ? "admin" : "user",
		   truth(v, "has_password") ? "set" : "none", truth(v, "totp") ? "on" : "off",
		   truth(v, "is_disabled") ? "disabled" : "active");
}

static void print_user_sessions(const struct json_value *v, struct buf *b)
{
	static const char *const keys[] = {"id",	  "kind",	  "address",
					   "connectedAt", "last_seen_at", "device"};
	const struct json_value *sessions = json_get(v, "sessions");

	if (json_get(v, "done")) {
		print_user_done(v, b);
		return;
	}
	buf_add_cstr(b, "SESSION\tKIND\tADDRESS\tCONNECTED\tLAST SEEN\tDEVICE\n");
	for (size_t i = 0; i < json_count(sessions); i++) {
		add_cells(b, json_at(sessions, i), keys, ARRAY_LEN(keys));
		buf_add_char(b, '\n');
	}
}

static void print_client_list(const struct json_value *v, struct buf *b)
{
	static const char *const texts[] = {"client", "link", "dialect"};
	const struct json_value *clients = json_get(v, "clients");

	buf_add_cstr(b, "CLIENT\tLINK\tDIALECT\tTLS\tUSER\tNAME\tROOMS\tOWN ROOM\n");
	for (size_t i = 0; i < json_count(clients); i++) {
		const struct json_value *c = json_at(clients, i);

		for (size_t k = 0; k < ARRAY_LEN(texts); k++) {
			add_text(b, c, texts[k]);
			buf_add_char(b, '\t');
		}
		buf_printf(b, "%s\t%" PRId64 "\t", truth(c, "tls") ? "yes" : "no",
			   number(c, "user"));
		add_text(b, c, "name");
		buf_printf(b, "\t%" PRId64 "\t", number(c, "subscriptions"));
		add_text(b, c, "room");
		buf_add_char(b, '\n');
	}
}

static void (*const printers[ROOMCTL_COMMANDS])(const struct json_value *v, struct buf *b) = {
	[ROOMCTL_STATUS] = print_status,   [ROOMCTL_ROOM_LIST] = print_room_list,
	[ROOMCTL_STOP] = print_stop,	   [ROOMCTL_ROOM_SHOW] = print_room_show,
	[ROOMCTL_RELOAD] = print_reload,   [ROOMCTL_LOG_LEVEL] = print_log_level,
	[ROOMCTL_CLIENT_LIST] = print_client_list,
	[ROOMCTL_USER_ADD] = print_user_done,
	[ROOMCTL_USER_PASSWD] = print_user_done,
	[ROOMCTL_USER_LIST] = print_user_list,
	[ROOMCTL_USER_SHOW] = print_user_show,
	[ROOMCTL_USER_DISABLE] = print_user_done,
	[ROOMCTL_USER_ENABLE] = print_user_done,
	[ROOMCTL_USER_ADMIN] = print_user_done,
	[ROOMCTL_USER_UNLOCK] = print_user_done,
	[ROOMCTL_USER_SESSIONS] = print_user_sessions,
	[ROOMCTL_USER_TOTP_OFF] = print_user_done,
};

static bool is_object(const struct json_doc *doc)
{
	return json_kind_of(json_root(doc)) == JSON_KIND_OBJECT;
}

int roomctl_text_judge(struct str answer, struct buf *ret_why)
{
	struct json_doc *doc;
	const struct json_value *root;
	struct str why;
	bool is_ok;
	int r = 0;

	if (json_parse(answer, DEPTH_MAX, &doc, NULL) < 0)
		return 0;
	root = json_root(doc);
	if (json_to_str(json_get(root, "error"), &why)) {
		add_clean(ret_why, why);
		r = -ERR_DENIED;
	} else if (json_to_bool(json_get(root, "ok"), &is_ok) && !is_ok) {
		r = -ERR_INVAL;
	}
	json_doc_free(&doc);
	return r;
}

int roomctl_text_print(enum roomctl_id id, struct str answer, struct buf *ret)
{
	struct buf tabbed = BUF_INIT;
	struct json_doc *doc;
	int r = -ERR_PROTO;

	if (!printers[id]) {
		buf_add_str(ret, answer);
		return 0;
	}
	if (json_parse(answer, DEPTH_MAX, &doc, NULL) < 0)
		return -ERR_PROTO;
	if (is_object(doc)) {
		printers[id](json_root(doc), &tabbed);
		roomctl_text_align(buf_str(&tabbed), ret);
		r = 0;
	}
	json_doc_free(&doc);
	buf_done(&tabbed);
	return r;
}
