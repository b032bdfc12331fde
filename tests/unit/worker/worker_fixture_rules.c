/* SPDX-License-Identifier: MIT */
/*
 * The part of the stand of worker_fixture.h that stands in the places of roles.c and of the content
 * filters' statements. What a test sets is in stand_filters.
 */
#include "worker_fixture.h"

#include "worker/roles.h"

int __wrap_filters_read(struct db *db, int64_t after, uint64_t deadline_ms, filters_read_fn *done,
			void *arg);
void __wrap_filters_row(const struct db_result *res, int i, struct filter_row *ret);
int __wrap_filter_hit_add(struct db *db, const struct filter_hit *hit);
int __wrap_filter_hits_report(struct db *db);
bool __wrap_roles_peek(struct worker *w, int64_t conv, int64_t user, bool is_admin,
		       struct rights *ret);
void __wrap_roles_get(struct worker *w, int64_t conv, int64_t user, bool is_admin, roles_fn *done,
		      void *arg);
void __wrap_roles_warm(struct worker *w, const int64_t *convs, size_t n, int64_t user,
		       roles_warm_fn *done, void *arg);

/* Rooms are open to all: roles have tests of their own. */
bool __wrap_roles_peek(struct worker *w, int64_t conv, int64_t user, bool is_admin,
		       struct rights *ret)
{
	(void)w;
	(void)conv;
	*ret = (struct rights){
		.actor = {.user = user, .role = ROLE_VISITOR, .is_admin = is_admin}};
	return true;
}

void __wrap_roles_get(struct worker *w, int64_t conv, int64_t user, bool is_admin, roles_fn *done,
		      void *arg)
{
	struct rights r;

	if (__wrap_roles_peek(w, conv, user, is_admin, &r))
		done(w, arg, 0, &r);
}

void __wrap_roles_warm(struct worker *w, const int64_t *convs, size_t n, int64_t user,
		       roles_warm_fn *done, void *arg)
{
	(void)convs;
	(void)n;
	(void)user;
	done(w, arg);
}

struct stand_filters stand_filters;

/* Rules as the test has set them, each time all at once. */
int __wrap_filters_read(struct db *db, int64_t after, uint64_t deadline_ms, filters_read_fn *done,
			void *arg)
{
	struct filters_page page = {.version = stand_filters.version,
				    .removed = stand_filters.removed};

	(void)db;
	(void)deadline_ms;
	if (stand_filters.is_held)
		return 0;
	page.n = after < stand_filters.version ? stand_filters.n : 0;
	done(arg, 0, &page);
	return 0;
}

void __wrap_filters_row(const struct db_result *res, int i, struct filter_row *ret)
{
	(void)res;
	assert_in_range(i, 0, stand_filters.n - 1);
	*ret = stand_filters.rows[i];
}

int __wrap_filter_hits_report(struct db *db)
{
	(void)db;
	stand_filters.reports++;
	return 0;
}

int __wrap_filter_hit_add(struct db *db, const struct filter_hit *hit)
{
	(void)db;
	stand_filters.hits++;
	stand_filters.hit_rule = hit->filter;
	return 0;
}
