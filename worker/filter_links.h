/* SPDX-License-Identifier: MIT */
/*
 * Links in texts, judged by their hosts: one pass whatever the number of hosts.
 * What a link leads to is filter_set.c's.
 */
#ifndef WORKER_FILTER_LINKS_H
#define WORKER_FILTER_LINKS_H

#include "base/base.h"
#include "worker/filter_words.h"

struct filter_links; /* opaque */

struct filter_links *filter_links_new(void);
void filter_links_free(struct filter_links **l); /* NULL allowed; clears the pointer */

/* Whether PATTERN is a host name, alone or behind "*.", or "*". */
bool filter_link_valid(struct str pattern);

/* Adds RULE, borrowed. Returns 0 or -ERR_INVAL. */
int filter_links_put(struct filter_links *l, const struct filter_rule *rule) MUST_CHECK;

/*
 * Tells every link in TEXT, valid UTF-8, that a rule is about. What has a scheme, begins with
 * "www." or is a name with dots and a path is a link; a host that a rule names is one without all
 * of these.
 */
void filter_links_find(const struct filter_links *l, struct str text, filter_found_fn *found,
		       void *arg);

#endif
