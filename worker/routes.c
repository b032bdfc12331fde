/* SPDX-License-Identifier: MIT */
/*
 * The table of routes.def and the matcher over it.
 * No matching here: see route.c.
 */
#include "worker/routes.h"

static const struct route table[] = {
#define X(method_, path_, handler_, shape_, auth_, rate_, body_, summary_)                         \
	{.method = HTTP_##method_,                                                                 \
	 .path = (path_),                                                                          \
	 .handler = (handler_),                                                                    \
	 .handler_name = #handler_,                                                                \
	 .shape = CALL_SHAPE_##shape_,                                                             \
	 .auth = ROUTE_AUTH_##auth_,                                                               \
	 .rate = ROUTE_RATE_##rate_,                                                               \
	 .body = ROUTE_BODY_##body_,                                                               \
	 .summary = (summary_)},
#include "worker/routes.def"
#undef X
};

const struct routes *routes_all(void)
{
	static struct routes *all;

	if (!all) {
		int r = routes_new(table, ARRAY_LEN(table), &all, NULL);

		assert(r == 0);
	}
	return all;
}

void routes_describe(struct buf *b)
{
	route_describe(table, ARRAY_LEN(table), b);
}
