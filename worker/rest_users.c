/* SPDX-License-Identifier: MIT */
/*
 * Profiles: one's own, others', and finding people by the beginning of their username.
 * What a profile has is decided by sql/accounts.h, which shows an e-mail address to its owner
 * alone.
 */
#include "proto/json.h"
#include "proto/utf8.h"
#include "sql/accounts.h"
#include "worker/credentials.h"
#include "worker/dbio.h"
#include "worker/rest.h"
#include "worker/routes.h"

#define SEARCH_DEFAULT 20
#define SEARCH_MAX 50

static void on_profile(void *arg, int err, struct str json)
{
	struct call *call = arg;
	struct fault fault;

	if (!err) {
		call_json(call, 200, json);
	} else if (err == -ERR_NOENT) {
		call_error(call, E_NOT_FOUND, "There is no such user.");
	} else if (err == -ERR_EXISTS) {
		fault_field(&fault, FAULT_VALUE, "email", 0);
		fault.error = E_DUPLICATE;
		call_fault(call, &fault, NULL);
	} else {
		call_db_error(call, err);
	}
}

void rest_users_me(struct call *call)
{
	int r = account_get(dbio_reader(call->wk), call->who.user, NULL, true,
			    dbio_deadline(call->wk), on_profile, call, NULL);

	if (r < 0)
		on_profile(call, r, STR(""));
}

void rest_users_get(struct call *call)
{
	int r = -ERR_NOENT;

	if (call->path_id[0] || !uuid_is_zero(&call->path_uuid[0]))
		r = account_get(dbio_reader(call->wk), call->path_id[0], &call->path_uuid[0], false,
				dbio_deadline(call->wk), on_profile, call, NULL);
	if (r < 0)
		on_profile(call, r, STR(""));
}

/* ---- Change ---- */

/* A member that is null takes the value away, one that is absent leaves it. */
static int take_text(const struct json_value *body, const char *key, uint32_t max, struct str *ret,
		     struct fault *fault)
{
	const struct json_str_rule rule = {0, max, false};
	const struct json_value *member;
	struct str name;
	size_t pos = 0;
	int r;

	while (json_next(body, &pos, &name, &member))
		if (str_eq(name, str_of(key)) && json_kind_of(member) == JSON_KIND_NULL)
			*ret = STR("");
	r = json_get_str(body, key, &rule, ret, fault);
	return r == -ERR_NOENT ? 0 : r;
}

/* Scripts and data must not hide in what pages will load. */
static bool is_web_address(struct str s)
{
	static const char *const schemes[] = {"https://", "http://"};

	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || strchr("\"<>\\^`{|}", s.p[i]))
			return false;
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		size_t n = strlen(schemes[i]);

		if (s.len > n && str_ieq((struct str){s.p, n}, str_of(schemes[i])))
			return true;
	}
	return false;
}

static bool is_one_line(struct str s)
{
	uint32_t cp;
	size_t pos = 0;

	while (utf8_next(s, &pos, &cp))
		if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x2028 || cp == 0x2029)
			return false;
	return true;
}

static int refuse_field(const char *field, struct fault *fault)
{
	fault_field(fault, FAULT_VALUE, field, 0);
	return -ERR_INVAL;
}

static int read_patch(const struct json_value *body, struct account_patch *ret,
		      struct fault *fault)
{
	int r = take_text(body, "full_name", 200, &ret->full_name, fault);

	if (r == 0)
		r = take_text(body, "avatar_url", 2048, &ret->avatar_url, fault);
	if (r == 0)
		r = take_text(body, "email", EMAIL_MAX, &ret->email, fault);
	if (r < 0)
		return r;
	ret->full_name = ret->full_name.p ? utf8_trim(ret->full_name) : ret->full_name;
	if (ret->full_name.len && !is_one_line(ret->full_name))
		return refuse_field("full_name", fault);
	if (ret->avatar_url.len && !is_web_address(ret->avatar_url))
		return refuse_field("avatar_url", fault);
	if (ret->email.len && !credentials_email_valid(ret->email))
		return refuse_field("email", fault);
	return 0;
}

void rest_users_patch(struct call *call)
{
	struct account_patch patch = {0};
	struct json_doc *doc = NULL;
	const struct json_value *body = credentials_body(call, &doc);
	struct fault fault;
	int r;

	if (!body)
		return;
	if (read_patch(body, &patch, &fault) < 0) {
		call_fault(call, &fault, NULL);
	} else {
		r = account_patch(dbio_writer(call->wk), call->who.user, &patch,
				  dbio_deadline(call->wk), on_profile, call, NULL);
		if (r < 0)
			on_profile(call, r, STR(""));
	}
	json_doc_free(&doc);
}

/* ---- Search ---- */

static void on_found(void *arg, int err, struct str json)
{
	struct call *call = arg;
	struct buf body = BUF_INIT;

	if (err) {
		call_db_error(call, err);
		return;
	}
	buf_add_char(&body, '{');
	json_add_key_raw(&body, "users", json);
	buf_add_char(&body, '}');
	call_json(call, 200, buf_str(&body));
	buf_done(&body);
}

void rest_users_search(struct call *call)
{
	int64_t limit = SEARCH_DEFAULT;
	struct buf query = BUF_INIT;
	struct fault fault;
	int r = http_query_get(call->req, "q", &query);

	if (r < 0 || !query.len) {
		fault_field(&fault, r == -ERR_NOENT ? FAULT_MISSING : FAULT_VALUE, "q", 0);
		call_fault(call, &fault, NULL);
	} else if (rest_query_number(call->req, "limit", 1, SEARCH_MAX, &limit, &fault) ==
		   -ERR_INVAL) {
		call_fault(call, &fault, NULL);
	} else {
		r = account_search(dbio_reader(call->wk), buf_str(&query), (int)limit,
				   dbio_deadline(call->wk), on_found, call, NULL);
		if (r < 0)
			on_found(call, r, STR(""));
	}
	buf_done(&query);
}
