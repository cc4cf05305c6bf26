#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static pid_t fork_worker(void)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

void worker_start(struct call *call, work *does)
{
	struct child_ends ends;
	struct records body = call_body(call);
	/* Only those have something to take in; all may have much to say. */
	bool takes = call->method == METHOD_PLANT;
	if (!child_pipes(call, takes, true, false, &ends)) {
		call_fail(call, errno, "pipe: %s", strerror(errno));
		return;
	}
	call->pid = fork_worker();
	if (call->pid < 0) {
		call->pid = 0;
		call_fail(call, errno, "fork: %s", strerror(errno));
	} else if (call->pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		report_to(ends.status);
		dup2(takes ? ends.in : null, STDIN_FILENO);
		dup2(ends.out, STDOUT_FILENO);
		close(ends.out);
		does(&body);
		answer(NULL, 0);
	}
	child_close(&ends);
}

pid_t worker_fork(void (*does)(void))
{
	pid_t pid = fork_worker();
	if (pid == 0) {
		does();
		_exit(0);
	}
	return pid;
}
