/* SPDX-License-Identifier: MIT */
/*
 * A conversation's tag is the digits of its updated_at, as conversation_tag of the schema has them;
 * a profile's is the beginning of a hash of its values, as the statement account_patch has it.
 */
#include "worker/etag.h"

#include <openssl/sha.h>

#include "base/buf.h"
#include "proto/json.h"

#define DIGITS (ETAG_LEN - 2)

void etag_of_state(struct str state, char ret[ETAG_LEN + 1])
{
	snprintf(ret, ETAG_LEN + 1, "\"%.*s\"", (int)MIN(state.len, DIGITS), state.p);
}

void etag_of_conversation(struct str json, char ret[ETAG_LEN + 1])
{
	const struct json_str_rule rule = {0, UINT32_MAX, false};
	struct json_doc *doc = NULL;
	struct str at = STR("");
	struct fault fault;
	char digits[DIGITS];
	size_t n = 0;

	if (json_parse(json, 8, &doc, &fault) < 0 ||
	    json_get_str(json_root(doc), "updated_at", &rule, &at, &fault) < 0)
		at = STR("");
	for (size_t i = 0; i < at.len && n < DIGITS; i++)
		if (at.p[i] >= '0' && at.p[i] <= '9')
			digits[n++] = at.p[i];
	json_doc_free(&doc);
	etag_of_state((struct str){digits, n}, ret);
}

void etag_of_profile(struct str json, char ret[ETAG_LEN + 1])
{
	static const char *const members[] = {"full_name", "avatar_url", "email"};
	const struct json_str_rule rule = {0, UINT32_MAX, false};
	uint8_t hash[SHA256_DIGEST_LENGTH];
	char digits[2 * SHA256_DIGEST_LENGTH + 1];
	struct json_doc *doc = NULL;
	struct buf text = BUF_INIT;
	struct fault fault;

	if (json_parse(json, 8, &doc, &fault) == 0)
		for (size_t i = 0; i < ARRAY_LEN(members); i++) {
			struct str value;

			if (i)
				buf_add_char(&text, '\n');
			if (json_get_str(json_root(doc), members[i], &rule, &value, &fault) == 0)
				buf_add_str(&text, value);
		}
	SHA256(text.p, text.len, hash);
	for (size_t i = 0; i < sizeof(hash); i++)
		snprintf(digits + 2 * i, 3, "%02x", hash[i]);
	json_doc_free(&doc);
	buf_done(&text);
	etag_of_state(str_of(digits), ret);
}
