#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STREAM = 1, CODE_CANNOT_EXECUTE = 126, CODE_NOT_FOUND = 127, CODE_LOST = 128 + SIGKILL };

static struct link server;
static int signal_fd;
static bool cancelled;
/* -1 while the process runs. */
static int code = -1;
/* What is left to say on stderr, which the process's words come before. */
static char *words;
static char status_path[256];

static void end(int with, const char *text, size_t length)
{
	code = with;
	words = text == NULL ? NULL : strndup(text, length);
	link_close(&server);
	stdio_end();
}

/* Whether it runs, or why not, for whoever waits for this file: whole, or not there. */
static void leave_status(const char *text, size_t length)
{
	char unfinished[512];
	snprintf(unfinished, sizeof unfinished, "%s.unfinished", status_path);
	int fd = open(unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	bool whole = write(fd, text, length) == (ssize_t)length;
	close(fd);
	if (whole)
		rename(unfinished, status_path);
}

static bool take_result(const unsigned char *payload, size_t length)
{
	uint32_t error = get_u32(payload);
	if (error != 0) {
		leave_status((const char *)payload + 4, length - 4);
		end(error == ENOENT ? CODE_NOT_FOUND : error == ESHUTDOWN ? CODE_LOST : CODE_CANNOT_EXECUTE,
		    (const char *)payload + 4, length - 4);
		return true;
	}
	if (length != 9)
		return false;
	int status = (int)get_u32(payload + 4);
	end(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), NULL, 0);
	return true;
}

static bool take(void *subject, const struct frame *frame)
{
	(void)subject;
	if (frame->stream != STREAM)
		return false;
	switch ((enum frame_type)frame->type) {
	case FRAME_DATA:
		return stdio_take_data(frame);
	case FRAME_CREDIT:
		return stdio_take_credit(frame);
	case FRAME_EVENT:
		leave_status("", 0);
		return true;
	case FRAME_RESULT:
		return take_result(frame->payload, frame->length);
	default:
		return false;
	}
}

static void server_ready(void *subject, short events)
{
	(void)subject;
	static const char lost[] = "the VM has ended";
	if ((events & POLLOUT) != 0)
		link_flush(&server);
	if ((events & ~POLLOUT) != 0 && link_read(&server, take, NULL) > LINK_OPEN)
		end(CODE_LOST, lost, sizeof lost - 1);
}

static void signalled(void *subject, short events)
{
	(void)subject;
	(void)events;
	struct signalfd_siginfo information;
	if (read(signal_fd, &information, sizeof information) != sizeof information)
		return;
	if (information.ssi_signo == SIGWINCH) {
		stdio_send_size();
	} else if (cancelled) {
		stdio_restore();
		_exit(128 + (int)information.ssi_signo);
	} else {
		cancelled = true;
		link_send(&server, FRAME_CANCEL, STREAM, NULL, 0, NULL, 0);
	}
}

static void watch_signals(void)
{
	sigset_t signals;
	sigemptyset(&signals);
	static const int numbers[] = { SIGWINCH, SIGTERM, SIGINT, SIGHUP, SIGQUIT };
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		sigaddset(&signals, numbers[i]);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int fail(const char *action, const char *subject)
{
	fprintf(stderr, "hull-vm: cannot %s \"%s\": %s\n", action, subject, strerror(errno));
	return CODE_CANNOT_EXECUTE;
}

int exec(const char *path, const char *socket_path)
{
	struct records body;
	snprintf(status_path, sizeof status_path, "%s.status", path);
	body.data = read_file(path, &body.length);
	if (body.data == NULL)
		return fail("read", path);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strncpy(address.sun_path, socket_path, sizeof address.sun_path - 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
		return fail("connect to", socket_path);
	watch_signals();
	link_open(&server, fd);
	link_send_call(&server, STREAM, METHOD_RUN, body.data, body.length);
	stdio_open(&server, STREAM, &body);
	stdio_begin();
	while (code < 0 || !stdio_is_flushed()) {
		poll_reset();
		poll_add(signal_fd, POLLIN, signalled, NULL);
		stdio_poll();
		if (server.fd >= 0)
			poll_add(server.fd, POLLIN | (server.pending > 0 ? POLLOUT : 0), server_ready, NULL);
		poll_run(-1);
	}
	stdio_restore();
	if (words != NULL)
		fprintf(stderr, "hull-vm: %s\n", words);
	return code;
}
