/* SPDX-License-Identifier: MIT */
/*
 * Fields that requests of several dialects have in common, with their rules.
 * Names of fields and frames are the dialects'.
 */
#include "proto/cmd_priv.h"

#include "proto/utf8.h"

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
static const struct json_str_rule any_optional = {0, UINT32_MAX, false};

int cmd_get_name(const struct json_value *v, const char *key, const struct cmd_limits *lim,
		 bool required, struct str *ret, struct fault *ret_fault)
{
	struct str raw;
	int r = json_get_str(v, key, required ? &any_text : &any_optional, &raw, ret_fault);

	if (r < 0)
		return cmd_get(r);
	r = judge(utf8_name(raw, lim->name_max, ret), key, lim->name_max, ret_fault);
	if (r < 0)
		ret_fault->error = E_BAD_NAME;
	return r;
}

int cmd_get_content(const struct json_value *v, const char *key, const struct cmd_limits *lim,
		    struct str *ret, struct fault *ret_fault)
{
	struct str text;
	int r = json_get_str(v, key, &any_text, &text, ret_fault);

	if (r < 0)
		return r;
	r = judge(utf8_message(text, lim->message_max), key, lim->message_max, ret_fault);
	if (r == 0)
		*ret = text;
	return r;
}

int cmd_get_text(const struct json_value *v, const char *key, const struct json_str_rule *rule,
		 struct str *ret, struct fault *ret_fault)
{
	struct str text;
	int r = json_get_str(v, key, rule, &text, ret_fault);

	if (r < 0)
		return cmd_get(r);
	if (utf8_message(text, rule->max) == -ERR_INVAL)
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

void cmd_add_msgid(struct buf *b, const char *key, int64_t conv, int64_t rev)
{
	json_add_key(b, key);
	buf_add_char(b, '"');
	buf_add_i64(b, msgid_of(conv, rev));
	buf_add_char(b, '"');
}
