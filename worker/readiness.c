/* SPDX-License-Identifier: MIT */
/*
 * Reads the slots of all workers, and keeps this one's share of what the others read: whether the
 * schema is there. That database connections are usable is counted by dbio.c.
 */
#include "worker/readiness.h"

#include "base/clock.h"
#include "proto/json.h"
#include "shm/metrics.h"
#include "shm/slots.h"
#include "sql/schema.h"
#include "worker/dbio.h"

/* A worker whose loop has not turned for so long does not count; it beats once a second. */
#define FRESH_MS 2500

/* A look that is not answered by then is another reason's: the database is away. */
#define LOOK_MS 900

static const struct {
	enum readiness reason;
	const char *name;
} names[] = {
	{READY_NO_WORKER, "no_worker"},
	{READY_DRAINING, "draining"},
	{READY_NO_DATABASE, "database"},
	{READY_NO_SCHEMA, "schema"},
};

static bool turns(const struct slot_info *info)
{
	return clock_mono_ms() < info->heartbeat_ms + FRESH_MS;
}

static bool counts(const struct slot_info *info)
{
	return info->state == SLOT_READY && turns(info);
}

unsigned readiness_of(const struct worker *wk)
{
	int64_t workers = 0, draining = wk->draining, connections = 0, schemas = 0;
	struct slot_info info;

	for (int slot = 0; slot < wk->boot->n_slots; slot++) {
		if (slot_read(wk->shm, (unsigned)slot, &info) < 0)
			continue;
		draining += info.state == SLOT_DRAINING && turns(&info);
		if (!counts(&info))
			continue;
		workers++;
		connections += metric_get(wk->shm, (unsigned)slot, M_DB_CONNECTIONS);
		schemas += metric_get(wk->shm, (unsigned)slot, M_DB_SCHEMA);
	}
	/* workers drain together: the first that has begun speaks for all */
	if (draining)
		return READY_DRAINING;
	if (!workers)
		return READY_NO_WORKER;
	if (connections <= 0)
		return READY_NO_DATABASE;
	return schemas <= 0 ? READY_NO_SCHEMA : 0;
}

static void add_worker(const struct worker *wk, unsigned slot, const struct slot_info *info,
		       struct buf *b)
{
	uint64_t now = clock_mono_ms();

	json_add_sep(b);
	buf_add_char(b, '{');
	json_add_key_i64(b, "slot", slot);
	json_add_key_cstr(b, "state", slot_state_name(info->state));
	json_add_key_i64(b, "heartbeat_age_ms",
			 (int64_t)(MAX(now, info->heartbeat_ms) - info->heartbeat_ms));
	json_add_key_i64(b, "database_connections", metric_get(wk->shm, slot, M_DB_CONNECTIONS));
	json_add_key_bool(b, "schema", metric_get(wk->shm, slot, M_DB_SCHEMA) > 0);
	buf_add_char(b, '}');
}

void readiness_print(const struct worker *wk, unsigned reasons, struct buf *b)
{
	struct slot_info info;

	buf_add_char(b, '{');
	json_add_key_cstr(b, "status", reasons ? "not ready" : "ready");
	json_add_key(b, "reasons");
	buf_add_char(b, '[');
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!(reasons & names[i].reason))
			continue;
		json_add_sep(b);
		buf_add_json(b, str_of(names[i].name));
	}
	buf_add_char(b, ']');
	json_add_key(b, "workers");
	buf_add_char(b, '[');
	for (int slot = 0; slot < wk->boot->n_slots; slot++)
		if (slot_read(wk->shm, (unsigned)slot, &info) == 0)
			add_worker(wk, (unsigned)slot, &info, b);
	buf_add_cstr(b, "]}");
}

/* ---- This worker's look at the schema ---- */

static void on_schema(void *arg, int err)
{
	struct worker *wk = arg;

	wk->is_looking = false;
	if (err != 0 && err != -ERR_NOENT)
		return;
	wk->has_looked = true;
	metric_set(wk->shm, (unsigned)wk->slot, M_DB_SCHEMA, err == 0);
}

void readiness_look(struct worker *wk)
{
	if (wk->is_looking || !db_is_connected(dbio_reader(wk)))
		return;
	wk->is_looking = schema_look(dbio_reader(wk), clock_mono_ms() + LOOK_MS, on_schema, wk) ==
			 0;
}
