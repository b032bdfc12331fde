/* SPDX-License-Identifier: MIT */
/*
 * The rules of what people type to show who they are.
 * Whether it is right is found out in credentials_proof.c.
 */
#include "worker/credentials.h"

#include "proto/json.h"
#include "proto/names.h"
#include "proto/utf8.h"
#include "worker/pwhash.h"

const struct json_value *credentials_body(struct call *call, struct json_doc **ret_doc)
{
	uint32_t depth = (uint32_t)call->wk->settings->websocket_json_depth_max;
	struct fault fault;

	if (json_parse(call->req->body, depth, ret_doc, &fault) < 0) {
		call_fault(call, &fault, NULL);
		return NULL;
	}
	if (json_kind_of(json_root(*ret_doc)) == JSON_KIND_OBJECT)
		return json_root(*ret_doc);
	json_doc_free(ret_doc);
	call_error(call, E_INVALID, "The body must be an object.");
	return NULL;
}

int credentials_username(const struct call *call, const struct json_value *body, struct str *ret,
			 struct fault *ret_fault)
{
	size_t max = (size_t)MIN(call->wk->settings->chat_name_max, USERNAME_MAX);
	struct str name;
	int r = names_get(body, "username", max, true, &name, ret_fault);

	if (r < 0)
		return r;
	if (memchr(name.p, '@', name.len)) { /* would be looked for as an address */
		fault_field(ret_fault, FAULT_VALUE, "username", 0);
		ret_fault->error = E_BAD_NAME;
		return -ERR_INVAL;
	}
	*ret = name;
	return 0;
}

int credentials_password(const struct json_value *body, const char *key, struct str *ret,
			 struct fault *ret_fault)
{
	static const struct json_str_rule rule = {0, PWHASH_PASSWORD_MAX, true};
	struct str password;
	int r = json_get_str(body, key, &rule, &password, ret_fault);

	if (r < 0)
		return r;
	if (password.len > PWHASH_PASSWORD_MAX) {
		fault_field(ret_fault, FAULT_TOO_LONG, key, PWHASH_PASSWORD_MAX);
		return -ERR_INVAL;
	}
	*ret = password;
	return 0;
}

int credentials_new_password(const struct call *call, const struct json_value *body,
			     const char *key, struct str *ret, struct fault *ret_fault)
{
	int64_t min = call->wk->settings->auth_password_min;
	struct str password;
	int r = credentials_password(body, key, &password, ret_fault);

	if (r < 0)
		return r;
	if ((int64_t)utf8_length(password) < min) {
		fault_field(ret_fault, FAULT_TOO_SHORT, key, min);
		return -ERR_INVAL;
	}
	*ret = password;
	return 0;
}

/* RFC 5322 section 3.2.3 "atext", without what shells and headers have other uses for. */
static bool is_atext(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (unsigned char)c >= 0x80 || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_label(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (unsigned char)c >= 0x80 || c == '-';
}

/* Atoms of such characters with single dots between them. */
static bool is_dotted(struct str s, bool (*is_part)(char c))
{
	char last = '.';

	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '.' ? last == '.' : !is_part(s.p[i]))
			return false;
		last = s.p[i];
	}
	return last != '.';
}

bool credentials_email_valid(struct str s)
{
	const char *at = memchr(s.p, '@', s.len);
	struct str local, domain;
	uint32_t cp;
	size_t pos = 0;

	if (!at || s.len > EMAIL_MAX || s.p[0] == '-') /* no option of the mail command */
		return false;
	while (utf8_next(s, &pos, &cp))
		if (utf8_is_space(cp) || (cp >= 0x80 && cp < 0xa0))
			return false;
	local = (struct str){s.p, (size_t)(at - s.p)};
	domain = (struct str){at + 1, s.len - local.len - 1};
	return local.len <= 64 && is_dotted(local, is_atext) && is_dotted(domain, is_label);
}

int credentials_email(const struct json_value *body, bool required, struct str *ret,
		      struct fault *ret_fault)
{
	const struct json_str_rule rule = {0, EMAIL_MAX, required};
	struct str email;
	int r = json_get_str(body, "email", &rule, &email, ret_fault);

	if (r < 0)
		return r;
	email = utf8_trim(email);
	if (!credentials_email_valid(email)) {
		fault_field(ret_fault, FAULT_VALUE, "email", 0);
		return -ERR_INVAL;
	}
	*ret = email;
	return 0;
}
