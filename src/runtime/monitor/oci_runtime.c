#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t runtime_pid = -1;
static int console_listener = -1;
static int console_connection = -1;
/* Asked for, while the log's other end is yet to answer. */
static bool start_wanted;

/* Children that ended before the runtime told us which one is the process. */
static struct {
	pid_t pid;
	int status;
} early[16];
static size_t early_count;

static void console_listen(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "tty" };
	console_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (console_listener < 0 || bind(console_listener, (struct sockaddr *)&address, sizeof address) != 0 ||
	    listen(console_listener, 1) != 0)
		_exit(1);
}

static void console_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The runtime sends one message with the pty's master in it (runc's docs/terminals.md). */
static void console_receive(void *subject, short events)
{
	(void)subject;
	(void)events;
	char name[256];
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { name, sizeof name };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	ssize_t length = recvmsg(console_connection, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	struct cmsghdr *header = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (header != NULL && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int))) {
		int master;
		memcpy(&master, CMSG_DATA(header), sizeof master);
		stdio_use_terminal(master);
		unlink("tty");
		console_close(&console_listener);
	}
	console_close(&console_connection);
}

static void console_accept(void *subject, short events)
{
	(void)subject;
	(void)events;
	console_close(&console_connection);
	console_connection = accept4(console_listener, NULL, NULL, SOCK_CLOEXEC);
}

/* The pty must be in hand before the process's output is waited for: the runtime sent it before it ended. */
static void console_finish(void)
{
	if (console_listener >= 0 && console_connection < 0)
		console_accept(NULL, 0);
	if (console_connection >= 0)
		console_receive(NULL, 0);
	console_close(&console_connection);
	if (console_listener >= 0)
		unlink("tty");
	console_close(&console_listener);
}

/* A process whose log cannot be reached is not run at all: what it says would be lost. */
static bool log_failed(void)
{
	const char *error = log_error();
	if (error == NULL)
		return false;
	static char text[512];
	snprintf(text, sizeof text, "failed to initialize logging driver: %s", error);
	stdio_close_child_ends();
	process_failed(text);
	return true;
}

static void run(void)
{
	start_wanted = false;
	state = STATE_STARTING;
	if (log_failed())
		return;
	if (options.terminal)
		console_listen();
	int ends[3];
	stdio_child_ends(ends);
	runtime_pid = spawn_program(options.runtime, ends);
	int error = errno;
	stdio_close_child_ends();
	if (runtime_pid < 0) {
		char text[512];
		snprintf(text, sizeof text, "Cannot run \"%s\": %s", options.runtime[0], strerror(error));
		console_finish();
		process_failed(text);
	}
}

void runtime_start(void)
{
	start_wanted = state == STATE_CREATED;
}

void runtime_start_if_ready(void)
{
	if (start_wanted && log_settled())
		run();
}

void runtime_poll(void)
{
	if (console_listener >= 0)
		poll_add(console_listener, POLLIN, console_accept, NULL);
	if (console_connection >= 0)
		poll_add(console_connection, POLLIN, console_receive, NULL);
}

static pid_t read_pid(void)
{
	char text[32] = "";
	int fd = open("pid", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t length = read(fd, text, sizeof text - 1);
	close(fd);
	return length > 0 ? (pid_t)strtol(text, NULL, 10) : -1;
}

/* The end of what the runtime logged; it logs nothing but what went wrong. */
static void runtime_failed(int status)
{
	static char text[8192];
	size_t length = 0;
	int fd = open("log", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		off_t size = lseek(fd, 0, SEEK_END);
		off_t start = size > (off_t)sizeof text - 1 ? size - (off_t)sizeof text + 1 : 0;
		ssize_t got = pread(fd, text, sizeof text - 1, start);
		length = got > 0 ? (size_t)got : 0;
		close(fd);
	}
	text[length] = '\0';
	if (length == 0) {
		uint32_t code, signal;
		exit_record_values(status, &code, &signal);
		snprintf(text, sizeof text, "\"%s\" ended with code %u and said nothing", options.runtime[0], code);
	}
	process_failed(text);
}

static void runtime_ended(int status)
{
	console_finish();
	pid_t pid = status == 0 ? read_pid() : -1;
	if (pid <= 0) {
		runtime_failed(status);
		return;
	}
	unlink("log");
	process_started(pid);
	for (size_t i = 0; i < early_count; i++)
		if (early[i].pid == pid)
			process_exited(early[i].status);
	early_count = 0;
}

void runtime_child_ended(pid_t pid, int status)
{
	if (pid == runtime_pid) {
		runtime_pid = -1;
		runtime_ended(status);
	} else if (pid == process_pid) {
		process_exited(status);
	} else if (state == STATE_STARTING && early_count < sizeof early / sizeof *early) {
		early[early_count].pid = pid;
		early[early_count].status = status;
		early_count++;
	}
}
