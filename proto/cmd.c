/* SPDX-License-Identifier: MIT */
/*
 * Fields that requests of several dialects have in common, with their rules.
 * Names of fields and frames are the dialects'.
 */
#include "proto/cmd_priv.h"

#include "proto/event.h"
#include "proto/names.h"
#include "proto/utf8.h"

#define SUBS_MAX_DEFAULT 500
#define EMOJI_CHARS_MAX 32

int cmd_get(int r)
{
	return r == -ERR_NOENT ? 0 : r;
}

/* A text rule's verdict as a fault of KEY. */
static int judge(int r, const char *key, uint32_t max, struct fault *ret_fault)
{
	if (r == -ERR_NOENT)
		fault_field(ret_fault, FAULT_TOO_SHORT, key, 1);
	else if (r == -ERR_TOOBIG)
		fault_field(ret_fault, FAULT_TOO_LONG, key, max);
	else if (r < 0)
		fault_field(ret_fault, FAULT_VALUE, key, 0);
	return r < 0 ? -ERR_INVAL : 0;
}

static const struct json_str_rule any_text = {0, UINT32_MAX, true};

int cmd_get_name(const struct json_value *v, const char *key, const struct cmd_limits *lim,
		 bool required, struct str *ret, struct fault *ret_fault)
{
	return cmd_get(names_get(v, key, lim->name_max, required, ret, ret_fault));
}

int cmd_check_content(struct str text, const char *key, const struct cmd_limits *lim,
		      struct fault *ret_fault)
{
	return judge(utf8_message(text, lim->message_max), key, lim->message_max, ret_fault);
}

int cmd_get_content(const struct json_value *v, const char *key, const struct cmd_limits *lim,
		    struct str *ret, struct fault *ret_fault)
{
	struct str text;
	int r = json_get_str(v, key, &any_text, &text, ret_fault);

	if (r < 0)
		return r;
	r = cmd_check_content(text, key, lim, ret_fault);
	if (r == 0)
		*ret = text;
	return r;
}

/* Of the web or of this server: what a page may show as a link. */
static bool is_address(struct str s)
{
	static const char *const begins[] = {"https://", "http://", "/"};
	uint32_t cp;

	if (s.len > 1 && s.p[0] == '/' && (s.p[1] == '/' || s.p[1] == '\\'))
		return false;
	if (!names_is_line(s, false))
		return false;
	for (size_t pos = 0; utf8_next(s, &pos, &cp);)
		if (utf8_is_space(cp))
			return false;
	for (size_t i = 0; i < ARRAY_LEN(begins); i++)
		if (s.len >= strlen(begins[i]) && !memcmp(s.p, begins[i], strlen(begins[i])))
			return true;
	return false;
}

int cmd_get_said(const struct json_value *v, const char *key, const struct cmd_limits *lim,
		 struct cmd *c, struct fault *ret_fault)
{
	const struct json_str_rule rule = {0, lim->address_max, false};
	const struct json_value *content = json_get(v, "content");
	struct str text;
	int r = cmd_get(json_get_str(v, key, &rule, &c->attachment, ret_fault));

	if (r < 0)
		return r;
	if (c->attachment.len && !is_address(c->attachment)) {
		fault_field(ret_fault, FAULT_VALUE, key, 0);
		return -ERR_INVAL;
	}
	if (c->attachment.len && (!content || (json_to_str(content, &text) && !text.len))) {
		c->content = STR("");
		return 0;
	}
	return cmd_get_content(v, "content", lim, &c->content, ret_fault);
}

int cmd_get_text(const struct json_value *v, const char *key, const struct json_str_rule *rule,
		 struct str *ret, struct fault *ret_fault)
{
	struct str text;
	int r = json_get_str(v, key, rule, &text, ret_fault);

	if (r < 0)
		return cmd_get(r);
	if (utf8_message(text, rule->max) == -ERR_INVAL || !names_is_line(text, true))
		return judge(-ERR_INVAL, key, 0, ret_fault);
	*ret = text;
	return 0;
}

void cmd_set_key(struct cmd *c, struct str key)
{
	c->key = key;
	c->has_key = true;
	if (uuid_parse(key, &c->key_uuid) < 0)
		c->key_uuid = uuid_hash(key.p, key.len);
}

int cmd_get_key(const struct json_value *v, const char *key, struct cmd *c, struct fault *ret_fault)
{
	static const struct json_str_rule rule = {1, CMD_KEY_MAX, false};
	struct str text;
	int r = json_get_str(v, key, &rule, &text, ret_fault);

	if (r < 0)
		return cmd_get(r);
	if (text.len > CMD_KEY_MAX) {
		fault_field(ret_fault, FAULT_TOO_LONG, key, CMD_KEY_MAX);
		return -ERR_INVAL;
	}
	cmd_set_key(c, text);
	return 0;
}

uint32_t cmd_subs_max(const struct cmd_limits *lim)
{
	return lim->subs_max ? lim->subs_max : SUBS_MAX_DEFAULT;
}

int cmd_get_conv(const struct json_value *v, const char *key, bool optional,
		 const struct cmd_limits *lim, struct cmd *c, struct fault *ret_fault)
{
	const struct json_int_rule rule = {1, INT32_MAX, !optional, true};
	struct str text;

	if (lim->conv_uids && json_to_str(json_get(v, key), &text) &&
	    uuid_parse(text, &c->conv_uid) == 0) {
		c->has_conv_uid = true;
		return 0;
	}
	return cmd_get(json_get_i64(v, key, &rule, &c->conv, ret_fault));
}

bool cmd_msgid(const struct json_value *v, int64_t *ret_conv, int64_t *ret_rev)
{
	struct uuid uuid;
	struct str text;
	int64_t id;

	if (json_to_i64(v, &id))
		return msgid_split(id, ret_conv, ret_rev) == 0;
	if (!json_to_str(v, &text))
		return false;
	if (str_to_i64(text, &id) == 0)
		return msgid_split(id, ret_conv, ret_rev) == 0;
	return uuid_parse(text, &uuid) == 0 && msgid_from_uuid(&uuid, ret_conv, ret_rev) == 0;
}

/* An id names its conversation itself; one that is given besides must be the same. */
static int target_by_id(const struct json_value *id, struct cmd *c, struct fault *ret_fault)
{
	int64_t conv, rev;

	if (!cmd_msgid(id, &conv, &rev) || (c->conv && c->conv != conv)) {
		fault_field(ret_fault, FAULT_VALUE, "message", 0);
		return -ERR_INVAL;
	}
	c->conv = conv;
	c->target_rev = rev;
	c->has_conv_uid = false;
	return 0;
}

int cmd_get_target(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		   struct fault *ret_fault)
{
	static const struct json_int_rule rule = {1, UINT32_MAX, true, true};
	const struct json_value *id = json_get(v, "message");
	int r = cmd_get_conv(v, "c", id != NULL, lim, c, ret_fault);

	if (r < 0)
		return r;
	return id ? target_by_id(id, c, ret_fault)
		  : json_get_i64(v, "rev", &rule, &c->target_rev, ret_fault);
}

bool cmd_emoji_valid(struct str s)
{
	struct str name;
	size_t pos = 0;
	uint32_t cp;

	if (utf8_name(s, EMOJI_CHARS_MAX, &name) < 0 || name.len != s.len)
		return false;
	while (utf8_next(s, &pos, &cp))
		if (utf8_is_space(cp))
			return false;
	return true;
}

bool cmd_seen_next(const struct cmd *c, size_t *pos, int64_t *ret_conv, int64_t *ret_rev)
{
	const struct json_value *member;
	struct str key;

	return c->seen && json_next(c->seen, pos, &key, &member) &&
	       str_to_i64(key, ret_conv) == 0 && json_to_i64(member, ret_rev);
}

int64_t cmd_user_at(const struct cmd *c, size_t i)
{
	const struct json_value *v = json_at(c->users, i);
	struct str text;
	int64_t user;

	if (json_to_i64(v, &user) || (json_to_str(v, &text) && str_to_i64(text, &user) == 0))
		return user;
	return 0;
}

void cmd_add_text(struct buf *b, const char *key, const struct event *e)
{
	struct buf text = BUF_INIT;

	if (!e->key.len) {
		json_add_key_str(b, key, e->content);
		return;
	}
	buf_add_str(&text, e->content);
	if (text.len)
		buf_add_char(&text, '\n');
	buf_add_str(&text, e->key);
	json_add_key_str(b, key, buf_str(&text));
	buf_done(&text);
}

void cmd_add_msgid(struct buf *b, const char *key, int64_t conv, int64_t rev)
{
	json_add_key(b, key);
	buf_add_char(b, '"');
	buf_add_i64(b, msgid_of(conv, rev));
	buf_add_char(b, '"');
}
