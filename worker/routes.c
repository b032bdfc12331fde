/* SPDX-License-Identifier: MIT */
/*
 * The table of routes.def and the matcher over it.
 * No matching here: see route.c.
 */
#include "worker/routes.h"

#include "worker/conformance.h"

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
static const struct route table[] = {
#include "worker/routes.def"
};
static const struct route echoes[] = {
#include "worker/conformance.def"
};
#undef X

/*
 * The part of the table that one listener serves: no address of the other can be reached through
 * it.
 */
struct part {
	struct route rows[ARRAY_LEN(table)];
	size_t n;
	struct routes *routes;
};

static const struct routes *part_of(struct part *p, bool is_ops)
{
	int r;

	if (p->routes)
		return p->routes;
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if ((table[i].auth == ROUTE_AUTH_OPS) == is_ops)
			p->rows[p->n++] = table[i];
	r = routes_new(p->rows, p->n, &p->routes, NULL);
	assert(r == 0);
	return p->routes;
}

const struct routes *routes_all(void)
{
	static struct part clients;

	return part_of(&clients, false);
}

const struct routes *routes_ops(void)
{
	static struct part ops;

	return part_of(&ops, true);
}

const struct routes *routes_conformance(void)
{
	static struct routes *routes;
	int r = routes ? 0 : routes_new(echoes, ARRAY_LEN(echoes), &routes, NULL);

	assert(r == 0);
	return routes;
}

void routes_describe(struct buf *b)
{
	route_describe(table, ARRAY_LEN(table), b);
}
