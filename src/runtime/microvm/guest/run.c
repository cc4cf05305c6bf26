#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* So long the output of processes that ended with the main one waits for whoever reads it. */
enum { DRAIN_MS = 2000 };

static int own_pid_namespace = -1;

/* A child in the pid namespace of the container: the main process makes it, later ones join it. */
static pid_t fork_into_container(bool is_main)
{
	if (is_main)
		return (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0);
	if (own_pid_namespace < 0)
		own_pid_namespace = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (setns(container.main_fd, CLONE_NEWPID) != 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0)
		return 0;
	int error = errno;
	setns(own_pid_namespace, CLONE_NEWPID);
	errno = error;
	return pid;
}

static void read_terminal(struct call *call)
{
	struct records body = call_body(call);
	struct record record;
	size_t at = 0;
	call->terminal = record_find(&body, &at, TAG_TERMINAL, &record);
	if (call->terminal) {
		call->rows = get_u16(record.value);
		call->columns = get_u16(record.value + 2);
	}
}

void run_start(struct call *call)
{
	struct execution execution = { .body = call_body(call) };
	if (!record_has(&execution.body, TAG_ARGS)) {
		call_fail(call, EINVAL, "the process has no arguments");
		return;
	}
	if (container.state == CONTAINER_NONE) {
		call_fail(call, EINVAL, "the guest is not configured");
		return;
	}
	if (container.state == CONTAINER_STARTING || container.state == CONTAINER_ENDED) {
		call_fail(call, ESRCH, "the container %s", container.state == CONTAINER_ENDED ? "has ended" : "does not run yet");
		return;
	}
	read_terminal(call);
	bool is_main = container.state == CONTAINER_CONFIGURED, pipes = !call->terminal;
	if (!child_pipes(call, pipes && record_has(&execution.body, TAG_STDIN), pipes, pipes, &execution.ends)) {
		call_fail(call, errno, "pipe: %s", strerror(errno));
		return;
	}
	execution.is_main = call->is_main = is_main;
	execution.rows = call->rows;
	execution.columns = call->columns;
	call->oom_kills = container_oom_kills();
	pid_t pid = fork_into_container(is_main);
	if (pid == 0)
		execute(&execution);
	if (pid < 0)
		call_fail(call, errno, "fork: %s", strerror(errno));
	else
		call->pid = pid;
	child_close(&execution.ends);
	if (pid > 0 && is_main) {
		container.state = CONTAINER_STARTING;
		container.main_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	}
}

static void main_ended(void)
{
	container.state = CONTAINER_ENDED;
	container.ended_at = monotonic_ms();
	/* It would keep the filesystem busy. */
	if (container.root_fd >= 0)
		close(container.root_fd);
	container.root_fd = -1;
	for (struct call *call = calls; call != NULL; call = call->next)
		if (call->method == METHOD_RUN && call->pid > 0)
			run_cancel(call);
}

static void resize(struct call *call)
{
	const struct winsize size = { .ws_row = call->rows, .ws_col = call->columns };
	if (call->terminal && call->out[0].fd >= 0)
		ioctl(call->out[0].fd, TIOCSWINSZ, &size);
}

void run_terminal(struct call *call, int master)
{
	fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
	call->terminal_came = true;
	call->in.fd = call->out[0].fd = master;
	/* It may have changed since the process was started. */
	resize(call);
}

static void tell_started(struct call *call)
{
	uint8_t pid[4];
	put_u32(pid, (uint32_t)call->pid);
	call_event(call, EVENT_STARTED, pid, sizeof pid);
}

void run_tell_anew(struct call *call)
{
	tell_started(call);
	streams_begin_anew(call);
}

void run_poll(struct call *call)
{
	if (!call->started && call->executing && call->status_fd < 0 && call->error == 0) {
		call->started = true;
		tell_started(call);
		if (call->is_main)
			container.state = CONTAINER_RUNNING;
	}
	if (call->is_main && call->reaped && container.state != CONTAINER_ENDED)
		main_ended();
	if (call->is_main || container.state != CONTAINER_ENDED)
		return;
	int64_t until = container.ended_at + DRAIN_MS;
	if (monotonic_ms() >= until)
		call->cancelled = true;
	else
		wake_at(until);
}

void run_control(struct call *call, const uint8_t *control)
{
	if (control[0] == CONTROL_SIZE) {
		call->rows = get_u16(control + 1);
		call->columns = get_u16(control + 3);
		resize(call);
	} else if (call->started && !call->reaped) {
		call->killed = call->killed || get_u32(control + 1) == SIGKILL;
		kill(call->pid, (int)get_u32(control + 1));
	}
}

void run_cancel(struct call *call)
{
	if (call->pid <= 0 || call->reaped || call->tearing_down)
		return;
	call->killed = true;
	kill(call->pid, SIGKILL);
}

static bool others_are_there(const struct call *main)
{
	for (const struct call *call = calls; call != NULL; call = call->next)
		if (call != main && call->method == METHOD_RUN && !call->done && call->pid > 0)
			return true;
	return false;
}

static void tell_result(struct call *call, int status)
{
	uint8_t result[5];
	if (call->error != 0) {
		call_fail(call, (int)call->error, "%s", (const char *)call->answer);
	} else if (!call->started) {
		call_fail(call, call->cancelled ? ECANCELED : EIO, "the process ended before it was executed");
	} else {
		bool was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !call->killed;
		put_u32(result, (uint32_t)status);
		result[4] = was_killed && container_oom_kills() > call->oom_kills;
		call_succeed(call, result, sizeof result);
	}
}

void run_ended(struct call *call)
{
	if (!call->is_main) {
		tell_result(call, call->wait_status);
	} else if (call->tearing_down) {
		tell_result(call, call->main_status);
	} else if (!others_are_there(call)) {
		call->tearing_down = true;
		call->main_status = call->wait_status;
		call->reaped = false;
		call->pid = worker_fork(container_tear_down);
		if (call->pid < 0)
			tell_result(call, call->main_status);
	}
}
