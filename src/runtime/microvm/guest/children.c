#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int signals;

void children_open(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Orphans of the container's processes come to us as well. */
static void reap(void *subject, short events)
{
	struct signalfd_siginfo ignored[8];
	(void)subject;
	(void)events;
	while (read(signals, ignored, sizeof ignored) > 0)
		;
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		calls_child_ended(pid, status);
}

void children_poll(void)
{
	poll_add(signals, POLLIN, reap, NULL);
}

static bool make_pipe(bool wanted, bool to_child, int *ours, int *theirs)
{
	int ends[2];
	*ours = *theirs = -1;
	if (!wanted)
		return true;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	*ours = ends[to_child];
	*theirs = ends[!to_child];
	fcntl(*ours, F_SETFL, O_NONBLOCK);
	return true;
}

bool child_pipes(struct call *call, bool in, bool out, bool error, struct child_ends *ends)
{
	int status[2];
	*ends = (struct child_ends){ -1, -1, -1, -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, status) != 0)
		return false;
	call->status_fd = status[0];
	ends->status = status[1];
	if (make_pipe(in, true, &call->in.fd, &ends->in) && make_pipe(out, false, &call->out[0].fd, &ends->out) &&
	    make_pipe(error, false, &call->out[1].fd, &ends->error))
		return true;
	int why = errno;
	child_close(ends);
	errno = why;
	return false;
}

void child_close(struct child_ends *ends)
{
	const int all[] = { ends->status, ends->in, ends->out, ends->error };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i] >= 0)
			close(all[i]);
}

/* -1 when none came. */
static int passed_fd(struct msghdr *message)
{
	int fd = -1;
	struct cmsghdr *control = CMSG_FIRSTHDR(message);
	if (control != NULL && control->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(control), sizeof fd);
	return fd;
}

static void keep_answer(struct call *call, const uint8_t *data, size_t length)
{
	free(call->answer);
	call->answer = need(malloc(length + 1));
	memcpy(call->answer, data, length);
	call->answer[length] = '\0';
	call->answer_length = length;
	call->answered = true;
}

/* Reports as report.c makes them. False when no more is there for now. */
static bool take_report(struct call *call)
{
	uint8_t data[PAYLOAD_MOST];
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { data, sizeof data };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	ssize_t length = recvmsg(call->status_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (length <= 0) {
		close(call->status_fd);
		call->status_fd = -1;
		return false;
	}
	switch (data[0]) {
	case 'T':
		run_terminal(call, passed_fd(&message));
		break;
	case 'R':
		container.root_fd = passed_fd(&message);
		break;
	case 'X':
		call->executing = true;
		break;
	case 'F':
		/* Of two, the second only says that the first was. */
		if (call->error != 0)
			break;
		call->error = get_u32(data + 1);
		keep_answer(call, data + 5, (size_t)length - 5);
		break;
	case 'A':
		keep_answer(call, data + 1, (size_t)length - 1);
		break;
	}
	return true;
}

static void status_ready(void *subject, short events)
{
	struct call *call = subject;
	(void)events;
	while (call->status_fd >= 0 && take_report(call))
		;
}

void child_poll(struct call *call)
{
	if (call->status_fd >= 0)
		poll_add(call->status_fd, POLLIN, status_ready, call);
}
