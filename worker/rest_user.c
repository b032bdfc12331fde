/* SPDX-License-Identifier: MIT */
/*
 * Users whom clients name by number or UUID. What is done with them is the handlers'.
 */
#include "proto/json.h"
#include "sql/accounts.h"
#include "worker/dbio.h"
#include "worker/rest.h"

int rest_user_get(const struct json_value *body, const char *key, struct rest_user *ret,
		  struct fault *ret_fault)
{
	static const struct json_int_rule number = {1, INT64_MAX, true, true};
	static const struct json_str_rule text = {1, UUID_TEXT_LEN, true};
	struct fault other;
	struct str s;

	*ret = (struct rest_user){0};
	if (json_get_str(body, key, &text, &s, &other) == 0 && uuid_parse(s, &ret->uid) == 0)
		return 0;
	*ret = (struct rest_user){0};
	return json_get_i64(body, key, &number, &ret->id, ret_fault) < 0 ? -ERR_INVAL : 0;
}

struct naming {
	struct call *call;
	rest_user_fn *next;
};

static void refuse(struct call *call, int err)
{
	free(call->state);
	call->state = NULL;
	if (err == -ERR_NOENT)
		call_error(call, E_NOT_FOUND, "There is no such user.");
	else
		call_db_error(call, err);
}

static void on_profile(void *arg, int err, struct str json)
{
	const struct json_int_rule rule = {1, INT64_MAX, true, false};
	struct naming n = *(struct naming *)arg;
	struct json_doc *doc = NULL;
	struct fault fault;
	int64_t user = 0;

	free(arg);
	if (err == 0)
		err = json_parse(json, 4, &doc, &fault);
	if (err == 0)
		err = json_get_i64(json_root(doc), "id", &rule, &user, &fault);
	json_doc_free(&doc);
	if (err < 0)
		refuse(n.call, err);
	else
		n.next(n.call, user);
}

void rest_user(struct call *call, const struct rest_user *who, rest_user_fn *next)
{
	struct naming *n;
	int r;

	if (who->id > 0) {
		next(call, who->id);
		return;
	}
	if (uuid_is_zero(&who->uid)) {
		refuse(call, -ERR_NOENT);
		return;
	}
	n = xmalloc(sizeof(*n));
	*n = (struct naming){call, next};
	r = account_get(dbio_reader(call->wk), 0, &who->uid, false, dbio_deadline(call->wk),
			on_profile, n, NULL);
	if (r < 0)
		on_profile(n, r, STR(""));
}
