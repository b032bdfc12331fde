/* SPDX-License-Identifier: MIT */
/*
 * The table of migrations that embed.awk makes from the files in migrations/.
 */
#ifndef SQL_MIGRATE_PRIV_H
#define SQL_MIGRATE_PRIV_H

#include "base/base.h"

struct migration {
	int version; /* 1, 2, 3 … without gap */
	const char *name;
	const char *sql;
};

extern const struct migration migrations[];
extern const size_t migrations_count;

#endif
