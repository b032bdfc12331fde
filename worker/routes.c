/* SPDX-License-Identifier: MIT */
/*
 * The table of routes.def and the matcher over it.
 * No matching here: see route.c.
 */
#include "worker/routes.h"

static const struct route table[] = {
#define X(method, path, handler, shape, auth, rate, body, summary)                                 \
	{HTTP_##method,		path,		   handler,	      #handler, CALL_SHAPE_##shape, \
	 ROUTE_AUTH_##auth, ROUTE_RATE_##rate, ROUTE_BODY_##body, summary},
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
