/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/authz.c: ranks, mutes, administrators, rooms without an owner, how refusals are
 * told. The whole table is tried through the wire by tests/integration/test_roles.py.
 */
#include "worker_test.h"

#include "worker/authz.h"

static struct authz_actor actor(enum authz_role role)
{
	return (struct authz_actor){.user = 1, .role = (uint8_t)role};
}

static void test_ranks(void **state)
{
	struct authz_actor a;

	(void)state;
	for (enum authz_role role = ROLE_BANNED; role <= ROLE_OWNER; role++) {
		a = actor(role);
		assert_int_equal(authz_allows(&a, MAY_READ), role >= ROLE_READ_ONLY);
		assert_int_equal(authz_allows(&a, MAY_SEND), role >= ROLE_VISITOR);
		assert_int_equal(authz_allows(&a, MAY_BAN), role >= ROLE_MODERATOR);
		assert_int_equal(authz_allows(&a, MAY_CLOSE), role >= ROLE_ADMIN);
		assert_false(authz_allows(&a, MAY_AUDIT));
	}
}

static void test_muted(void **state)
{
	struct authz_actor a = actor(ROLE_MEMBER);

	(void)state;
	a.is_muted = true;
	assert_false(authz_allows(&a, MAY_SEND));
	assert_false(authz_allows(&a, MAY_EDIT));
	assert_true(authz_allows(&a, MAY_READ));
	assert_true(authz_allows(&a, MAY_DELETE));
}

/* He moderates anywhere and reads nobody's letters. */
static void test_server_administrator(void **state)
{
	struct authz_actor a = actor(ROLE_NONE);

	(void)state;
	a.is_admin = true;
	assert_true(authz_allows(&a, MAY_BAN));
	assert_true(authz_allows(&a, MAY_AUDIT));
	assert_true(authz_allows_to(&a, MAY_BAN, ROLE_OWNER));
	assert_false(authz_allows(&a, MAY_READ));
	assert_false(authz_allows(&a, MAY_SEND));
}

static void test_nobody_owns_it(void **state)
{
	struct authz_actor a = actor(ROLE_VISITOR);

	(void)state;
	a.is_unowned = true;
	assert_true(authz_allows(&a, MAY_CLOSE));
	assert_false(authz_allows(&a, MAY_UPDATE));
	a.role = ROLE_BANNED;
	assert_false(authz_allows(&a, MAY_CLOSE));
}

static void test_outranking(void **state)
{
	struct authz_actor a = actor(ROLE_MODERATOR);

	(void)state;
	assert_true(authz_allows_to(&a, MAY_KICK, ROLE_MEMBER));
	assert_false(authz_allows_to(&a, MAY_KICK, ROLE_MODERATOR));
	assert_false(authz_allows_to(&a, MAY_KICK, ROLE_OWNER));
	assert_false(authz_allows_to(&a, MAY_ROLE, ROLE_MEMBER));
	a = actor(ROLE_OWNER);
	assert_true(authz_allows_to(&a, MAY_KICK, ROLE_OWNER));
	a = actor(ROLE_ADMIN);
	assert_true(authz_may_grant(&a, ROLE_ADMIN));
	assert_false(authz_may_grant(&a, ROLE_OWNER));
}

static void test_refusals(void **state)
{
	struct authz_actor a = actor(ROLE_NONE);

	(void)state;
	assert_int_equal(authz_refusal(&a, MAY_READ), E_NO_SUCH_ROOM);
	a = actor(ROLE_BANNED);
	assert_int_equal(authz_refusal(&a, MAY_SEND), E_BANNED);
	a = actor(ROLE_READ_ONLY);
	assert_int_equal(authz_refusal(&a, MAY_SEND), E_READ_ONLY);
	assert_int_equal(authz_refusal(&a, MAY_BAN), E_FORBIDDEN);
	a = actor(ROLE_MEMBER);
	a.is_muted = true;
	assert_int_equal(authz_refusal(&a, MAY_SEND), E_MUTED);
	assert_int_equal(authz_refusal(&a, MAY_BAN), E_FORBIDDEN);
}

/* Names that a member can be given; nobody is given a visitor's. */
static void test_names(void **state)
{
	enum authz_role role = ROLE_NOBODY;

	(void)state;
	assert_int_equal(authz_role_parse(STR("read-only"), &role), 0);
	assert_int_equal(role, ROLE_READ_ONLY);
	assert_int_equal(authz_role_parse(STR("visitor"), &role), -ERR_INVAL);
	assert_int_equal(authz_role_parse(STR("none"), &role), -ERR_INVAL);
	assert_int_equal(authz_role_parse(STR("Owner"), &role), -ERR_INVAL);
	assert_int_equal(authz_role_parse(STR(""), &role), -ERR_INVAL);
	assert_int_equal(role, ROLE_READ_ONLY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranks),	    cmocka_unit_test(test_muted),
		cmocka_unit_test(test_server_administrator),
		cmocka_unit_test(test_nobody_owns_it), cmocka_unit_test(test_outranking),
		cmocka_unit_test(test_refusals),    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
