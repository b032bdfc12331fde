/* SPDX-License-Identifier: MIT */
/*
 * Statements that answer one JSON text: shared by messages.c and conversations.c.
 */
#ifndef SQL_PAGE_PRIV_H
#define SQL_PAGE_PRIV_H

#include "sql/messages.h"

/* Empties ARGS in any case. A result without rows becomes -ERR_NOENT. */
int page_submit(struct db *db, enum stmt_id stmt, struct db_args *args, uint64_t deadline_ms,
		page_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* The db_done_fn behind page_submit; call->then is a page_done_fn. */
void page_answer(const struct db_call *call, const struct db_result *res);

/* LIMIT brought into 1 to MAX. */
int page_limit(int limit, int max);

#endif
