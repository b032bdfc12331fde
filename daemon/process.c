/* SPDX-License-Identifier: MIT */
/*
 * Fork and reap. What the child is for is spawn.c's and schema.c's.
 */
#include "daemon/process.h"

#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

static void reset_signals(void)
{
	const struct sigaction by_default = {.sa_handler = SIG_DFL};
	const struct sigaction ignored = {.sa_handler = SIG_IGN};

	for (int sig = 1; sig < SIGRTMIN; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			sigaction(sig, sig == SIGPIPE ? &ignored : &by_default, NULL);
}

static void end_child(pid_t pid)
{
	int saved = errno;

	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	errno = saved;
}

pid_t process_fork(int *ret_pidfd)
{
	sigset_t all, before;
	int pidfd = -1;
	pid_t pid;

	/* a signal for the child must not run the master's handlers in it */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0) {
		reset_signals();
		sigemptyset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		return 0;
	}
	if (pid > 0)
		pidfd = pidfd_open(pid, 0);
	if (pid > 0 && pidfd < 0) { /* a child that cannot be watched must not live */
		end_child(pid);
		pid = -1;
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid > 0)
		*ret_pidfd = pidfd;
	return pid;
}

struct process_end process_reap(pid_t pid)
{
	struct process_end end = {-1, 0};
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		end.signal = WTERMSIG(status);
	else
		end.code = WEXITSTATUS(status);
	return end;
}
