/* SPDX-License-Identifier: MIT */
/*
 * Fork, signals and reaping (daemon/process.c).
 * What children do is tested with the whole daemon.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/process.h"

static struct process_end wait_end(pid_t pid, int pidfd)
{
	struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};

	assert_true(pid > 0);
	assert_int_equal(poll(&poll_fd, 1, 10000), 1);
	assert_int_equal(kill(pid, 0), 0); /* a zombie still holds its pid */
	close(pidfd);
	return process_reap(pid);
}

static void test_exit_code(void **state)
{
	struct process_end end;
	int pidfd = -1;
	pid_t pid = process_fork(&pidfd);

	(void)state;
	if (pid == 0)
		_exit(71);
	assert_true(fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
	end = wait_end(pid, pidfd);
	assert_int_equal(end.code, 71);
	assert_int_equal(end.signal, 0);
	assert_int_equal(kill(pid, 0), -1); /* reaped */
	assert_int_equal(errno, ESRCH);
}

static void test_signal(void **state)
{
	struct process_end end;
	int pidfd = -1;
	pid_t pid = process_fork(&pidfd);

	(void)state;
	if (pid == 0)
		for (;;)
			pause();
	kill(pid, SIGKILL);
	end = wait_end(pid, pidfd);
	assert_int_equal(end.code, -1);
	assert_int_equal(end.signal, SIGKILL);
}

static void on_signal(int sig)
{
	(void)sig;
}

/* The child starts without the parent's handlers and with nothing blocked. */
static void test_child_has_fresh_signals(void **state)
{
	struct sigaction sa;
	sigset_t blocked;
	int pidfd = -1;
	pid_t pid;

	(void)state;
	signal(SIGTERM, on_signal);
	signal(SIGUSR1, SIG_IGN);
	pid = process_fork(&pidfd);
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, NULL, &blocked);
		for (int sig = 1; sig < SIGRTMIN; sig++) {
			if (sig == SIGKILL || sig == SIGSTOP)
				continue;
			sigaction(sig, NULL, &sa);
			if (sa.sa_handler != (sig == SIGPIPE ? SIG_IGN : SIG_DFL) ||
			    sigismember(&blocked, sig))
				_exit(sig);
		}
		_exit(0);
	}
	assert_int_equal(wait_end(pid, pidfd).code, 0);
	sigprocmask(SIG_SETMASK, NULL, &blocked); /* the parent's mask is as before */
	assert_int_equal(sigismember(&blocked, SIGTERM), 0);
	sigaction(SIGTERM, NULL, &sa);
	assert_true(sa.sa_handler == on_signal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_code),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_child_has_fresh_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
