/* SPDX-License-Identifier: MIT */
/*
 * Intrusive doubly linked list: the node lives in the object, the list owns nothing.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/base.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

/* Adds NODE as the last of L. NODE must be in no list. */
static inline void list_append(struct list *l, struct list *node)
{
	node->prev = l->prev;
	node->next = l;
	l->prev->next = node;
	l->prev = node;
}

/* Takes NODE out of its list; allowed on a node that is in none (initialised). */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Makes TO the list of all nodes of FROM, which is empty afterwards. TO needs no initialisation. */
static inline void list_move(struct list *to, struct list *from)
{
	list_init(to);
	if (list_empty(from))
		return;
	*to = *from;
	to->next->prev = to->prev->next = to;
	list_init(from);
}

static inline struct list *list_first(const struct list *l)
{
	return list_empty(l) ? NULL : l->next;
}

#define list_entry(node, type, member) container_of(node, type, member)

/* The current node may be removed inside the loop, its neighbours may not. */
#define list_each_safe(node, tmp, l)                                                               \
	for ((node) = (l)->next, (tmp) = (node)->next; (node) != (l);                              \
	     (node) = (tmp), (tmp) = (node)->next)

#endif
