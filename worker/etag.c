/* SPDX-License-Identifier: MIT */
/*
 * A tag is the hash of a conversation's texts and of the time of its last change.
 */
#include "worker/etag.h"

#include "base/buf.h"
#include "base/map.h"
#include "proto/json.h"

/* Not secret: nodes must agree. */
static const uint64_t etag_key[2] = {UINT64_C(0x636f6e7665727361), UINT64_C(0x74696f6e2d746167)};

void etag_of_conversation(struct str json, char ret[ETAG_LEN + 1])
{
	static const char *const members[] = {"updated_at", "name", "description"};
	const struct json_str_rule rule = {0, UINT32_MAX, false};
	struct json_doc *doc = NULL;
	struct buf all = BUF_INIT;
	struct fault fault;

	if (json_parse(json, 8, &doc, &fault) == 0) {
		for (size_t i = 0; i < ARRAY_LEN(members); i++) {
			struct str s = STR("");
			int r = json_get_str(json_root(doc), members[i], &rule, &s, &fault);

			buf_add_str(&all, r == 0 ? s : STR(""));
			buf_add_char(&all, '\0');
		}
	}
	json_doc_free(&doc);
	snprintf(ret, ETAG_LEN + 1, "\"%016" PRIx64 "\"", hash_keyed(etag_key, all.p, all.len));
	buf_done(&all);
}
