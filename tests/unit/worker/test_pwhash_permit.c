/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/pwhash_permit.c: the count holds over processes and outlives none of them.
 */
#include "worker_test.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/pwhash_priv.h"

static struct permits p;
static bool mine[PERMITS_MAX], more[PERMITS_MAX], none[PERMITS_MAX];

static int set_up(void **state)
{
	(void)state;
	p = (struct permits){.fd = memfd_create("permits", MFD_CLOEXEC), .limit = 3, .share = 1};
	return p.fd < 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(p.fd);
	return 0;
}

/* A process that holds N permits until it is killed. */
static pid_t hold(unsigned n)
{
	int ready[2];
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		c = permits_take(&p, n, mine) ? 'y' : 'n';
		(void)!write(ready[1], &c, 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_in_one_process(void **state)
{
	(void)state;
	assert_true(permits_take(&p, 2, mine));
	assert_int_equal(p.n_held, 2);
	assert_false(permits_take(&p, 2, more)); /* all or none */
	assert_int_equal(p.n_held, 2);
	assert_true(permits_take(&p, 1, more));
	assert_false(permits_take(&p, 1, none)); /* none left */
	permits_give(&p, more);
	assert_int_equal(p.n_held, 2);
	assert_true(permits_take(&p, 1, more));
}

static void test_over_processes(void **state)
{
	pid_t other = hold(2);

	(void)state;
	assert_false(permits_take(&p, 2, mine));
	assert_true(permits_take(&p, 1, mine));
	assert_false(permits_take(&p, 1, more));
	end(other);
	assert_true(permits_take(&p, 2, more));
}

static void test_nothing_is_lost_by_deaths(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		end(hold(3));
	assert_true(permits_take(&p, 3, mine));
}

static void test_a_lower_limit(void **state)
{
	pid_t other = hold(1); /* the first one */

	(void)state;
	assert_true(permits_take(&p, 2, mine));
	p.limit = 1; /* by a reload: what is held ends in its time */
	permits_give(&p, mine);
	assert_false(permits_take(&p, 1, more));
	end(other);
	assert_true(permits_take(&p, 1, more));
}

/* Where the file system knows no locks each process keeps to its share. */
static void test_without_locks(void **state)
{
	(void)state;
	close(p.fd);
	p.fd = -1;
	assert_true(permits_take(&p, 1, mine));
	assert_false(permits_take(&p, 1, more));
	permits_give(&p, mine);
	assert_true(permits_take(&p, 1, mine));
	p.share = 3;
	assert_true(permits_take(&p, 2, more));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_in_one_process),
		CASE(test_over_processes),
		CASE(test_nothing_is_lost_by_deaths),
		CASE(test_a_lower_limit),
		CASE(test_without_locks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
