#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* More than a socket or a pipe holds. */
enum { LEFT_READS = 128 };
enum { AGENT_FD = 3, CONSOLE_FD = 4, MONITOR_FD = 5, SHARES_FD = 3 };
static const char shares_path[] = "/run/vm/shares";

pid_t qemu_pid;
static pid_t shares_pid;
static int console_fd = -1, words_fd = -1;
static struct tail console, words;
static bool shows_console;
/* Why it ended; empty while it has not. */
static char end_words[TAIL_SIZE + 128];
static char shares_end[TAIL_SIZE + 128];

static _Noreturn void child_failed(const char *action)
{
	fprintf(stderr, "cannot %s: %s\n", action, strerror(errno));
	_exit(127);
}

/* These descriptors and 0 to 2, nothing else. */
static void hand_over(const struct handed_file *files, size_t count)
{
	int copies[LAST_FD + 1];
	for (size_t i = 0; i < count; i++)
		if ((copies[i] = fcntl(files[i].fd, F_DUPFD_CLOEXEC, LAST_FD + 1)) < 0)
			child_failed("keep a descriptor");
	for (size_t i = 0; i < count; i++)
		if (dup2(copies[i], files[i].number) < 0)
			child_failed("hand over a descriptor");
}

static void limit(const struct machine *machine)
{
	for (size_t i = 0; i < machine->limits_count; i++) {
		const uint8_t *value = machine->limits[i].value;
		struct rlimit limits = { get_u64(value + 4), get_u64(value + 12) };
		if (setrlimit((int)get_u32(value), &limits) != 0)
			child_failed("set a limit");
	}
}

static void child(char **command, const struct handed_file *files, size_t count, const struct machine *owner, pid_t parent)
{
	if (unshare(CLONE_NEWNET) != 0)
		child_failed("make a network namespace");
	if (owner != NULL) {
		limit(owner);
		if (!become(owner->uid, owner->gid))
			child_failed("become the owner");
		if (owner->preload != NULL)
			setenv("LD_PRELOAD", owner->preload, 1);
	}
	/* Not before: a change of the user clears it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	hand_over(files, count);
	signal(SIGPIPE, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (owner != NULL && owner->filter.value != NULL &&
	    !filter_calls(get_u32(owner->filter.value), owner->filter.value + 4, owner->filter.length - 4))
		child_failed("filter its system calls");
	execvp(command[0], command);
	child_failed("run it");
}

/* As the owner without anything, or, with none, as we are. */
static pid_t start(char **command, const struct handed_file *files, size_t count, const struct machine *owner, int output)
{
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid < 0)
		give_up("start", command[0]);
	if (pid > 0)
		return pid;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (dup2(output, STDERR_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0)
		child_failed("open its stdio");
	child(command, files, count, owner, parent);
	return -1;
}

static void start_shares(const struct machine *machine, int output)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, shares_path);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(shares_path);
	mode_t usual = umask(0177);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 8) != 0)
		give_up("listen at", shares_path);
	umask(usual);
	struct handed_file file = { SHARES_FD, listener };
	shares_pid = start(machine->shares, &file, 1, NULL, output);
	close(listener);
}

int qemu_start(const struct machine *machine)
{
	int agent[2], serial[2], monitor[2], output[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, agent) != 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, serial) != 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, monitor) != 0 || pipe2(output, O_CLOEXEC) != 0)
		give_up("start", machine->qemu[0]);
	if (machine->shares != NULL)
		start_shares(machine, output[1]);
	static struct handed_file files[LAST_FD + 1];
	memcpy(files, machine->files, machine->files_count * sizeof *files);
	files[machine->files_count] = (struct handed_file){ AGENT_FD, agent[1] };
	files[machine->files_count + 1] = (struct handed_file){ CONSOLE_FD, serial[1] };
	files[machine->files_count + 2] = (struct handed_file){ MONITOR_FD, monitor[1] };
	qemu_pid = start(machine->qemu, files, machine->files_count + 3, machine, output[1]);
	close(agent[1]);
	close(serial[1]);
	close(monitor[1]);
	close(output[1]);
	for (size_t i = 0; i < machine->files_count; i++)
		close(machine->files[i].fd);
	console_fd = serial[0];
	words_fd = output[0];
	monitor_open(monitor[0], machine);
	fcntl(console_fd, F_SETFL, O_NONBLOCK);
	fcntl(words_fd, F_SETFL, O_NONBLOCK);
	shows_console = machine->console;
	return agent[0];
}

void qemu_kill(void)
{
	if (qemu_pid > 0)
		kill(qemu_pid, SIGKILL);
}

/* One piece a turn: a guest that talks without end does not keep us from the others. */
static bool listen_to(int *fd, struct tail *tail)
{
	char text[4096];
	ssize_t got = read(*fd, text, sizeof text);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got <= 0) {
		close(*fd);
		*fd = -1;
		return false;
	}
	tail_add(tail, text, (size_t)got);
	/* What stderr does not take at once is lost. */
	if (tail == &console && shows_console)
		(void)!write(STDERR_FILENO, text, (size_t)got);
	return true;
}

static void console_ready(void *subject, short events)
{
	(void)subject;
	(void)events;
	listen_to(&console_fd, &console);
}

static void words_ready(void *subject, short events)
{
	(void)subject;
	(void)events;
	listen_to(&words_fd, &words);
}

void qemu_fail(const char *why)
{
	tail_add(&words, why, strlen(why));
	qemu_kill();
}

void qemu_poll(void)
{
	monitor_poll();
	if (console_fd >= 0)
		poll_add(console_fd, POLLIN, console_ready, NULL);
	if (words_fd >= 0)
		poll_add(words_fd, POLLIN, words_ready, NULL);
}

/* What stands in the sockets and pipes of a process that has ended; others may hold them and talk on. */
static void hear_out(int *fd, struct tail *tail)
{
	for (int i = 0; i < LEFT_READS && *fd >= 0 && listen_to(fd, tail); i++)
		continue;
}

static void describe(char *text, size_t size, const char *name, int status)
{
	char said[TAIL_SIZE + 1];
	hear_out(&words_fd, &words);
	tail_copy(&words, said);
	snprintf(text, size, "%s %s %d%s%s", name, WIFSIGNALED(status) ? "was killed by signal" : "ended with code",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), said[0] != '\0' ? ": " : "", said);
}

void qemu_child_ended(pid_t pid, int status)
{
	if (pid == shares_pid) {
		shares_pid = 0;
		describe(shares_end, sizeof shares_end, "virtiofsd", status);
		/* It also ends when QEMU does, and then QEMU's end is the reason. */
		qemu_kill();
	} else if (pid == qemu_pid) {
		qemu_pid = 0;
		if (shares_end[0] != '\0' && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			memcpy(end_words, shares_end, sizeof end_words);
		else
			describe(end_words, sizeof end_words, "QEMU", status);
		hear_out(&console_fd, &console);
	}
}

const char *qemu_end(void)
{
	return end_words[0] != '\0' ? end_words : NULL;
}

void qemu_console(char text[TAIL_SIZE + 1])
{
	tail_copy(&console, text);
}
