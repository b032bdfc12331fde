/* SPDX-License-Identifier: MIT */
/*
 * S1's REST bodies: the form of a new room, and errors in the shape its clients know.
 * Pages of rooms and messages come ready from the database.
 */
#include "proto/cmd_priv.h"
#include "proto/dialect_raw.h"

int raw_decode_room(struct str body, const struct cmd_limits *lim, struct json_doc **ret_doc,
		    struct room_form *ret, struct fault *ret_fault)
{
	const struct json_str_rule text = {0, lim->desc_max, false};
	struct room_form form = {.description = STR("")};
	struct json_doc *doc;
	int r;

	if (json_parse(body, lim->depth_max, &doc, ret_fault) < 0)
		return -ERR_INVAL;
	if (json_kind_of(json_root(doc)) != JSON_KIND_OBJECT) {
		fault_set(ret_fault, E_INVALID);
		ret_fault->kind = FAULT_TYPE;
		r = -ERR_INVAL;
	} else {
		r = cmd_get_name(json_root(doc), "name", lim, true, &form.name, ret_fault);
		if (r == 0)
			r = cmd_get_text(json_root(doc), "description", &text,
					 &form.description, ret_fault);
	}
	if (r < 0) {
		json_doc_free(&doc);
		return -ERR_INVAL;
	}
	*ret_doc = doc;
	*ret = form;
	return 0;
}

int raw_http_status(const struct fault *f)
{
	switch (f->error) {
	case E_BAD_JSON:
		return 422;
	case E_DUPLICATE:
	case E_NAME_TAKEN:
		return 400;
	default:
		return error_info(f->error)->http_status;
	}
}

/* The words that pydantic uses, which S1's clients may look at. */
static const char *type_of(const struct fault *f)
{
	static const char *const types[] = {
		[FAULT_OTHER] = "value_error",
		[FAULT_MISSING] = "missing",
		[FAULT_TYPE] = "type_error",
		[FAULT_TOO_SHORT] = "string_too_short",
		[FAULT_TOO_LONG] = "string_too_long",
		[FAULT_TOO_SMALL] = "greater_than_equal",
		[FAULT_TOO_LARGE] = "less_than_equal",
		[FAULT_VALUE] = "value_error",
	};

	return f->error == E_BAD_JSON ? "json_invalid" : types[f->kind];
}

void raw_add_detail(struct buf *b, const struct fault *f)
{
	buf_add_char(b, '{');
	if (raw_http_status(f) != 422) {
		json_add_key_cstr(b, "detail", f->text);
		buf_add_char(b, '}');
		return;
	}
	json_add_key(b, "detail");
	buf_add_cstr(b, "[{\"loc\":[\"body\"");
	if (f->field) {
		json_add_sep(b);
		json_add_str(b, str_of(f->field));
	}
	buf_add_char(b, ']');
	json_add_key_cstr(b, "msg", f->text);
	json_add_key_cstr(b, "type", type_of(f));
	buf_add_cstr(b, "}]}");
}
