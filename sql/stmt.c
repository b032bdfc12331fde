/* SPDX-License-Identifier: MIT */
/*
 * The table of statements and its description as JSON.
 * Executing them is db.c's work.
 */
#include "sql/stmt.h"

static const struct stmt stmts[STMT_COUNT] = {
#define X(id, name, n_params, repeat, sql) [STMT_##id] = {name, n_params, RUN_##repeat, sql},
#include "sql/statements.def"
#undef X
};

const struct stmt *stmt_get(enum stmt_id id)
{
	assert((unsigned int)id < STMT_COUNT);
	return &stmts[id];
}

void statements_describe(struct buf *out)
{
	buf_add_char(out, '[');
	for (int i = 0; i < STMT_COUNT; i++) {
		buf_add_cstr(out, i ? ",\n{\"name\":" : "\n{\"name\":");
		buf_add_json(out, str_of(stmts[i].name));
		buf_printf(out, ",\"params\":%d,\"repeat\":%s,\"sql\":", stmts[i].n_params,
			   stmts[i].repeat == RUN_REPEAT ? "true" : "false");
		buf_add_json(out, str_of(stmts[i].sql));
		buf_add_char(out, '}');
	}
	buf_add_cstr(out, "\n]\n");
}
