/* SPDX-License-Identifier: MIT */
/*
 * The daemon's own table of addresses, routes.def, with its handlers.
 * Matching is route.h's.
 */
#ifndef WORKER_ROUTES_H
#define WORKER_ROUTES_H

#include "worker/call.h"
#include "worker/route.h"

#define X(method, path, handler, shape, auth, rate, body, summary) void handler(struct call *call);
#include "worker/routes.def"
#undef X

/*
 * The matchers over routes.def, for clients and for the operations listener, built at the first
 * call and kept for the life of the process. Never NULL: a faulty table ends the process at once,
 * which the tests see.
 */
const struct routes *routes_all(void);
const struct routes *routes_ops(void);

/* The same over conformance.def, which takes the place of the clients' part. */
const struct routes *routes_conformance(void);

/* Appends routes.def as a JSON array of objects. */
void routes_describe(struct buf *b);

#endif
