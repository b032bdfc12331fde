/* SPDX-License-Identifier: MIT */
/*
 * Makes the database itself where there is none yet. Synchronous: for the operator's command, never
 * for a worker. What is in it is migrate.h's.
 */
#ifndef SQL_DATABASE_H
#define SQL_DATABASE_H

#include "base/base.h"
#include "base/buf.h"

/* Whether libpq can read URL; its own reason is kept from everybody, it could quote a password. */
bool database_is_url(const char *url);

/*
 * Makes the database that URL names, in UTF-8, unless URL can be connected to. Asks by way of the
 * databases "postgres" and "template1" of the same server. Appends one line to REPORT when it made
 * one and on failure, without secrets. Returns 0, -ERR_DENIED when the role may not,
 * -ERR_UNAVAILABLE when the server cannot be reached or refuses for another reason than a missing
 * database, -ERR_DB otherwise.
 */
int database_ensure(const char *url, struct buf *report) MUST_CHECK;

#endif
