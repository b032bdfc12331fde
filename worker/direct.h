/* SPDX-License-Identifier: MIT */
/*
 * What a client is told when there is no conversation of two people for it, whatever way it asked.
 * Finding and making one is sql/direct.h's.
 */
#ifndef WORKER_DIRECT_H
#define WORKER_DIRECT_H

#include "base/base.h"
#include "proto/errors.h"

/*
 * The refusal that ERR of direct_open or block_set is. FIELD: the client's member that named the
 * other person; static. False, and *RET is left alone: the database has failed.
 */
bool direct_fault(int err, const char *field, struct fault *ret);

#endif
