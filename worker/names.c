/* SPDX-License-Identifier: MIT */
/*
 * Sets of users, copied: rosters and typing sets on their way into a frame.
 * Nothing here looks at shared memory.
 */
#include "worker/names.h"

void names_add(void *names, int64_t user, struct str name)
{
	struct names *n = names;

	if (n->n == n->cap) {
		n->cap = n->cap ? n->cap * 2 : 16;
		n->rows = xrealloc(n->rows, n->cap * sizeof(*n->rows));
	}
	n->rows[n->n++] = (struct name_row){user, {xstrndup(name.p, name.len), name.len}};
}

static int by_name(const void *a, const void *b)
{
	const struct name_row *x = a, *y = b;
	int order = strcmp(x->name.p, y->name.p);

	return order ? order : (x->user > y->user) - (x->user < y->user);
}

void names_sort(struct names *n)
{
	if (n->n)
		qsort(n->rows, n->n, sizeof(*n->rows), by_name);
}

bool names_next_user(void *names, int64_t *ret_user, struct str *ret_name)
{
	struct names *n = names;

	if (n->next == n->n)
		return false;
	*ret_user = n->rows[n->next].user;
	*ret_name = n->rows[n->next++].name;
	return true;
}

bool names_next(void *names, struct str *ret_name)
{
	int64_t user;

	return names_next_user(names, &user, ret_name);
}

void names_done(struct names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free((char *)n->rows[i].name.p);
	free(n->rows);
	*n = (struct names){0};
}
