/* SPDX-License-Identifier: MIT */
/*
 * The table of client errors and the building of one fault.
 * Leaves the wire forms to the dialects.
 */
#include "proto/errors.h"

#include "proto/json.h"

static const struct error_info table[E_COUNT] = {
#define X(name, code, http_status, ws_close, text)                                                 \
	[E_##name] = {#name, code, http_status, ws_close, text},
#include "proto/errors.def"
#undef X
};

const struct error_info *error_info(enum proto_error e)
{
	return e > E_NONE && e < E_COUNT ? &table[e] : &table[E_INTERNAL];
}

void errors_describe(struct buf *b)
{
	buf_add_char(b, '[');
	for (int e = E_NONE + 1; e < E_COUNT; e++) {
		json_add_sep(b);
		buf_add_char(b, '{');
		json_add_key_cstr(b, "name", table[e].name);
		json_add_key_cstr(b, "code", table[e].code);
		json_add_key_i64(b, "http_status", table[e].http_status);
		json_add_key_i64(b, "ws_close", table[e].ws_close);
		json_add_key_cstr(b, "text", table[e].text);
		buf_add_char(b, '}');
	}
	buf_add_char(b, ']');
}

void errors_describe_mdoc(struct buf *b)
{
	buf_add_cstr(b, ".Bl -column unsupported_media_type HTTP close\n"
			".It Sy code Ta Sy HTTP Ta Sy close Ta Sy meaning\n");
	for (int e = E_NONE + 1; e < E_COUNT; e++) {
		const struct error_info *info = &table[e];

		buf_printf(b, ".It %s Ta %d Ta ", info->code, info->http_status);
		if (info->ws_close)
			buf_printf(b, "%d", info->ws_close);
		buf_printf(b, " Ta %s\n", info->text);
	}
	buf_add_cstr(b, ".El\n");
}

void fault_set(struct fault *ret, enum proto_error error)
{
	*ret = (struct fault){.error = error};
	snprintf(ret->text, sizeof(ret->text), "%s", error_info(error)->text);
}

void fault_field(struct fault *ret, enum fault_kind kind, const char *field, int64_t bound)
{
	static const char *const form[] = {
		[FAULT_OTHER] = "%s is not allowed.",
		[FAULT_MISSING] = "%s is missing.",
		[FAULT_TYPE] = "%s has the wrong type.",
		[FAULT_TOO_SHORT] = "%s must have at least %" PRId64 " characters.",
		[FAULT_TOO_LONG] = "%s must have at most %" PRId64 " characters.",
		[FAULT_TOO_SMALL] = "%s must be at least %" PRId64 ".",
		[FAULT_TOO_LARGE] = "%s must be at most %" PRId64 ".",
		[FAULT_VALUE] = "%s has a value that is not allowed.",
	};
	bool is_empty = kind == FAULT_TOO_SHORT && bound == 1;
	const char *text = is_empty ? "%s must not be empty." : form[kind];

	*ret = (struct fault){.error = E_INVALID, .kind = kind, .field = field, .bound = bound};
	/* Forms without a bound leave the last argument unused. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(ret->text, sizeof(ret->text), text, field, bound);
#pragma GCC diagnostic pop
}
