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

/* What guessers try first, of eight characters and more, in small letters. */
static const char *const common[] = {
	"00000000",  "11111111",   "12121212",	   "123123123",	 "12341234",	"12345678",
	"123456789", "1234567890", "123456789a",   "1q2w3e4r",	 "1q2w3e4r5t",	"1qaz2wsx",
	"66666666",  "87654321",   "88888888",	   "987654321",	 "99999999",	"a1234567",
	"aaaaaaaa",  "abc12345",   "abcd1234",	   "abcdefgh",	 "administrator", "alexander",
	"asdfasdf",  "asdfghjkl",  "baseball",	   "basketball", "changeme",	"computer",
	"football",  "iloveyou",   "internet",	   "jennifer",	 "liverpool",	"michelle",
	"passw0rd",  "password",   "password1",	   "passwort",	 "princess",	"q1w2e3r4",
	"q1w2e3r4t5", "qwer1234",  "qwerty123",	   "qwertyui",	 "qwertyuiop",	"qwertzui",
	"qwertzuiop", "starwars",  "sunshine",	   "superman",	 "trustno1",	"welcome1",
	"whatever",  "zaq12wsx",
};

static bool is_guessed_first(struct str password, struct str name)
{
	struct buf text = BUF_INIT;
	bool is_weak = name.len && names_same(password, name);

	names_skeleton(&text, password);
	for (size_t i = 0; i < ARRAY_LEN(common) && !is_weak; i++)
		is_weak = str_eq(buf_str(&text), str_of(common[i]));
	if (text.len)
		explicit_bzero(text.p, text.len);
	buf_done(&text);
	return is_weak;
}

int credentials_new_password(const struct call *call, const struct json_value *body,
			     const char *key, struct str name, struct str *ret,
			     struct fault *ret_fault)
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
	if (!call->wk->settings->auth_password_common && is_guessed_first(password, name)) {
		fault_field(ret_fault, FAULT_VALUE, key, 0);
		snprintf(ret_fault->text, sizeof(ret_fault->text), "%s",
			 "The password is among those that are guessed first.");
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

/* ---- Profiles ---- */

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

int credentials_profile(struct str full_name, struct str avatar_url, struct fault *ret_fault)
{
	if (full_name.len && !names_is_line(full_name, false))
		fault_field(ret_fault, FAULT_VALUE, "full_name", 0);
	else if (avatar_url.len && !is_web_address(avatar_url))
		fault_field(ret_fault, FAULT_VALUE, "avatar_url", 0);
	else
		return 0;
	return -ERR_INVAL;
}
