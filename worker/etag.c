/* SPDX-License-Identifier: MIT */
/*
 * A tag is the digits of a conversation's updated_at, as conversation_tag of the schema has them.
 */
#include "worker/etag.h"

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
