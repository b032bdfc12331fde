/* SPDX-License-Identifier: MIT */
/*
 * A tree of path segments over a table of routes.
 * Knows nothing of handlers but their address; the daemon's own table is in routes.c.
 */
#include "worker/route.h"

#include "proto/json.h"

enum node_kind {
	NODE_TEXT,
	NODE_PARAM, /* any one segment */
	NODE_REST,  /* everything that follows */
};

struct node {
	struct node *child, *sibling; /* owned; children in the order: text, parameter, rest */
	struct str text;	      /* borrowed from the table; NODE_TEXT only */
	enum node_kind kind;
	uint32_t methods;
	const struct route *by_method[HTTP_METHOD_COUNT];
};

struct routes {
	struct node *root; /* owned; its children are the first segments */
	uint32_t methods;
};

static const char *const shape_names[] = {
	[CALL_SHAPE_S1] = "s1",
	[CALL_SHAPE_PROBLEM] = "problem",
	[CALL_SHAPE_PAGE] = "page",
};
static const char *const auth_names[] = {
	[ROUTE_AUTH_OPEN] = "open",
	[ROUTE_AUTH_GUEST] = "guest",
	[ROUTE_AUTH_TOKEN] = "token",
	[ROUTE_AUTH_ADMIN] = "admin",
	[ROUTE_AUTH_OPS] = "ops",
};
static const char *const rate_names[] = {
	[ROUTE_RATE_STATIC] = "static",
	[ROUTE_RATE_READ] = "read",
	[ROUTE_RATE_WRITE] = "write",
	[ROUTE_RATE_SEND] = "send",
	[ROUTE_RATE_UPGRADE] = "upgrade",
	[ROUTE_RATE_SESSION] = "session",
	[ROUTE_RATE_AUTH] = "auth",
	[ROUTE_RATE_PROOF] = "proof",
};
static const char *const body_names[] = {
	[ROUTE_BODY_NONE] = "none",
	[ROUTE_BODY_TEXT] = "text",
	[ROUTE_BODY_JSON] = "json",
	[ROUTE_BODY_FORM] = "form",
};

/*
 * Cuts the segment at *PATH (which starts with '/') off; false at the end. "/a/" has the segments
 * "a" and "".
 */
static bool segment_next(struct str *path, struct str *ret)
{
	const char *slash;

	if (!path->len)
		return false;
	path->p++;
	path->len--;
	slash = memchr(path->p, '/', path->len);
	ret->p = path->p;
	ret->len = slash ? (size_t)(slash - path->p) : path->len;
	path->p += ret->len;
	path->len -= ret->len;
	return true;
}

static enum node_kind segment_kind(struct str s)
{
	if (s.len < 3 || s.p[0] != '{' || s.p[s.len - 1] != '}')
		return NODE_TEXT;
	return s.len > 5 && memcmp(s.p + s.len - 4, "...}", 4) == 0 ? NODE_REST : NODE_PARAM;
}

/* The child of PARENT for SEGMENT, made when it is not there. */
static struct node *node_child(struct node *parent, struct str segment)
{
	enum node_kind kind = segment_kind(segment);
	struct node **at = &parent->child, *n;

	for (; *at && (*at)->kind <= kind; at = &(*at)->sibling)
		if ((*at)->kind == kind && (kind != NODE_TEXT || str_eq((*at)->text, segment)))
			return *at;
	n = xcalloc(1, sizeof(*n));
	n->kind = kind;
	n->text = segment;
	n->sibling = *at;
	*at = n;
	return n;
}

static void node_free(struct node *n)
{
	while (n) {
		struct node *next = n->sibling;

		node_free(n->child);
		free(n);
		n = next;
	}
}

static int node_set(struct node *n, const struct route *route)
{
	if (n->by_method[route->method])
		return -ERR_EXISTS;
	n->by_method[route->method] = route;
	n->methods |= 1u << route->method | 1u << HTTP_OPTIONS;
	if (route->method == HTTP_GET)
		n->methods |= 1u << HTTP_HEAD;
	return 0;
}

/* Only the last segment may be empty; "{name...}" stands only at the end; not too many names. */
static bool path_is_valid(const char *path)
{
	struct str rest = str_of(path), segment;
	int params = 0;

	if (path[0] != '/')
		return false;
	while (segment_next(&rest, &segment)) {
		enum node_kind kind = segment_kind(segment);

		params += kind != NODE_TEXT;
		if ((!segment.len && rest.len) || (kind == NODE_REST && rest.len))
			return false;
	}
	return params <= ROUTE_PARAMS_MAX;
}

static int routes_add(struct routes *r, const struct route *route)
{
	struct str rest = str_of(route->path), segment;
	struct node *n = r->root;
	int err;

	if (route->method >= HTTP_METHOD_COUNT || route->method == HTTP_OPTIONS ||
	    !path_is_valid(route->path))
		return -ERR_INVAL;
	while (segment_next(&rest, &segment))
		n = node_child(n, segment);
	err = node_set(n, route);
	r->methods |= n->methods;
	return err;
}

int routes_new(const struct route *table, size_t n, struct routes **ret,
	       const struct route **ret_bad)
{
	struct routes *r = xcalloc(1, sizeof(*r));

	r->root = xcalloc(1, sizeof(*r->root));
	for (size_t i = 0; i < n; i++) {
		int err = routes_add(r, &table[i]);

		if (err < 0) {
			if (ret_bad)
				*ret_bad = &table[i];
			routes_free(&r);
			return err;
		}
	}
	*ret = r;
	return 0;
}

void routes_free(struct routes **r)
{
	if (!*r)
		return;
	node_free((*r)->root);
	free(*r);
	*r = NULL;
}

/*
 * The node that the whole of PATH leads to below PARENT. Recursion is as deep as the table's paths.
 */
static const struct node *node_find(const struct node *parent, struct str path, int n_params,
				    struct str *params)
{
	struct str rest = path, segment;

	if (!segment_next(&rest, &segment))
		return parent->methods ? parent : NULL;
	for (const struct node *n = parent->child; n; n = n->sibling) {
		const struct node *found = NULL;

		if (n->kind == NODE_TEXT && str_eq(n->text, segment))
			found = node_find(n, rest, n_params, params);
		else if (n->kind == NODE_PARAM && segment.len)
			found = node_find(n, rest, n_params + 1, params);
		else if (n->kind == NODE_REST && path.len > 1)
			found = n;
		if (!found)
			continue;
		if (n->kind == NODE_PARAM)
			params[n_params] = segment;
		else if (n->kind == NODE_REST)
			params[n_params] = (struct str){path.p + 1, path.len - 1};
		return found;
	}
	return NULL;
}

enum route_result route_find(const struct routes *r, enum http_method method, struct str path,
			     struct route_match *ret)
{
	const struct node *n;

	*ret = (struct route_match){0};
	if (!path.len || path.p[0] != '/')
		return ROUTE_NO_PATH;
	n = node_find(r->root, path, 0, ret->param);
	if (!n)
		return ROUTE_NO_PATH;
	ret->methods = n->methods;
	if (method < HTTP_METHOD_COUNT)
		ret->route = n->by_method[method];
	if (!ret->route && method == HTTP_HEAD)
		ret->route = n->by_method[HTTP_GET];
	if (ret->route)
		return ROUTE_FOUND;
	for (size_t i = 0; i < HTTP_METHOD_COUNT && !ret->route; i++)
		ret->route = n->by_method[i];
	return ROUTE_OTHER_METHOD;
}

uint32_t routes_methods(const struct routes *r)
{
	return r->methods;
}

void route_add_allow(struct buf *b, uint32_t methods)
{
	const char *sep = "";

	for (unsigned m = 0; m < HTTP_METHOD_COUNT; m++) {
		if (!(methods & 1u << m))
			continue;
		buf_printf(b, "%s%s", sep, http_method_name(m));
		sep = ", ";
	}
}

void route_describe(const struct route *table, size_t n, struct buf *b)
{
	buf_add_char(b, '[');
	for (size_t i = 0; i < n; i++) {
		json_add_sep(b);
		buf_add_char(b, '{');
		json_add_key_cstr(b, "method", http_method_name(table[i].method));
		json_add_key_cstr(b, "path", table[i].path);
		json_add_key_cstr(b, "handler", table[i].handler_name);
		json_add_key_cstr(b, "shape", shape_names[table[i].shape]);
		json_add_key_cstr(b, "auth", auth_names[table[i].auth]);
		json_add_key_cstr(b, "rate", rate_names[table[i].rate]);
		json_add_key_cstr(b, "body", body_names[table[i].body]);
		json_add_key_cstr(b, "summary", table[i].summary);
		buf_add_char(b, '}');
	}
	buf_add_char(b, ']');
}
