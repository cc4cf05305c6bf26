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

/* What a worker needs beside its stdio, one after the other, and nothing else. */
static void keep_open(int status)
{
	enum { STATUS = 3, ROOT, REST };
	int here = fcntl(status, F_DUPFD, REST), root = container.root_fd < 0 ? -1 : fcntl(container.root_fd, F_DUPFD, REST);
	dup2(here, STATUS);
	if (root >= 0)
		container.root_fd = dup2(root, ROOT);
	syscall(SYS_close_range, root >= 0 ? REST : ROOT, ~0U, 0);
	report_to(STATUS);
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
		dup2(takes ? ends.in : null, STDIN_FILENO);
		dup2(ends.out, STDOUT_FILENO);
		keep_open(ends.status);
		does(&body);
		answer(NULL, 0);
	}
	child_close(&ends);
}

pid_t worker_fork(void (*does)(void))
{
	pid_t pid = fork_worker();
	if (pid == 0) {
		close_all_but(2);
		does();
		_exit(0);
	}
	return pid;
}
