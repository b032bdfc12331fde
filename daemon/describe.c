/* SPDX-License-Identifier: MIT */
/*
 * Finds the table that --describe names; each folder prints its own.
 */
#include "daemon/describe.h"

#include "base/settings.h"
#include "proto/errors.h"
#include "proto/events.h"
#include "shm/lock.h"
#include "shm/metrics.h"
#include "sql/stmt.h"
#include "worker/authz.h"
#include "worker/routes.h"

static const struct {
	const char *name;
	void (*describe)(struct buf *ret);
} tables[] = {
	{"metrics", metrics_describe}, {"events", events_describe}, {"routes", routes_describe},
	{"statements", statements_describe}, {"errors", errors_describe}, {"locks", lock_describe},
	{"authz", authz_describe},
};

int describe_table(const char *table, const char *format, struct buf *ret)
{
	if (strcmp(table, "settings") == 0)
		return settings_describe(format, ret);
	if (strcmp(table, "errors") == 0 && strcmp(format, "mdoc") == 0) {
		errors_describe_mdoc(ret);
		return 0;
	}
	if (strcmp(table, "authz") == 0 && strcmp(format, "mdoc") == 0) {
		authz_describe_mdoc(ret);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		if (strcmp(table, tables[i].name) != 0)
			continue;
		if (strcmp(format, "json") != 0)
			return -ERR_UNSUPPORTED;
		tables[i].describe(ret);
		return 0;
	}
	return -ERR_NOENT;
}
