/* SPDX-License-Identifier: MIT */
/*
 * Fields that requests of several dialects have in common, with their rules.
 * Each dialect knows its own names for them.
 */
#ifndef PROTO_CMD_PRIV_H
#define PROTO_CMD_PRIV_H

#include "proto/cmd.h"
#include "proto/json.h"

/* An absent optional member is no failure: turns -ERR_NOENT into 0. */
int cmd_get(int r) MUST_CHECK;

/*
 * A name by the name rules. A present but bad one is E_BAD_NAME, one that is missing or no string
 * E_INVALID. All return 0 or -ERR_INVAL with *RET_FAULT; absent optional members leave *RET alone.
 */
int cmd_get_name(const struct json_value *v, const char *key, const struct cmd_limits *lim,
		 bool required, struct str *ret, struct fault *ret_fault) MUST_CHECK;

/* The rule for the text of a message; KEY names it in the fault. */
int cmd_check_content(struct str text, const char *key, const struct cmd_limits *lim,
		      struct fault *ret_fault) MUST_CHECK;

/*
 * What a message says: the text under "content", and the address of an attachment under KEY, which
 * may stand alone. Sets content and attachment of C.
 */
int cmd_get_said(const struct json_value *v, const char *key, const struct cmd_limits *lim,
		 struct cmd *c, struct fault *ret_fault) MUST_CHECK;

/* The text of a message, required. */
int cmd_get_content(const struct json_value *v, const char *key, const struct cmd_limits *lim,
		    struct str *ret, struct fault *ret_fault) MUST_CHECK;

/*
 * Free text such as a description: may be empty, has no control characters but line breaks and
 * tabs.
 */
int cmd_get_text(const struct json_value *v, const char *key, const struct json_str_rule *rule,
		 struct str *ret, struct fault *ret_fault) MUST_CHECK;

/* The idempotency key: a string of at most CMD_KEY_MAX bytes. */
int cmd_get_key(const struct json_value *v, const char *key, struct cmd *c,
		struct fault *ret_fault) MUST_CHECK;

/* Sets key, has_key and key_uuid of C. */
void cmd_set_key(struct cmd *c, struct str key);

/*
 * The conversation KEY, required unless OPTIONAL: a number, decimal digits, or where LIM allows it
 * a UUID.
 */
int cmd_get_conv(const struct json_value *v, const char *key, bool optional,
		 const struct cmd_limits *lim, struct cmd *c, struct fault *ret_fault) MUST_CHECK;

/*
 * Which message is changed, as conv and target_rev of C: "message", an id ("id" is the request's
 * own), or "c" and "rev". An id decides about the conversation; a number beside it must agree.
 */
int cmd_get_target(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		   struct fault *ret_fault) MUST_CHECK;

/* How many subscriptions the limits allow. */
uint32_t cmd_subs_max(const struct cmd_limits *lim);

/*
 * "key":"the text of a message", for who knows no attachments: the address of one is its last line.
 */
struct event;
void cmd_add_text(struct buf *b, const char *key, const struct event *e);

/* "key":"decimal message id". */
void cmd_add_msgid(struct buf *b, const char *key, int64_t conv, int64_t rev);

#endif
