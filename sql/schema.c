/* SPDX-License-Identifier: MIT */
/*
 * One statement that compares the newest migration of the database with the newest of this program.
 * Checksums and names are migrate.c's.
 */
#include "sql/schema.h"

#include "sql/migrate_priv.h"

static int schema_err(const struct db_result *res)
{
	if (db_result_status(res) == DB_OK)
		return db_get_i64(res, 0, 0) >= (int64_t)migrations_count ? 0 : -ERR_NOENT;
	/*
	 * 42P01: no such table; 3F000: no such schema; 42501: the list is another role's, so
	 * there is one
	 */
	if (strcmp(db_result_sqlstate(res), "42P01") == 0 ||
	    strcmp(db_result_sqlstate(res), "3F000") == 0)
		return -ERR_NOENT;
	return strcmp(db_result_sqlstate(res), "42501") == 0 ? 0 : -ERR_UNAVAILABLE;
}

static void on_version(const struct db_call *call, const struct db_result *res)
{
	schema_done_fn *done = (schema_done_fn *)call->then;

	done(call->arg, schema_err(res));
}

int schema_look(struct db *db, uint64_t deadline_ms, schema_done_fn *done, void *arg)
{
	struct db_query q = {.stmt = STMT_SCHEMA_VERSION,
			     .deadline_ms = deadline_ms,
			     .done = on_version,
			     .call = {arg, (db_fn *)done}};

	return db_submit(db, &q, NULL);
}
