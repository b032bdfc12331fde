/* SPDX-License-Identifier: MIT */
/*
 * What an answer of the server means, and its columns in binary.
 * Nothing in an answer is trusted: odd widths and places give zero, not a crash.
 */
#include "sql/db_priv.h"

#include <endian.h>

static void text_copy(char *ret, size_t size, const char *s)
{
	snprintf(ret, size, "%s", s ? s : "");
}

void result_first_line(const char *text, char ret[DB_TEXT_MAX])
{
	text_copy(ret, DB_TEXT_MAX, text);
	ret[strcspn(ret, "\n")] = '\0';
}

void result_init(struct db_result *res, enum db_status status)
{
	*res = (struct db_result){.status = status};
}

/* Conditions that pass by themselves; by code or by class (two characters). */
static bool is_passing(const char *state)
{
	static const char *const list[] = {
		"40",	 /* transaction_rollback: deadlock, serialization */
		"53",	 /* insufficient_resources: disk, memory, connections */
		"55P03", /* lock_not_available */
		"57",	 /* operator_intervention: time-outs, a cancelling administrator */
		"58",	 /* system_error: the server's own input and output */
	};

	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		if (strncmp(state, list[i], strlen(list[i])) == 0)
			return true;
	return false;
}

/*
 * An error that ends the session (administrator, crash of another backend, start-up, protocol) may
 * come in the middle of a commit, so it is no verdict on the query.
 */
bool result_is_farewell(const PGresult *pg)
{
	const char *state = PQresultErrorField(pg, PG_DIAG_SQLSTATE);

	return PQresultStatus(pg) == PGRES_FATAL_ERROR &&
	       (!state || !*state || strncmp(state, "57P", 3) == 0 || strncmp(state, "08", 2) == 0);
}

void result_classify(const PGresult *pg, struct db_result *ret)
{
	result_init(ret, DB_LOST);
	if (!pg)
		return;
	if (PQresultStatus(pg) == PGRES_TUPLES_OK || PQresultStatus(pg) == PGRES_COMMAND_OK) {
		ret->status = DB_OK;
		ret->pg = pg;
		return;
	}
	text_copy(ret->sqlstate, sizeof(ret->sqlstate), PQresultErrorField(pg, PG_DIAG_SQLSTATE));
	text_copy(ret->constraint, sizeof(ret->constraint),
		  PQresultErrorField(pg, PG_DIAG_CONSTRAINT_NAME));
	result_first_line(PQresultErrorField(pg, PG_DIAG_MESSAGE_PRIMARY), ret->message);
	if (strncmp(ret->sqlstate, "23", 2) == 0)
		ret->status = DB_CONSTRAINT;
	else
		ret->status = is_passing(ret->sqlstate) ? DB_PASSING : DB_ERROR;
}

enum db_status db_result_status(const struct db_result *res)
{
	return res->status;
}

/* A table or function is missing: the migrations have not been run, or not yet. */
static bool is_schema_missing(const char *sqlstate)
{
	return strcmp(sqlstate, "42P01") == 0 || strcmp(sqlstate, "42883") == 0;
}

int db_result_err(const struct db_result *res)
{
	switch (res->status) {
	case DB_OK:
		return 0;
	case DB_CONSTRAINT:
		return strcmp(res->sqlstate, "23505") == 0 ? -ERR_EXISTS : -ERR_INVAL;
	case DB_ERROR: /* class 22: a value its type refuses */
		if (is_schema_missing(res->sqlstate))
			return -ERR_UNAVAILABLE;
		return strncmp(res->sqlstate, "22", 2) == 0 ? -ERR_INVAL : -ERR_DB;
	case DB_PASSING:
	case DB_LOST:
	case DB_NOT_SENT:
	case DB_TIMEOUT:
		return -ERR_UNAVAILABLE;
	}
	return -ERR_DB;
}

const char *db_result_sqlstate(const struct db_result *res)
{
	return res->sqlstate;
}

const char *db_result_constraint(const struct db_result *res)
{
	return res->constraint;
}

const char *db_result_message(const struct db_result *res)
{
	return res->message;
}

int db_rows(const struct db_result *res)
{
	return res->pg ? PQntuples(res->pg) : 0;
}

static bool has_value(const struct db_result *res, int row, int col)
{
	return res->pg && row >= 0 && row < PQntuples(res->pg) && col >= 0 &&
	       col < PQnfields(res->pg) && !PQgetisnull(res->pg, row, col);
}

bool db_is_null(const struct db_result *res, int row, int col)
{
	return !has_value(res, row, col);
}

struct str db_get_str(const struct db_result *res, int row, int col)
{
	if (!has_value(res, row, col))
		return (struct str){NULL, 0};
	return (struct str){PQgetvalue(res->pg, row, col), (size_t)PQgetlength(res->pg, row, col)};
}

int64_t db_get_i64(const struct db_result *res, int row, int col)
{
	struct str s = db_get_str(res, row, col);
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;

	switch (s.len) {
	case sizeof(u64):
		memcpy(&u64, s.p, sizeof(u64));
		return (int64_t)be64toh(u64);
	case sizeof(u32):
		memcpy(&u32, s.p, sizeof(u32));
		return (int32_t)be32toh(u32);
	case sizeof(u16):
		memcpy(&u16, s.p, sizeof(u16));
		return (int16_t)be16toh(u16);
	case 1:
		return s.p[0] != 0;
	default:
		return 0;
	}
}

struct uuid db_get_uuid(const struct db_result *res, int row, int col)
{
	struct str s = db_get_str(res, row, col);
	struct uuid u = {{0}};

	if (s.len == sizeof(u.b))
		memcpy(u.b, s.p, sizeof(u.b));
	return u;
}
